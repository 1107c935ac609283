from __future__ import annotations

import numpy as np
import pytest

from ctatlas.errors import ModelError
from ctatlas.measure.case import measure_case, measure_label_maps
from ctatlas.measure.counts import COUNT_METRICS
from ctatlas.measure.records import Measurement
from ctatlas.volume import Grid, Segmentation

SHAPE = (9, 7, 5)
GRID = Grid(SHAPE, np.diag([0.8, 1.0, 2.5, 1.0]))


def block(lo: tuple[int, int, int], hi: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))] = True
    return mask


NOTHING = np.zeros(SHAPE, bool)
GT = Segmentation.from_masks(
    GRID,
    {
        "liver": block((0, 0, 0), (4, 4, 4)),
        "liver_lesion": block((1, 1, 1), (3, 3, 3)),  # in the liver, so in a layer of its own
        "spleen": NOTHING,
        "aorta": block((6, 0, 0), (7, 2, 5)),
        "colon": NOTHING,
        "pancreas": block((5, 5, 0), (7, 7, 2)),
    },
)
PRED = Segmentation.from_masks(
    GRID,
    {
        "colon": NOTHING,
        "liver_lesion": block((1, 1, 1), (3, 3, 2)),
        "spleen": block((7, 4, 1), (9, 6, 2)),
        "liver": block((0, 0, 0), (4, 4, 2)),
        "aorta": NOTHING,
    },
)


def values(rows: list[Measurement]) -> dict[tuple[str, str], float | None]:
    return {(row.structure, row.metric): row.value for row in rows}


def test_counts_of_structures_that_overlap() -> None:
    found = values(measure_case(GT, PRED, case="one", metrics=COUNT_METRICS))
    assert found["liver", "dsc"] == 2 * 32 / (64 + 32)
    assert found["liver", "iou"] == 32 / 64
    assert found["liver", "sensitivity"] == 0.5
    assert found["liver", "precision"] == 1
    assert found["liver", "volume_error_ml"] == pytest.approx(-32 * 2.0 / 1000)
    assert found["liver", "volume_error"] == -0.5
    assert found["liver", "volume_ratio"] == 0.5
    assert found["liver", "false_positive_ml"] == 0
    assert found["liver", "false_negative_ml"] == pytest.approx(32 * 2.0 / 1000)
    assert found["liver_lesion", "dsc"] == 2 * 4 / (8 + 4)


def test_an_absent_mask_is_a_status_and_counts_where_it_is_defined() -> None:
    rows = measure_case(GT, PRED, case="one", metrics=["dsc", "sensitivity", "false_positive_ml"])
    assert {row.structure: row.status for row in rows} == {
        "liver": "ok",
        "liver_lesion": "ok",
        "spleen": "gt_absent",
        "aorta": "pred_absent",
        "colon": "both_absent",
        "pancreas": "missing_prediction",
    }
    found = values(rows)
    assert [found[name, "dsc"] for name in ("spleen", "aorta", "colon", "pancreas")] == [0, 0, None, None]
    assert [found[name, "sensitivity"] for name in ("spleen", "aorta", "colon", "pancreas")] == [None, 0, None, None]
    assert found["spleen", "false_positive_ml"] == pytest.approx(4 * 2.0 / 1000)


def test_another_grid_is_a_status_too() -> None:
    elsewhere = Segmentation(Grid(SHAPE, np.diag([0.8, 1.0, 2.4, 1.0])), PRED.layers, PRED.places)
    rows = measure_case(GT, elsewhere, case="one", metrics=["dsc", "nsd"], tolerances=[1, 2])
    assert {(row.status, row.value) for row in rows} == {("geometry_mismatch", None)}
    assert len(rows) == len(GT.names) * 3


def test_tolerances_may_differ_by_structure() -> None:
    rows = measure_case(
        GT, PRED, case="one", structures=["aorta", "liver"], metrics=["nsd"], tolerances={"liver": [2, 3]}
    )
    assert [(row.structure, row.tolerance_mm) for row in rows] == [("aorta", 1.0), ("liver", 2), ("liver", 3)]


def test_surfaces_of_structures_that_are_there_and_of_such_that_are_not() -> None:
    rows = measure_case(GT, PRED, case="one", metrics=["nsd", "hd", "assd"], tolerances=[1.0, 4.0])
    found = {(row.structure, row.metric, row.tolerance_mm): row.value for row in rows}
    assert found["liver", "hd", None] == 5.0  # two slices of 2.5 mm
    assert 0 < found["liver", "nsd", 1.0] < found["liver", "nsd", 4.0] < 1
    assert 0 < found["liver", "assd", None] < 5
    for name in ("spleen", "aorta"):
        assert (found[name, "nsd", 1.0], found[name, "hd", None], found[name, "assd", None]) == (0, None, None)
    assert {found["colon", metric, None] for metric in ("hd", "assd")} == {found["colon", "nsd", 1.0]} == {None}


def test_label_maps_give_the_rows_of_the_same_segmentations() -> None:
    rng = np.random.default_rng(0)
    labels = [rng.choice(np.array([0, 0, 3, 200], np.uint8), SHAPE) for _ in range(2)]
    names = {3: "liver", 200: "spleen", 7: "colon"}
    metrics = ["dsc", "nsd", "hd95"]
    rows = measure_label_maps(*labels, GRID.spacing_mm, names, metrics=metrics, tolerances={"spleen": [2.0, 3.0]})
    segmentations = [Segmentation.from_labels(GRID, each, names) for each in labels]
    expected = measure_case(*segmentations, case="", metrics=metrics, tolerances={"spleen": [2.0, 3.0]})
    assert sorted(map(repr, rows)) == sorted(map(repr, expected))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"metrics": ["dcs"]}, "no metric 'dcs'"),
        ({"preset": "best"}, "no preset 'best'"),
        ({"structures": ["heart"]}, "no structure 'heart'"),
        ({"tolerances": [-1.0]}, "tolerance of -1.0 mm"),
        ({"tolerances": {"liver": [float("nan")]}}, "tolerance of nan mm"),
    ],
)
def test_what_cannot_be_measured_is_refused(options: dict, line: str) -> None:
    with pytest.raises(ModelError, match=line):
        measure_case(GT, PRED, case="one", **options)
