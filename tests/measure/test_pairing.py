from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ctatlas.measure.case import measure_case
from ctatlas.measure.counts import Counts
from ctatlas.measure.pairing import pairs, pairs_of_label_maps
from ctatlas.measure.surface import surface_distances, surfels_of_masks
from ctatlas.volume import Grid, Segmentation

SHAPE = (15, 12, 10)
SPACING = (0.8, 0.9, 2.5)
NAMES = {2: "liver", 5: "spleen", 9: "aorta", 40: "colon", 7: "kidney_left"}  # no voxel is 40


def label_maps(shape: tuple[int, ...] = SHAPE, dtype: type = np.uint8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    first = np.repeat(np.repeat(rng.choice([0, 2, 5, 7, 9, 11], shape), 2, axis=0), 3, axis=1)
    gt = first[: shape[0], : shape[1]].astype(dtype)
    pred = np.roll(gt, 1, axis=1)
    pred[pred == 7] = 0
    return gt, pred


def fits(pair, gt: np.ndarray, pred: np.ndarray, spacing: tuple[float, ...]) -> None:
    """Compare a pair with what whole masks say."""
    counts = pair.counts
    assert (counts.n_gt, counts.n_pred) == (np.count_nonzero(gt), np.count_nonzero(pred))
    assert counts.n_both == np.count_nonzero(gt & pred)
    where = np.argwhere(gt | pred)
    low, high = (where.min(0), where.max(0) + 1) if len(where) else (np.zeros(gt.ndim, int),) * 2
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    assert pair.start == tuple(low)
    assert np.array_equal(pair.gt, gt[box])
    assert np.array_equal(pair.pred, pred[box])
    expected, found = surface_distances(surfels_of_masks(gt, pred), spacing), pair.surfaces()
    for one, other in ((found.gt_to_pred, expected.gt_to_pred), (found.pred_to_gt, expected.pred_to_gt)):
        assert np.array_equal(one.distances_mm, other.distances_mm)
        np.testing.assert_allclose(one.areas, other.areas, rtol=1e-14)


@pytest.mark.parametrize("order", ["CC", "FF", "CF", "FC", "view"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [SHAPE, (21, 17)], ids=["volume", "picture"])
def test_structures_of_two_label_maps(order, dtype, shape) -> None:
    gt, pred = label_maps(shape, dtype)
    spacing = SPACING[: len(shape)]
    if order == "view":
        laid = [np.repeat(each, 2, axis=0)[::2] for each in (gt, pred)]
    else:
        laid = [np.array(each, order=letter) for each, letter in zip((gt, pred), order, strict=True)]
    found = {pair.structure: pair for pair in pairs_of_label_maps(*laid, spacing, NAMES)}
    assert set(found) == set(NAMES.values())
    for label, name in NAMES.items():
        fits(found[name], gt == label, pred == label, spacing)


def test_label_maps_of_two_types_and_labels_that_one_cannot_hold() -> None:
    gt, pred = label_maps()
    pred = pred.astype(np.uint16)
    pred[0, 0, 0] = 300
    names = {2: "liver", 300: "heart", 70000: "brain"}
    found = {pair.structure: pair.counts for pair in pairs_of_label_maps(gt, pred, SPACING, names)}
    assert (found["heart"].n_gt, found["heart"].n_pred, found["brain"].n_gt) == (0, 1, 0)
    assert found["liver"].n_both == np.count_nonzero((gt == 2) & (pred == 2))


def test_thousands_of_structures_need_no_table_of_their_square() -> None:
    gt = np.arange(20 * 15 * 10, dtype=np.uint16).reshape(20, 15, 10)
    names = {n: f"s{n}" for n in range(1, 3000)}
    found = list(pairs_of_label_maps(gt, np.roll(gt, 1), SPACING, names))
    assert [pair.structure for pair in found] == list(names.values())
    assert {(pair.counts.n_gt, pair.counts.n_pred, pair.counts.n_both) for pair in found} == {(1, 1, 0)}
    assert found[1500].surfaces().hausdorff_mm() == 2.5


def test_structures_that_overlap_lie_in_different_layers() -> None:
    grid = Grid(SHAPE, np.diag([*SPACING, 1]))
    rng = np.random.default_rng(2)
    masks = {name: rng.random(SHAPE) < 0.3 for name in ("liver", "vessel", "tumor")}
    others = {name: np.roll(masks[name], 1, axis=0) for name in ("tumor", "liver", "vessel")}
    gt, pred = Segmentation.from_masks(grid, masks), Segmentation.from_masks(grid, others)
    assert gt.n_layers == pred.n_layers == 3
    for pair in pairs(gt, pred, ("vessel", "liver", "tumor")):
        fits(pair, masks[pair.structure], others[pair.structure], SPACING)


def test_what_a_float32_header_means_is_what_is_measured() -> None:
    """A voxel of 0.8 mm is 0.800000011920929 mm in NIfTI, which is further than a tolerance of 0.8 mm."""
    mask = np.zeros(SHAPE, bool)
    mask[3:9, 3:9, 3:9] = True
    written, exact = (
        Grid(SHAPE, np.diag([*np.array([0.8, 0.9, 2.5], dtype).astype(float), 1])) for dtype in (np.float32, float)
    )
    rows = []
    for grid in (written, exact):
        gt, pred = (Segmentation.from_masks(grid, {"liver": each}) for each in (mask, np.roll(mask, 1, axis=0)))
        rows.append(measure_case(gt, pred, case="one", metrics=["nsd", "hd"], tolerances=[0.8]))
    assert rows[0] == rows[1]
    assert [row.value for row in rows[0]] == [1.0, 0.8]


def test_maps_that_cannot_be_paired_are_refused() -> None:
    gt, pred = label_maps()
    with pytest.raises(ValueError, match="spacing along 2 axes"):
        list(pairs_of_label_maps(gt, pred, (1.0, 1.0), NAMES))
    with pytest.raises(ValueError, match="expected uint8 or uint16"):
        list(pairs_of_label_maps(gt, pred.astype(np.int64), SPACING, NAMES))
    with pytest.raises(ValueError, match=r"\(15, 12, 10\) and \(15, 12, 9\)"):
        list(pairs_of_label_maps(gt, pred[:, :, :9], SPACING, NAMES))


def test_the_multilabel_vectors(vectors: Path) -> None:
    table = json.loads((vectors / "multilabel.json").read_text(encoding="utf-8"))
    n_compared = 0
    with np.load(vectors / "multilabel.npz") as arrays:
        for case, record in table["cases"].items():
            gt, pred = (arrays[f"{case}_{side}"].astype(np.uint8) for side in ("gt", "pred"))
            spacing = tuple(table["spacing"])
            for pair in pairs_of_label_maps(gt, pred, spacing, {n: str(n) for n in range(1, 5)}):
                told = {key: float(value) for key, value in record[pair.structure].items()}
                assert pair.counts == Counts(
                    *(int(told[n]) for n in ("n_gt", "n_pred", "n_inter")), pair.counts.voxel_ml
                )
                if not told["n_gt"] and not told["n_pred"]:
                    continue
                surfaces = pair.surfaces()
                assert (surfaces.hausdorff_mm(), surfaces.hausdorff_mm(95)) == (told["hd"], told["hd95"])
                assert surfaces.nsd(2.0) == pytest.approx(told["nsd@2.0"], rel=1e-12)
                assert surfaces.asd_gt_to_pred_mm() == pytest.approx(told["asd_gt_to_pred"], rel=1e-12, nan_ok=True)
                n_compared += 1
    assert n_compared >= 12
