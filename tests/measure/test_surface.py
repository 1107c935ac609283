from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from ctatlas.measure.counts import COUNT_METRICS, Counts
from ctatlas.measure.pair import Masks, Pair
from ctatlas.measure.surface import SURFACE_METRICS, SurfaceDistances, surface_distances, surfels_of_masks
from tests.reference import surface_distance_oracle as oracle

TOLERANCES = (0.0, 0.8, 1.0, 2.0, 2.4)
SPACINGS = [(0.8, 0.8, 1.25), (0.7, 0.7, 0.7), (1.1, 1.1, 3.0), (0.7421875, 0.7421875, 2.5)]
SAME = 1e-12


def measured(gt: np.ndarray, pred: np.ndarray, spacing_mm: tuple[float, ...]) -> SurfaceDistances:
    return surface_distances(surfels_of_masks(gt, pred), spacing_mm)


def values(surfaces: SurfaceDistances, tolerances=TOLERANCES) -> dict:
    found = {}
    for name, metric in SURFACE_METRICS.items():
        if name in ("nsd", "surface_overlap_gt", "surface_overlap_pred"):
            found |= {(name, tolerance): metric(surfaces, tolerance) for tolerance in tolerances}
        else:
            found[name] = metric(surfaces, 0.0)
    return found


def rough(rng: np.random.Generator, shape: tuple[int, ...], share: float = 0.4) -> np.ndarray:
    noise = gaussian_filter(rng.standard_normal(shape), 1.5)
    return np.asarray(noise > np.quantile(noise, 1 - share))


def as_number(value: object) -> float:
    return float(value)  # "nan" and "inf" too


def agree(found: dict, expected: dict) -> None:
    for key, value in expected.items():
        if key != "dsc":
            assert found[key] == pytest.approx(value, rel=SAME, abs=1e-15, nan_ok=True), key


# ---- the vectors


def test_binary_pairs_of_the_vectors(binary_pairs) -> None:
    assert len(binary_pairs) == 18
    for name, record in binary_pairs.items():
        told = {key: as_number(value) for key, value in record["surface_distance"].items()}
        surfaces = measured(record["gt"], record["pred"], tuple(record["spacing"]))
        assert surfaces.gt_to_pred.area == pytest.approx(told["area_gt"], rel=SAME), name
        assert surfaces.pred_to_gt.area == pytest.approx(told["area_pred"], rel=SAME), name
        assert surfaces.asd_gt_to_pred_mm() == pytest.approx(told["asd_gt_to_pred"], rel=SAME, nan_ok=True), name
        assert surfaces.asd_pred_to_gt_mm() == pytest.approx(told["asd_pred_to_gt"], rel=SAME, nan_ok=True), name
        if record["n_gt"] or record["n_pred"]:  # with neither, surface-distance says inf
            assert surfaces.hausdorff_mm() == told["hd"], name
            assert surfaces.hausdorff_mm(95) == told["hd95"], name
        for tolerance in record["tolerances"]:
            assert surfaces.nsd(tolerance) == pytest.approx(told[f"nsd@{tolerance}"], rel=SAME, nan_ok=True), name
            overlaps = surfaces.surface_overlap_gt(tolerance), surfaces.surface_overlap_pred(tolerance)
            expected = told[f"overlap_gt@{tolerance}"], told[f"overlap_pred@{tolerance}"]
            assert overlaps == pytest.approx(expected, rel=SAME, nan_ok=True), name


# ---- surface-distance itself


@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
@given(st.integers(0, 10**6))
def test_every_distance_is_that_of_surface_distance_to_the_last_bit(spacing, seed) -> None:
    pytest.importorskip("surface_distance")
    rng = np.random.default_rng(seed)
    gt, pred = rough(rng, (17, 14, 11), 0.2), rough(rng, (17, 14, 11), 0.3)
    expected, found = oracle.distances(gt, pred, spacing), measured(gt, pred, spacing)
    for way, name, area in (
        (found.gt_to_pred, "distances_gt_to_pred", "surfel_areas_gt"),
        (found.pred_to_gt, "distances_pred_to_gt", "surfel_areas_pred"),
    ):
        assert np.array_equal(way.distances_mm, np.unique(expected[name]))
        areas = [expected[area][expected[name] == distance].sum() for distance in way.distances_mm]
        np.testing.assert_allclose(way.areas, areas, rtol=SAME)


@pytest.mark.parametrize("shape", [(15, 13, 9), (12, 14, 1), (1, 14, 12), (21, 18)], ids=str)
@given(st.integers(0, 10**6), st.floats(0, 0.6), st.floats(0, 0.6), st.tuples(*[st.floats(0.3, 5)] * 3))
def test_metrics_are_those_of_surface_distance(shape, seed, share_gt, share_pred, spacing) -> None:
    pytest.importorskip("surface_distance")
    rng = np.random.default_rng(seed)
    gt, pred = rough(rng, shape, share_gt), rough(rng, shape, share_pred)
    if seed % 2:
        gt, pred = np.asfortranarray(gt), np.asfortranarray(pred)
    assume(gt.any() or pred.any())
    spacing = spacing[: len(shape)]
    expected = oracle.told(gt, pred, spacing, TOLERANCES)
    agree(values(measured(gt, pred, spacing)), expected)
    counts = Counts(int(gt.sum()), int(pred.sum()), int((gt & pred).sum()), 1.0)
    assert COUNT_METRICS["dsc"](counts) == expected["dsc"]


