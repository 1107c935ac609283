"""Every preset says what its tool says: on the vectors, and by formula where the tool is no library."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from ctatlas.errors import ModelError
from ctatlas.measure.case import measure_case, measure_label_maps
from ctatlas.measure.counts import Counts
from ctatlas.measure.empty_masks import policies
from ctatlas.measure.metrics import chosen_metrics, metrics
from ctatlas.measure.pair import Masks, Pair
from ctatlas.measure.presets import preset_called, presets
from ctatlas.volume import Grid, Segmentation
from tests.reference import surface_distance_oracle

NAMES = [
    "v01_box_shift_aniso",
    "v02_two_voxels_3d",
    "v03_border_touch",
    "v04_fills_array",
    "v05_pred_empty",
    "v06_gt_empty",
    "v07_both_empty",
    "v08_blob_aniso",
    "v09_blob_outliers",
    "v10_tolerance_tie",
    "v11_tolerance_tie_diag",
    "v12_disc_2d",
    "v13_empty_2d",
    "v14_tube_gap",
    "v15_checker",
    "v16_identical",
    "v17_hole",
    "v18_pred_empty_near_origin",
]

# preset -> the tool's record among the vectors, its name of each of our metrics ("@": one a tolerance), and how near
TOOLS = {
    "surface-distance": (
        "surface_distance",
        {
            "dsc": "dsc",
            "hd": "hd",
            "hd95": "hd95",
            "asd_gt_to_pred": "asd_gt_to_pred",
            "asd_pred_to_gt": "asd_pred_to_gt",
            "nsd": "nsd@",
            "surface_overlap_gt": "overlap_gt@",
            "surface_overlap_pred": "overlap_pred@",
        },
        1e-12,
    ),
    "monai": (
        "monai",
        {
            "dsc": "dice_ignore_empty",
            "iou": "iou_ignore_empty",
            "hd": "hd",
            "hd95": "hd95",
            "assd": "assd",
            "asd_pred_to_gt": "asd_pred_to_gt",
            "nsd": "nsd_voxel@",
        },
        1e-6,
    ),
    "medpy": (
        "medpy",
        {
            "dsc": "dc",
            "iou": "jc",
            "hd": "hd",
            "hd95": "hd95",
            "assd": "assd",
            "asd_gt_to_pred": "asd_gt_to_pred",
            "asd_pred_to_gt": "asd_pred_to_gt",
            "volume_error": "ravd",
        },
        1e-12,
    ),
    "metrics-reloaded": (
        "metrics_reloaded",
        {
            "dsc": "dsc",
            "iou": "iou",
            "hd": "hd",
            "hd95": "hd_perc95",
            "assd": "assd",
            "masd": "masd",
            "nsd": "nsd@",
            "cldice": "cldice",
        },
        1e-12,
    ),
    "monai-subvoxel": ("monai", {"nsd": "nsd_subvoxel@"}, 1e-6),
    "nnunet": ("formula_policies", {"dsc": "nnunet_dice", "iou": "nnunet_iou"}, 1e-12),
    "suprem": ("formula_policies", {"nsd": "suprem_nsd@"}, 1e-12),
}
EACH = [
    (name, tool)
    for tool in TOOLS
    for name in NAMES
    if (name, tool) != ("v06_gt_empty", "suprem")  # the function alone says 0, but its caller looks first
]


def pair_of(record, structure="liver"):
    gt, pred = record["gt"], record["pred"]
    counts = Counts(int(gt.sum()), int(pred.sum()), int((gt & pred).sum()), float(np.prod(record["spacing"]) / 1000))
    return Pair(structure, tuple(record["spacing"]), counts, lambda: Masks(gt, pred, (0,) * gt.ndim))


def told(value):
    """Return a tool's value as we would write it: nan, in these tests, for what is undefined, infinite, or an error."""
    return math.nan if isinstance(value, str) else float(value)


def measured(preset, record, metric, tolerances=(1.0,), structure="liver"):
    found = preset_called(preset).measure(pair_of(record, structure), chosen_metrics([metric]), tolerances)
    assert {name for name, _ in found} == {metric}
    return {tolerance: math.nan if value is None else value for (_, tolerance), value in found.items()}


