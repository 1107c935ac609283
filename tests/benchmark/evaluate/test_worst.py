"""Which results are shown, and that their pictures show what is wrong."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

import ctatlas
from ctatlas.benchmark.evaluate import Options
from ctatlas.benchmark.evaluate.picture import OF_PREDICTION, OF_REFERENCE, Shown, draw
from ctatlas.benchmark.evaluate.worst import worst_results
from ctatlas.measure.records import Measurement, Status
from ctatlas.volume import Volume, write_volume
from tests.benchmark.evaluate.bodies import body, case_folder, grid


def row(case: str, structure: str, value: float | None, metric: str = "dsc", status: Status = "ok") -> Measurement:
    return Measurement(case, structure, metric, None, value, "surfel", status)


def chosen(rows: list[Measurement], n: int = 10) -> list[tuple[str, str]]:
    return [(each.result.case, each.result.structure) for each in worst_results(rows, n)]


def test_the_worst_of_each_structure_comes_first() -> None:
    rows = [row("a", "liver", 0.9), row("b", "liver", 0.95), row("a", "gallbladder", 0.2), row("b", "gallbladder", 0.3)]
    assert chosen(rows) == [("a", "gallbladder"), ("a", "liver"), ("b", "gallbladder"), ("b", "liver")]
    assert chosen(rows, 2) == [("a", "gallbladder"), ("a", "liver")]


def test_of_distances_the_longest_and_first_those_that_are_none() -> None:
    rows = [
        row("a", "liver", 3.0, "hd95"),
        row("b", "liver", 9.0, "hd95"),
        row("c", "liver", None, "hd95", "pred_absent"),
    ]
    assert chosen(rows) == [("c", "liver"), ("b", "liver"), ("a", "liver")]


def test_a_ratio_is_bad_to_both_sides() -> None:
    rows = [row(case, "liver", value, "volume_ratio") for case, value in (("a", 1.1), ("b", 0.5), ("c", 1.3))]
    assert chosen(rows) == [("b", "liver"), ("c", "liver"), ("a", "liver")]


def test_what_is_perfect_or_was_never_compared_is_not_shown() -> None:
    rows = [row("a", "liver", 1.0), row("b", "liver", None, status="missing_prediction")]
    assert chosen(rows) == []


def test_tolerances_of_each_structure_count_as_one_metric() -> None:
    rows = [
        Measurement("a", name, "nsd", mm, value, "surfel", "ok")
        for name, mm, value in (("liver", 5.0, 0.8), ("aorta", 2.0, 0.5))
    ]
    assert chosen(rows) == [("a", "aorta"), ("a", "liver")]


def shown(*, with_scan: bool = False) -> Shown:
    gt, pred = body().mask("liver"), body((2, 0, 0)).mask("liver")
    hu = np.full(gt.shape, 40, np.int16) if with_scan else None
    return Shown(gt, pred, hu, grid().spacing_mm)


def test_the_slices_are_those_with_the_most_error() -> None:
    gt = np.zeros((9, 8, 7), bool)
    pred = gt.copy()
    gt[2:6, 2:6, 2:5] = True
    pred[2:6, 2:6, 2:5] = True
    pred[4, 2:6, 3] = False
    assert Shown(gt, pred, None, (1.0, 1.0, 1.0)).at == (4, 2, 3)


@pytest.mark.parametrize("with_scan", [False, True])
def test_both_outlines_are_drawn(*, with_scan: bool) -> None:
    picture = matplotlib.image.imread(io.BytesIO(draw(shown(with_scan=with_scan), "a: liver")))[:, :, :3]
    for color in (OF_REFERENCE, OF_PREDICTION):
        wanted = np.array(list(bytes.fromhex(color[1:]))) / 255
        near = np.abs(picture - wanted).max(axis=2) < 0.05
        assert near[: int(0.9 * len(near))].sum() > 100  # the legend lies below


def test_the_table_lists_the_pictures_that_are_there(tmp_path: Path) -> None:
    case_folder(tmp_path / "gt", "a", body())
    case_folder(tmp_path / "gt", "b", body())
    case_folder(tmp_path / "pred", "a", body((2, 0, 0)))
    case_folder(tmp_path / "pred", "b", body().select(["liver"]))
    write_volume(Volume(np.zeros(grid().shape, np.int16), grid()), tmp_path / "gt" / "a" / "ct.nii.gz")
    out = tmp_path / "out"
    ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", out, metrics=("dsc",), options=Options(worst=3))
    with (out / "worst.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert [(out / row["picture"]).stat().st_size > 5000 for row in rows] == [True] * 3
    assert set(json.loads((out / "run.json").read_text())["files"]) >= {row["picture"] for row in rows}
    ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", out, metrics=("dsc",), options=Options(worst=1))
    assert len(list((out / "worst").iterdir())) == 1
