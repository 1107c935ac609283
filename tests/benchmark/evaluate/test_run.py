"""The whole evaluation as a function: numbers, statuses, what is missing, what is written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import ctatlas
from ctatlas.benchmark.evaluate import Options
from ctatlas.errors import ModelError, OutputError, ScanError
from ctatlas.volume import Segmentation, write, write_labels
from tests.benchmark.evaluate.bodies import body, case_folder, dice, grid, labels

DSC = {"metrics": ("dsc",), "options": Options(worst=0)}


def notes_of(found, kind):
    return [note for note in found.notes if note.kind == kind]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_values_are_those_of_the_masks(two_cases, row_of):
    found = ctatlas.evaluate(*two_cases, **DSC)
    assert row_of(found, "a", "spleen").value == 1.0
    assert row_of(found, "b", "spleen").value == dice(body().mask("spleen"), body((1, 0, 0)).mask("spleen"))
    assert {row.status for row in found.measurements} == {"ok"}
    assert found.failures == ()


def test_cases_are_matched_by_name_never_by_place(tmp_path, row_of):
    for case in ("a", "b", "c"):
        case_folder(tmp_path / "gt", case, body())
    case_folder(tmp_path / "pred", "c", body())
    case_folder(tmp_path / "pred", "z", body((3, 0, 0)))
    found = ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", **DSC)
    assert row_of(found, "c", "liver").value == 1.0
    assert [row_of(found, case, "liver").status for case in ("a", "b")] == ["missing_prediction"] * 2
    assert [(each.case, each.stage) for each in found.failures] == [("a", "prediction"), ("b", "prediction")]
    assert [note.case for note in notes_of(found, "surplus_prediction")] == ["z"]


def test_nothing_in_common_is_refused_with_names_of_both_sides(tmp_path):
    case_folder(tmp_path / "gt", "a", body())
    case_folder(tmp_path / "pred", "b", body())
    case_folder(tmp_path / "pred", "c", body())
    with pytest.raises(ScanError, match=r"none of the 1 cases .* reference are a, .* predictions b, c"):
        ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", **DSC)


def test_a_false_positive_in_an_absent_organ_is_counted(tmp_path, row_of):
    empty = body().replace({"spleen": np.zeros(grid().shape, bool)})
    case_folder(tmp_path / "gt", "a", empty)
    case_folder(tmp_path / "pred", "a", body())
    case_folder(tmp_path / "gt", "b", body())
    case_folder(tmp_path / "pred", "b", empty)
    case_folder(tmp_path / "gt", "c", empty)
    case_folder(tmp_path / "pred", "c", empty)
    found = ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", **DSC)
    statuses = [row_of(found, case, "spleen").status for case in "abc"]
    assert statuses == ["gt_absent", "pred_absent", "both_absent"]
    spleen = next(each for each in found.summary() if each.structure == "spleen")
    assert (spleen.n, spleen.missed, spleen.false_positives, spleen.no_prediction) == (3, 1, 1, 0)


def test_what_nobody_annotated_is_not_evaluated(tmp_path):
    case_folder(tmp_path / "gt", "a", body().select(["liver", "spleen"]))
    case_folder(tmp_path / "pred", "a", body())
    found = ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", **DSC)
    assert {row.structure for row in found.measurements} == {"liver", "spleen"}
    assert {note.structure for note in notes_of(found, "not_annotated")} == {"kidney_left", "kidney_right"}


def test_what_one_prediction_lacks_and_another_has_is_missing(tmp_path, row_of):
    for case in ("a", "b"):
        case_folder(tmp_path / "gt", case, body())
    case_folder(tmp_path / "pred", "a", body().select(["liver", "spleen"]))
    case_folder(tmp_path / "pred", "b", body().select(["liver"]))
    found = ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", **DSC)
    assert row_of(found, "b", "spleen").status == "missing_prediction"
    assert {row.structure for row in found.measurements} == {"liver", "spleen"}
    assert {note.structure for note in notes_of(found, "not_predicted")} == {"kidney_left", "kidney_right"}


def test_what_is_asked_for_by_name_counts_as_missing_when_no_prediction_has_it(tmp_path, row_of):
    case_folder(tmp_path / "gt", "a", body())
    case_folder(tmp_path / "pred", "a", body().select(["liver"]))
    found = ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", structures=["Liver", "left kidney"], **DSC)
    assert row_of(found, "a", "kidney_left").status == "missing_prediction"
    assert {row.structure for row in found.measurements} == {"liver", "kidney_left"}


def test_a_broken_prediction_is_missing_and_the_rest_is_evaluated(two_cases, row_of):
    gt, pred = two_cases
    (pred / "a" / "segmentations" / "liver.nii.gz").write_bytes(b"\x1f\x8b broken")
    found = ctatlas.evaluate(gt, pred, **DSC)
    assert row_of(found, "a", "liver").status == "missing_prediction"
    assert row_of(found, "b", "liver").status == "ok"
    assert [(each.case, each.stage) for each in found.failures] == [("a", "prediction")]
    assert "liver.nii.gz" in found.failures[0].reason


def test_a_broken_reference_is_named_and_the_rest_is_evaluated(two_cases):
    gt, pred = two_cases
    (gt / "a" / "segmentations" / "liver.nii.gz").write_bytes(b"\x1f\x8b broken")
    found = ctatlas.evaluate(gt, pred, **DSC)
    assert {row.case for row in found.measurements} == {"b"}
    assert [(each.case, each.stage) for each in found.failures] == [("a", "read the reference")]


def test_a_case_folder_without_masks_is_named(two_cases):
    gt, pred = two_cases
    (gt / "empty").mkdir()
    found = ctatlas.evaluate(gt, pred, **DSC)
    assert [(each.case, each.reason) for each in found.failures] == [("empty", "empty: its folder holds no masks.")]


def test_masks_that_are_all_background_are_told(tmp_path):
    case_folder(tmp_path / "gt", "a", body())
    nothing = Segmentation.from_labels(grid(), np.zeros(grid().shape, np.uint8), {1: "liver", 2: "spleen"})
    case_folder(tmp_path / "pred", "a", nothing)
    found = ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", **DSC)
    assert [note.message for note in notes_of(found, "all_background")] == [
        "the prediction has no voxel of the 2 structures that are compared"
    ]
    assert {row.status for row in found.measurements} == {"pred_absent"}


def test_single_files_belong_together_whatever_they_are_called(tmp_path):
    write_labels(labels(), grid(), tmp_path / "truth.nii.gz")
    write_labels(labels((1, 0, 0)), grid(), tmp_path / "model.nii.gz")
    found = ctatlas.evaluate(tmp_path / "truth.nii.gz", tmp_path / "model.nii.gz", **DSC)
    assert {row.case for row in found.measurements} == {"truth"}
    assert {row.structure for row in found.measurements} == {f"label_{n}" for n in (1, 2, 3, 4)}


def test_what_lies_around_a_folder_names_no_numbers_in_it(tmp_path):
    (tmp_path / "dataset.json").write_text('{"labels": {"background": 0, "liver": "of another program"}}')
    (tmp_path / "masks").mkdir()
    for name in ("truth", "model"):
        write_labels(labels(), grid(), tmp_path / "masks" / f"{name}.nii.gz")
    found = ctatlas.evaluate(tmp_path / "masks/truth.nii.gz", tmp_path / "masks/model.nii.gz", **DSC)
    assert {row.structure for row in found.measurements} == {f"label_{n}" for n in (1, 2, 3, 4)}


def test_what_is_written_is_what_was_found(two_cases, tmp_path):
    out = tmp_path / "out"
    found = ctatlas.evaluate(
        *two_cases, out, metrics=("dsc", "volume_error_ml", "nsd"), tolerance=[1.0, 2.5], options=Options(worst=0)
    )
    rows = rows_of(out / "metrics.csv")
    assert list(rows[0]) == ["case", "structure", "metric", "tolerance_mm", "value", "implementation", "status"]
    assert len(rows) == len(found.measurements) == 2 * 4 * 4
    written = [(row["case"], row["structure"], row["metric"], row["tolerance_mm"], row["value"]) for row in rows]
    assert written == [
        (row.case, row.structure, row.metric, _text(row.tolerance_mm), _text(row.value)) for row in found.measurements
    ]
    assert not (out / "failures.csv").exists()


def _text(number: float | None) -> str:
    return "" if number is None else repr(float(number))


def test_the_parquet_file_holds_the_same(two_cases, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    found = ctatlas.evaluate(*two_cases, tmp_path / "out", metrics=("dsc", "nsd"), options=Options(worst=0))
    table = parquet.read_table(tmp_path / "out" / "metrics.parquet")
    assert [str(kind) for kind in table.schema.types] == ["string"] * 3 + ["double"] * 2 + ["string"] * 2
    assert table.column("value").to_pylist() == [row.value for row in found.measurements]
    assert table.column("tolerance_mm").to_pylist() == [row.tolerance_mm for row in found.measurements]


def test_without_pyarrow_there_is_no_parquet_file(two_cases, tmp_path, monkeypatch):
    monkeypatch.setattr("ctatlas.benchmark.evaluate.writing.find_spec", lambda _: None)
    ctatlas.evaluate(*two_cases, tmp_path / "out", **DSC)
    assert not (tmp_path / "out" / "metrics.parquet").exists()
    assert (tmp_path / "out" / "metrics.csv").exists()


def test_the_record_says_how_it_was_made(two_cases, tmp_path):
    ctatlas.evaluate(*two_cases, tmp_path / "out", tolerance="flare22", **DSC)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["ctatlas"] == ctatlas.__version__
    assert record["measuring"]["tolerances"]["by_structure"]["duodenum"] == 7.0
    assert record["measuring"]["tolerances"]["version"] == 1
    assert set(record["files"]) >= {"metrics.csv"}
    hashes = [(case["gt_sha256"], case["pred_sha256"]) for case in record["cases"].values()]
    assert all(len(one) == 64 for pair in hashes for one in pair)
    assert hashes[0][0] == hashes[1][0] != hashes[1][1]


def test_a_second_run_takes_what_is_there_and_the_tables_come_out_the_same(two_cases, tmp_path):
    out = tmp_path / "out"
    ctatlas.evaluate(*two_cases, out, **DSC)
    before = {path: path.stat().st_mtime_ns for path in out.glob("cases/*/run.json")}
    tables = (out / "metrics.csv").read_bytes()
    case_folder(two_cases[1], "b", body((2, 0, 0)))
    ctatlas.evaluate(*two_cases, out, **DSC)
    changed = [path.parent.name for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert changed == ["b"]
    assert (out / "metrics.csv").read_bytes() != tables


def test_what_only_an_earlier_run_had_is_removed_and_strangers_stay(two_cases, tmp_path):
    gt, pred = two_cases
    out = tmp_path / "out"
    case_folder(gt, "late", body())
    ctatlas.evaluate(gt, pred, out, **DSC)
    assert (out / "failures.csv").exists()
    (out / "mine.txt").write_text("mine")
    case_folder(pred, "late", body())
    ctatlas.evaluate(gt, pred, out, **DSC)
    assert not (out / "failures.csv").exists()
    assert (out / "mine.txt").exists()


def test_somebody_elses_table_is_not_replaced(two_cases, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "metrics.csv").write_text("mine")
    with pytest.raises(OutputError, match="no result of ctatlas"):
        ctatlas.evaluate(*two_cases, tmp_path / "out", **DSC)


def test_an_output_inside_an_input_is_refused(two_cases):
    with pytest.raises(OutputError, match="would be taken for cases"):
        ctatlas.evaluate(*two_cases, two_cases[0] / "out", **DSC)


def test_one_place_for_both_is_refused(two_cases):
    with pytest.raises(ScanError, match="both reference and prediction"):
        ctatlas.evaluate(two_cases[0], two_cases[0], **DSC)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"metrics": ("dice",)}, "no metric 'dice'"),
        ({"tolerance": -1.0}, "a tolerance is -1 mm"),
        ({"tolerance": "flare"}, "no set of tolerances is called 'flare'"),
        ({"tolerance": "there_is_none.csv"}, "can't be read"),
        ({"options": Options(preset="minai")}, "no preset 'minai'"),
    ],
    ids=["metric", "length", "set", "file", "preset"],
)
def test_words_that_nobody_knows_are_refused_before_any_work(two_cases, words, said):
    with pytest.raises(ModelError, match=said):
        ctatlas.evaluate(*two_cases, **words)


def test_the_table_has_the_columns_of_the_file(two_cases):
    table = ctatlas.evaluate(*two_cases, metrics=("dsc", "nsd")).to_pandas()
    assert list(table.columns) == ["case", "structure", "metric", "tolerance_mm", "value", "implementation", "status"]
    assert table[table.metric == "dsc"].value.mean() == pytest.approx(table[table.metric == "dsc"]["value"].mean())
    assert table.tolerance_mm.isna().sum() == (table.metric == "dsc").sum()


def test_workers_change_nothing(two_cases):
    alone = ctatlas.evaluate(*two_cases, **DSC)
    together = ctatlas.evaluate(*two_cases, metrics=("dsc",), options=Options(workers=2))
    assert alone.measurements == together.measurements


def test_an_archive_is_looked_into(two_cases, tmp_path):
    import shutil

    shutil.make_archive(str(tmp_path / "packed"), "zip", two_cases[1])
    found = ctatlas.evaluate(two_cases[0], tmp_path / "packed.zip", **DSC)
    assert found.measurements == ctatlas.evaluate(*two_cases, **DSC).measurements


def test_tolerances_of_a_file(two_cases, tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("\ufeffstructure;tolerance_mm\nSpleen;4\n*;2\n", encoding="utf-8")
    found = ctatlas.evaluate(*two_cases, metrics=("nsd",), tolerance=str(table))
    assert {row.structure: row.tolerance_mm for row in found.measurements} == {
        "liver": 2.0,
        "kidney_left": 2.0,
        "kidney_right": 2.0,
        "spleen": 4.0,
    }


def test_objects_of_one_case_are_read(tmp_path, row_of):
    case_folder(tmp_path / "gt", "a", body())
    (tmp_path / "pred" / "a").mkdir(parents=True)
    write(body(), tmp_path / "pred" / "a" / "found.seg.nrrd")
    found = ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", **DSC)
    assert row_of(found, "a", "kidney_right").value == 1.0