# ---- invariances


@given(st.integers(0, 10**6), st.permutations(range(3)), st.tuples(*[st.booleans()] * 3), st.integers(0, 3))
def test_nothing_depends_on_axes_directions_margins_or_memory(seed, order, turned, margin) -> None:
    rng = np.random.default_rng(seed)
    gt, pred = rough(rng, (13, 11, 9)), rough(rng, (13, 11, 9))
    spacing = (0.7, 0.9, 1.3)
    moved = []
    for mask in (gt, pred):
        other = np.pad(mask.transpose(order), margin)
        other = other[tuple(slice(None, None, -1 if turn else 1) for turn in turned)]
        moved.append(np.asfortranarray(other) if seed % 2 else other)
    here, there = measured(gt, pred, spacing), measured(*moved, tuple(spacing[axis] for axis in order))
    for one, other in ((here.gt_to_pred, there.gt_to_pred), (here.pred_to_gt, there.pred_to_gt)):
        assert one.area == pytest.approx(other.area, rel=SAME)
    agree(values(there, (0.7, 1.0, 2.0)), values(here, (0.7, 1.0, 2.0)))


@given(st.integers(0, 10**6))
def test_swapping_reference_and_prediction_swaps_directions_and_nothing_else(seed) -> None:
    rng = np.random.default_rng(seed)
    gt, pred = rough(rng, (12, 9, 14)), rough(rng, (12, 9, 14))
    here, there = values(measured(gt, pred, (0.8, 0.8, 2.5))), values(measured(pred, gt, (0.8, 0.8, 2.5)))
    assert here["asd_gt_to_pred"] == there["asd_pred_to_gt"]
    assert here["surface_overlap_gt", 1.0] == there["surface_overlap_pred", 1.0]
    for key in ("hd", "hd95", "assd", "masd", ("nsd", 1.0)):
        assert here[key] == there[key]


def test_a_mask_against_itself() -> None:
    mask = rough(np.random.default_rng(0), (9, 9, 9))
    found = values(measured(mask, mask, (1.0, 1.0, 1.0)))
    assert {value for key, value in found.items() if isinstance(key, tuple)} == {1.0}
    assert {value for key, value in found.items() if isinstance(key, str)} == {0.0}


# ---- what has no surface, and what lies at the tolerance


def test_distances_to_nothing_are_undefined_and_shares_are_not() -> None:
    mask, nothing = np.ones((2, 3, 2), bool), np.zeros((2, 3, 2), bool)
    missed = values(measured(mask, nothing, (1.0, 1.0, 1.0)))
    assert (missed["hd"], missed["hd95"], missed["assd"], missed["asd_gt_to_pred"]) == (math.inf,) * 4
    assert missed["nsd", 1.0] == missed["surface_overlap_gt", 1.0] == 0
    assert all(math.isnan(missed[key]) for key in ("asd_pred_to_gt", ("surface_overlap_pred", 1.0)))
    assert all(math.isnan(value) for value in values(measured(nothing, nothing, (1.0, 1.0, 1.0))).values())


def test_a_pair_without_surfels_of_its_own_takes_those_of_its_masks() -> None:
    mask = np.ones((2, 3, 2), bool)
    pair = Pair("liver", (1.0, 1.0, 1.0), Counts(12, 12, 12, 1.0), lambda: Masks(mask, mask, (0, 0, 0)))
    assert pair.surfaces().nsd(0.0) == 1


def test_the_share_at_the_tolerance_is_told() -> None:
    """A face of a slab moved by three voxels of 0.8 mm is 2.4000000000000004 mm away."""
    gt, pred = np.zeros((9, 30, 30), bool), np.zeros((9, 30, 30), bool)
    gt[:2], pred[:5] = True, True
    surfaces = measured(gt, pred, (0.8, 1.0, 1.0))
    assert surfaces.nsd(2.4) < 0.8 < 0.99 < surfaces.nsd(2.5)
    assert surfaces.tie_share(2.4) == pytest.approx(surfaces.nsd(2.5) - surfaces.nsd(2.4), rel=SAME)
    assert surfaces.tie_share(1.1) == 0
    assert measured(gt, pred, (1.0, 1.0, 1.0)).tie_share(3.0) == 0  # there nothing was rounded


def test_a_percentile_is_that_of_the_area() -> None:
    """Nine tenths of a surface at 1 mm and one tenth at 5 mm."""
    from ctatlas.measure.surface import Directed

    way = Directed(np.array([1.0, 5.0]), np.array([9.0, 1.0]))
    assert [way.distance_of_share_mm(percent) for percent in (50, 90, 91, 95, 100)] == [1, 1, 5, 5, 5]
    assert (way.area, way.area_within(1.0), way.moment()) == (10, 9, 14)
