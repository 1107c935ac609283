"""Lesions through the whole evaluation, counted by hand on drawn cases."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest

import ctatlas
from ctatlas.benchmark.evaluate import Options
from ctatlas.errors import ModelError, TableError
from ctatlas.measure.detection import LesionRule
from ctatlas.volume import Segmentation
from tests.benchmark.evaluate.bodies import SHAPE, case_folder, grid

FIRST, SECOND, THIRD = ((3, 3, 3), (8, 8, 6)), ((20, 12, 8), (24, 16, 11)), ((12, 20, 14), (14, 22, 16))
OPTIONS = Options(lesions=("liver_tumor",), worst=0)


def boxes(*corners):
    mask = np.zeros(SHAPE, bool)
    for lo, hi in corners:
        mask[tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))] = True
    return mask


def masks(*corners):
    return Segmentation.from_masks(grid(), {"liver": boxes(((1, 1, 1), (28, 25, 17))), "liver_tumor": boxes(*corners)})


CASES = {  # reference, prediction
    "a": ((FIRST, SECOND), (FIRST,)),
    "b": ((FIRST,), (FIRST, THIRD)),
    "c": ((), (THIRD,)),
    "d": ((), ()),
    "e": ((SECOND,), (SECOND,)),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    root = tmp_path_factory.mktemp("places")
    for case, (gt, pred) in CASES.items():
        case_folder(root / "gt", case, masks(*gt))
        case_folder(root / "pred", case, masks(*pred))
    return root / "gt", root / "pred"


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_three_tables_and_what_they_count(places, tmp_path):
    out = tmp_path / "out"
    found = ctatlas.evaluate(*places, out, metrics=["dsc"], options=OPTIONS)
    lesions = rows_of(out / "lesions.csv")
    assert [(row["case"], row["side"], row["is_matched"]) for row in lesions] == [
        ("a", "reference", "True"),
        ("a", "reference", "False"),
        ("a", "prediction", "True"),
        ("b", "reference", "True"),
        ("b", "prediction", "True"),
        ("b", "prediction", "False"),
        ("c", "prediction", "False"),
        ("e", "reference", "True"),
        ("e", "prediction", "True"),
    ]
    centre = grid().affine @ [5, 5, 4, 1]
    assert [float(lesions[0][axis]) for axis in ("x_mm", "y_mm", "z_mm")] == pytest.approx(centre[:3].tolist())
    whole = next(row for row in rows_of(out / "lesions_summary.csv") if row["size_class"] == "all")
    assert (whole["n_cases"], whole["n_lesions"], whole["n_found"]) == ("5", "4", "3")
    assert float(whole["sensitivity"]) == 0.75
    assert float(whole["false_positives_per_scan"]) == 2 / 5
    assert float(whole["pq"]) == pytest.approx(3 / (3 + 0.5 * (2 + 1)))
    points = rows_of(out / "detection.csv")
    assert {(row["score"], row["n_positive"], row["n_negative"]) for row in points} == {("predicted mL", "3", "2")}
    assert [row["operating_point"] for row in points] == ["sensitivity >= 0.9", "specificity >= 0.9"]
    assert float(points[0]["auc"]) == 1.0
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert record["measuring"]["lesion_rule"]["rule"] == "one_to_one"
    assert {"lesions.csv", "lesions_summary.csv", "detection.csv"} <= set(record["files"])
    assert len(found.lesions.cases) == 5


def test_nobody_asked_no_table(places, tmp_path):
    out = tmp_path / "out"
    ctatlas.evaluate(*places, out, metrics=["dsc"], options=OPTIONS)
    ctatlas.evaluate(*places, out, metrics=["dsc"], options=Options(worst=0))
    assert not list(out.glob("*lesion*"))
    assert not (out / "detection.csv").exists()


def test_a_second_run_takes_the_lesions_from_the_first(places, tmp_path):
    out = tmp_path / "out"
    first = ctatlas.evaluate(*places, out, metrics=["dsc"], options=OPTIONS)
    stamps = {path: path.stat().st_mtime_ns for path in out.glob("cases/*/run.json")}
    second = ctatlas.evaluate(*places, out, metrics=["dsc"], options=OPTIONS)
    assert first.lesions == second.lesions
    assert stamps == {path: path.stat().st_mtime_ns for path in out.glob("cases/*/run.json")}


def test_all_lesions_of_the_table_of_structures(places):
    found = ctatlas.evaluate(*places, metrics=["dsc"], options=Options(lesions=("all",)))
    assert {case.structure for case in found.lesions.cases} == {"liver_tumor"}


def test_the_rule_decides(places):
    at_least = Options(lesions=("liver_tumor",), lesion_rule=LesionRule(at_least_mm3=20.0))
    found = ctatlas.evaluate(*places, metrics=["dsc"], options=at_least)
    assert sum(len(case.of("prediction")) for case in found.lesions.cases) == 3  # THIRD has 14.4 mm³


def test_a_table_says_whose_scans_they_are_and_another_score(places, tmp_path):
    table = tmp_path / "cases.csv"
    table.write_text(
        "\ufeffcase;patient;suspicion\na;p1;0,9\nb;p1;0,2\nc;p2;0,4\nd;p3;0,1\ne;p4;0,3\n", encoding="utf-8"
    )
    options = Options(lesions=("liver_tumor",), worst=0, metadata=table, scores=("suspicion:0.25", "volume:0.01"))
    found = ctatlas.evaluate(*places, tmp_path / "out", metrics=["dsc"], options=options).lesions
    by_volume, by_score = found.patients
    assert (by_volume.found.n_positive, by_volume.found.n_negative) == (2, 2)  # a and b are one patient
    assert (by_score.score, by_score.found.area.value) == ("suspicion", 0.75)
    given = [(each.found.points[0].chosen, each.found.points[0].point.threshold) for each in found.patients]
    assert given == [("given", 0.01), ("given", 0.25)]
    (row,) = rows_of(tmp_path / "out" / "detection_pairs.csv")
    assert (row["first"], row["second"], float(row["difference"])) == ("predicted mL", "suspicion", 0.25)


@pytest.mark.parametrize(
    ("text", "score", "complaint"),
    [
        ("case,patient\na,p\n", "suspicion", "has no column 'suspicion'"),
        ("case,suspicion\na,high\n", "suspicion", "a: the score 'high' is no number"),
        ("who,suspicion\nx,1\n", "suspicion", "no column holds ids"),
    ],
)
def test_an_odd_table_is_refused_before_any_work(places, tmp_path, text, score, complaint):
    table = tmp_path / "cases.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(TableError, match=complaint):
        ctatlas.evaluate(*places, tmp_path / "out", options=Options(lesions=("all",), metadata=table, scores=(score,)))
    assert not list((tmp_path / "out").glob("cases/*"))


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        (LesionRule(rule="best"), "no rule for lesions is called 'best'"),
        (LesionRule(threshold=1.5), "one_to_one at 1.5"),
        (LesionRule(at_least_mm3=-1), "expected 0 or more"),
        (LesionRule(limits_mm=(20.0, 10.0)), "expected rising mm"),
    ],
)
def test_an_odd_rule_is_refused(places, rule, complaint):
    with pytest.raises(ModelError, match=complaint):
        ctatlas.evaluate(*places, options=Options(lesions=("all",), lesion_rule=rule))


def test_lesions_of_what_nobody_compares_are_told(places):
    found = ctatlas.evaluate(*places, metrics=["dsc"], options=Options(lesions=("liver_tumor", "colon_tumor")))
    assert [(note.kind, note.structure) for note in found.notes] == [("no_lesions", "colon_tumor")]


def test_a_case_without_a_prediction_is_a_failure_and_not_among_the_scans(places, tmp_path):
    shutil.copytree(places[1], tmp_path / "pred")
    shutil.rmtree(tmp_path / "pred" / "b")
    found = ctatlas.evaluate(places[0], tmp_path / "pred", metrics=["dsc"], options=OPTIONS)
    assert [failure.case for failure in found.failures] == ["b"]
    assert found.lesions.counted[0].n_cases == 4