@pytest.mark.parametrize(("name", "preset"), EACH)
def test_a_preset_says_what_its_tool_says(binary_pairs, name, preset):
    record, (tool, spelled, near) = binary_pairs[name], TOOLS[preset]
    tolerances = [float(one) for one in record["tolerances"]]
    expected = {
        (metric, tolerance): told(record[tool][theirs if tolerance is None else f"{theirs}{tolerance:g}"])
        for metric, theirs in spelled.items()
        for tolerance in (tolerances if theirs.endswith("@") else [None])
    }
    found = preset_called(preset).measure(pair_of(record), chosen_metrics(spelled), tolerances)
    assert {key: math.nan if value is None else value for key, value in found.items()} == pytest.approx(
        expected, rel=near, abs=near, nan_ok=True
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [1, 2, 3])
def test_the_rim_of_metrics_reloaded_is_in_voxels(binary_pairs, name, width):
    record = binary_pairs[name]
    expected = told(record["metrics_reloaded"][f"boundary_iou_d{width}"])
    found = measured("metrics-reloaded", record, "boundary_iou", [width])
    assert found == pytest.approx({width: expected}, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("preset", "tool"), [("totalsegmentator", "totalsegmentator_dice"), ("suprem", "suprem_dice")])
def test_smoothing_keeps_a_perfect_overlap_below_one(binary_pairs, name, preset, tool):
    record = binary_pairs[name]
    expected = told(record["formula_policies"][tool]) if record["n_gt"] else math.nan
    assert measured(preset, record, "dsc") == pytest.approx({None: expected}, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("name", NAMES)
def test_flare_rounds_and_has_a_value_for_everything(binary_pairs, name):
    record = binary_pairs[name]
    theirs, tolerances = record["formula_policies"], record["tolerances"]
    assert measured("flare24", record, "dsc") == {None: theirs[f"flare_dsc@{tolerances[0]:g}"]}
    assert measured("flare24", record, "nsd", tolerances) == {one: theirs[f"flare_nsd@{one:g}"] for one in tolerances}


@pytest.mark.parametrize("name", ["v01_box_shift_aniso", "v08_blob_aniso", "v09_blob_outliers", "v14_tube_gap"])
def test_totalsegmentator_takes_any_voxel_for_one_of_15_mm(binary_pairs, name):
    record = binary_pairs[name]
    theirs = surface_distance_oracle.told(record["gt"], record["pred"], (1.5, 1.5, 1.5), [3.0])
    assert measured("totalsegmentator", record, "nsd", [3.0]) == pytest.approx({3.0: theirs["nsd", 3.0]}, rel=1e-12)


def test_that_changes_the_value(binary_pairs):
    record = binary_pairs["v08_blob_aniso"]
    assert (
        measured("surfel", record, "nsd", [3.0])[3.0] - measured("totalsegmentator", record, "nsd", [3.0])[3.0] > 1e-3
    )


def test_a_missed_structure_near_the_first_voxel_scores_under_the_names_of_those_who_let_it(binary_pairs):
    record = binary_pairs["v18_pred_empty_near_origin"]
    assert measured("suprem", record, "nsd", [3.0])[3.0] == pytest.approx(0.6538461538461539, rel=1e-12)
    assert measured("touchstone", record, "nsd", [3.0]) == {3.0: 0}


def test_the_phantom_lies_where_the_scan_begins_not_the_box():
    gt = np.zeros((9, 7, 5), bool)
    gt[4:6, 3:5, 2:4] = True
    counts = Counts(8, 0, 0, 0.001)
    cut = Pair("liver", (1.0, 2.0, 3.0), counts, lambda: Masks(gt[4:6, 3:5, 2:4], gt[0:2, 0:2, 0:2], (4, 3, 2)))
    whole = Pair("liver", (1.0, 2.0, 3.0), counts, lambda: Masks(gt, np.zeros_like(gt), (0, 0, 0)))
    for tolerance in (9.9, 10.3, 11.0, 12.0):  # mm; the eight voxels lie 9.8 to 13.5 mm off
        found = [preset_called("suprem").measure(pair, chosen_metrics(["nsd"]), [tolerance]) for pair in (cut, whole)]
        assert found[0] == found[1]
    assert 0 < found[0]["nsd", 12.0] < 1


SHAPE, SPACING = (12, 9, 10), (0.8, 1.1, 2.5)
GRID = Grid(SHAPE, np.diag([*SPACING, 1.0]))
PRESETS_OF_LISTS = ("flare22", "flare23", "flare24")


def tube(*ks, shift=0):
    mask = np.zeros(SHAPE, bool)
    mask[3 + shift : 7 + shift, 3:6, slice(*ks)] = True
    return mask


def values_of(preset, gt, pred, structure="aorta", metrics=None, **options):
    both = (Segmentation.from_masks(GRID, {structure: mask}) for mask in (gt, pred))
    rows = measure_case(*both, case="one", metrics=metrics, preset=preset, **options)
    return {row.metric: row.value for row in rows}


def test_flare_looks_at_labelled_slices_of_tubes_and_loses_the_last():
    gt, pred = tube(2, 6), tube(0, 9, shift=1)  # the reference in slices 2 to 5: looked at are 2, 3 and 4
    assert values_of("flare22", gt, pred, metrics=["dsc"])["dsc"] == round(2 * 27 / (36 + 36), 4)
    assert values_of("flare22", gt, pred, "liver", ["dsc"])["dsc"] == round(2 * 36 / (48 + 108), 4)
    assert values_of("flare21", gt, pred, metrics=["dsc"])["dsc"] == 2 * 36 / (48 + 108)


def test_the_surface_of_flare_is_that_of_the_slices_that_are_left():
    gt, pred = tube(2, 6), tube(0, 9, shift=1)
    theirs = surface_distance_oracle.told(gt[:, :, 2:5], pred[:, :, 2:5], SPACING, [1.0])
    found = values_of("flare22", gt, pred, metrics=["nsd"], tolerances=[1.0])
    assert found["nsd"] == round(theirs["nsd", 1.0], 4)
    whole = surface_distance_oracle.told(gt, pred, SPACING, [1.0])
    assert values_of("flare22", gt, pred, "liver", ["nsd"], tolerances=[1.0])["nsd"] == round(whole["nsd", 1.0], 4)


@pytest.mark.parametrize(
    ("gt", "pred", "dsc", "left"),
    [
        ((0, 5), (5, 10), 0, {"flare22"}),
        ((0, 6), (5, 10), 24 / 132, {"flare22", "flare23"}),
        ((2, 6), (5, 9), 24 / 96, {"flare22", "flare23", "flare24"}),
    ],
)
def test_a_poor_overlap_has_no_surface_with_later_flares(gt, pred, dsc, left):
    found = {name: values_of(name, tube(*gt), tube(*pred), "liver", ["dsc", "nsd"]) for name in PRESETS_OF_LISTS}
    assert {values["dsc"] for values in found.values()} == {round(dsc, 4)}
    assert {name for name, values in found.items() if values["nsd"] > 0} == left


def test_flare_of_one_labelled_slice_has_nothing_left():
    assert values_of("flare22", tube(4, 5), tube(3, 6), metrics=["dsc"]) == {"dsc": None}


def test_the_name_of_the_preset_stands_in_every_row():
    both = Segmentation.from_masks(GRID, {"liver": tube(1, 5)})
    rows = measure_case(both, both, case="one", metrics=["dsc"], preset="flare")
    assert {row.implementation for row in rows} == {"flare24"}


def test_a_preset_measures_only_what_its_tool_has():
    both = Segmentation.from_masks(GRID, {"liver": tube(1, 5)})
    with pytest.raises(ModelError, match="the preset nnunet has no nsd; it has dsc, iou"):
        measure_case(both, both, case="one", metrics=["nsd"], preset="nnunet")
    assert {row.metric for row in measure_case(both, both, case="one", preset="nnunet")} == {"dsc"}


def test_an_unknown_preset_names_its_neighbour():
    with pytest.raises(ModelError, match="no preset 'monay'; monai\\?"):
        preset_called("monay")


def test_every_row_of_the_table_is_whole():
    for row in presets().values():
        assert row.measurable
        assert set(row.measurable) <= row.policy.metrics
        assert row.meaning
        assert row.source
    assert {row.empty_masks for row in presets().values()} == set(policies())
    assert set(preset_called("ctatlas").measurable) == set(metrics())


@pytest.fixture(scope="module")
def means_of(vectors):
    """Measure the multilabel vector's four cases by a preset: structure -> mean over the cases with a value."""

    def means(preset):
        values = {name: [] for name in ("a", "b", "c", "d")}
        with np.load(vectors / "multilabel.npz") as maps:
            for case in range(4):
                sides = (maps[f"case{case}_{side}"] for side in ("gt", "pred"))
                labels = dict(enumerate(values, start=1))
                for row in measure_label_maps(*sides, (1.0, 1.0, 2.0), labels, metrics=["dsc"], preset=preset):
                    values[row.structure] += [] if row.value is None else [row.value]
        return [float(np.mean(each)) for each in values.values()]

    return means


@pytest.mark.parametrize(
    ("preset", "theirs", "near"),
    [
        ("touchstone", "reference-empty as NaN (TotalSegmentator, Touchstone, SuPreM, MONAI ignore_empty)", 1e-12),
        ("monai", "monai mean_batch", 1e-6),
        ("nnunet", "nnU-Net (NaN only if both empty; reference empty and prediction not = 0)", 1e-12),
        ("surfel", "nnU-Net (NaN only if both empty; reference empty and prediction not = 0)", 1e-12),
        ("flare24", "FLARE (both empty = 1, one empty = 0)", 1e-4),
    ],
)
def test_means_over_cases_turn_on_the_policy(vectors, means_of, preset, theirs, near):
    aggregates = json.loads((vectors / "multilabel.json").read_text(encoding="utf-8"))["aggregates"]
    (expected,) = [values for name, values in aggregates.items() if name.endswith(theirs)]
    assert means_of(preset) == pytest.approx(expected, abs=near)
