"""What people put into a folder of results, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ctatlas.benchmark.flags import Flag
from ctatlas.benchmark.reading import read_results
from ctatlas.benchmark.scores import Results
from ctatlas.errors import TableError
from tests.support.results_tables import STRUCTURES, Generated

GOOD = "name,liver,spleen\ns1,0.9,0.8\ns2,0.7,\n"


def put(folder: Path, **tables: str) -> Path:
    """Write dsc.csv of each model."""
    for model, content in tables.items():
        (folder / model).mkdir(parents=True)
        (folder / model / "dsc.csv").write_text(content)
    return folder


def kinds(flags: list[Flag]) -> set[tuple[str, str, str]]:
    return {(flag.severity, flag.kind, flag.model) for flag in flags}


def values(results: Results, model: str, metric: str = "dsc") -> list[list[float]]:
    (scores,) = [each for each in results.scores if each.metric.label == metric]
    return [
        [round(float(value), 6) for value in row]
        for row in np.nan_to_num(scores.values[scores.models.index(model)], nan=-1)
    ]


def test_reads_what_was_generated(generated: Generated) -> None:
    results, flags = read_results(generated.folder)
    assert (results.models, results.cases, results.structures) == (generated.models, generated.cases, STRUCTURES)
    assert [scores.metric.label for scores in results.scores] == ["dsc", "nsd"]
    expected = np.where(generated.has[:, :, None], np.round(100 * generated.values["nsd"], 2), np.nan)
    np.testing.assert_allclose(results.scores[1].values, expected, atol=1e-9)
    assert (results.scores[0].has_row == generated.has).all()
    assert flags == []


def test_a_zero_is_a_structure_that_was_missed(tmp_path: Path) -> None:
    results, _ = read_results(put(tmp_path, a="name,liver\ns1,0\ns2,0.5\n"))
    assert results.missed[0, :, 0].tolist() == [True, False]


def test_text_in_a_number_leaves_that_value_out_and_names_it(tmp_path: Path) -> None:
    results, flags = read_results(put(tmp_path, a=GOOD, b="name,liver,spleen\ns1,good,0.8\ns2,0.7,n/a\n"))
    assert values(results, "b") == [[-1, 80], [70, -1]]
    assert [(f.severity, f.kind, f.model, f.metric, f.structure, f.case) for f in flags] == [
        ("error", "text_in_number", "b", "dsc", "liver", "s1")
    ]


@pytest.mark.parametrize("cell", ["1.2", "-0.5", "inf"])
def test_an_impossible_fraction_is_left_out_and_named(tmp_path: Path, cell: str) -> None:
    results, flags = read_results(put(tmp_path, a=f"name,liver\ns1,{cell}\ns2,0.7\ns3,0.8\n"))
    assert values(results, "a") == [[-1], [70], [80]]
    assert [(f.kind, f.case) for f in flags] == [("out_of_range", "s1")]


def test_percent_is_refused_with_what_to_do(tmp_path: Path) -> None:
    results, flags = read_results(put(tmp_path, a=GOOD, b="name,liver,spleen\ns1,90,80\ns2,70,\n"))
    assert (results.scores[0].with_results).tolist() == [0]
    assert "divide it by 100" in flags[0].message


def test_a_decimal_comma_is_a_number(tmp_path: Path) -> None:
    results, _ = read_results(put(tmp_path, a="name;liver\ns1;0,9\n"))
    assert values(results, "a") == [[90]]


def test_a_case_given_twice_counts_once_or_not_at_all(tmp_path: Path) -> None:
    results, flags = read_results(put(tmp_path, a="name,liver\ns1,0.9\ns1,0.9\ns2,0.7\ns2,0.6\ns3,0.5\n"))
    assert values(results, "a") == [[90], [50]]
    assert results.cases == ("s1", "s3")
    assert [(f.severity, f.kind, f.case) for f in flags] == [
        ("note", "duplicate_case", "s1"),
        ("error", "duplicate_case", "s2"),
    ]


def test_a_column_given_twice_counts_once_or_not_at_all(tmp_path: Path) -> None:
    content = "name,liver,liver,spleen,postcava,inferior_vena_cava\ns1,0.9,0.9,0.8,0.5,0.6\n"
    results, flags = read_results(put(tmp_path, a=content))
    assert results.structures == ("liver", "spleen")
    assert [(f.severity, f.kind) for f in flags] == [("note", "duplicate_column"), ("error", "duplicate_column")]


def test_columns_that_are_no_structures_are_left_out(tmp_path: Path) -> None:
    wide = "name,liver,average,comment,seconds\ns1,0.9,0.9,fine,0.5\n"
    results, flags = read_results(put(tmp_path, a=wide, b="name,liver\ns1,0.8\n"))
    assert results.structures == ("liver",)
    assert [f.kind for f in flags] == ["unknown_column"] * 3


def test_a_structure_that_nobody_knows_is_taken_where_every_model_has_it(tmp_path: Path) -> None:
    results, flags = read_results(put(tmp_path, a="name,blob\ns1,0.9\n", b="name,blob\ns1,0.8\n"))
    assert results.structures == ("blob",)
    assert kinds(flags) == {("note", "unknown_column", "")}


def test_two_spellings_of_a_structure_are_one(tmp_path: Path) -> None:
    results, flags = read_results(put(tmp_path, a="name,postcava\ns1,0.9\n", b="name,inferior_vena_cava\ns1,0.8\n"))
    assert results.structures == ("inferior_vena_cava",)
    assert [f.kind for f in flags] == ["spelling"]


def test_one_spelling_stays_as_it_is_written(tmp_path: Path) -> None:
    assert read_results(put(tmp_path, a="name,postcava\ns1,0.9\n"))[0].structures == ("postcava",)


def test_folders_without_results_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    put(tmp_path, a=GOOD, broken="name\n", binary="na\0me,liver\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("later")
    (tmp_path / "readme.txt").write_text("results")
    results, flags = read_results(tmp_path)
    assert results.models == ("a",)
    assert kinds(flags) == {
        ("error", "unreadable_file", "broken"), ("error", "unreadable_file", "binary"),
        ("error", "no_results", "empty"), ("error", "no_results", "other"),
    }  # fmt: skip


@pytest.mark.parametrize("folder", ["nothing", "empty"])
def test_nothing_at_all_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TableError, match="expected"):
        read_results(tmp_path / folder)


def test_an_unknown_metric_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no metric 'dice'"):
        read_results(put(tmp_path, a=GOOD), ["dice"])


def test_a_row_without_a_case_is_left_out(tmp_path: Path) -> None:
    results, flags = read_results(put(tmp_path, a="name,liver\n,0.9\ns1,0.5\n"))
    assert results.cases == ("s1",)
    assert [f.kind for f in flags] == ["no_case_id"]


# Own tables

ROW = {"tolerance_mm": np.nan, "implementation": "surfel", "status": "ok"}


def own(folder: Path, model: str, rows: list[dict[str, object]], *, parquet: bool = True) -> None:
    table = pd.DataFrame([{**ROW, "metric": "dsc", "structure": "liver", **row} for row in rows])
    (folder / model).mkdir(parents=True, exist_ok=True)
    if parquet:
        table.to_parquet(folder / model / "metrics.parquet", index=False)
    else:
        table.to_csv(folder / model / "metrics.csv", index=False)


@pytest.mark.parametrize("parquet", [True, False])
def test_reads_own_tables(tmp_path: Path, parquet: bool) -> None:  # noqa: FBT001
    rows = [
        {"case": "s1", "value": 0.9},
        {"case": "s2", "value": None, "status": "missing_prediction"},
        {"case": "s3", "value": 0.0, "status": "gt_absent"},
        {"case": "s4", "value": None, "status": "both_absent"},
        {"case": "s1", "metric": "hd95", "value": 4.5},
        {"case": "s2", "metric": "hd95", "value": None, "status": "missing_prediction"},
        {"case": "s1", "metric": "nsd", "tolerance_mm": 2.0, "value": 0.8},
    ]
    own(tmp_path, "a", rows, parquet=parquet)
    results, flags = read_results(tmp_path)
    assert values(results, "a") == [[90], [0], [-1], [-1]]
    assert values(results, "a", "hd95") == [[4.5], [-1], [-1], [-1]]
    assert values(results, "a", "nsd")[0] == [80]
    assert results.missed[0, :, 0].tolist() == [False, True, False, False]
    assert (results.spurious[0, 0], results.absent[0, 0]) == (1, 2)
    assert flags == []


def test_the_parquet_file_is_taken_before_the_csv_and_the_csv_where_it_is_broken(tmp_path: Path) -> None:
    own(tmp_path, "a", [{"case": "s1", "value": 0.9}])
    own(tmp_path, "a", [{"case": "s1", "value": 0.5}], parquet=False)
    assert values(read_results(tmp_path)[0], "a") == [[90]]
    (tmp_path / "a" / "metrics.parquet").write_bytes(b"PAR1 no more")
    results, flags = read_results(tmp_path)
    assert values(results, "a") == [[50]]
    assert kinds(flags) == {("warning", "unreadable_file", "a")}


def test_several_tolerances_are_several_metrics(tmp_path: Path) -> None:
    rows = [{"case": "s1", "metric": "nsd", "tolerance_mm": mm, "value": 0.1 * mm} for mm in (1.0, 2.5)]
    own(tmp_path, "a", rows)
    assert [scores.metric.label for scores in read_results(tmp_path)[0].scores] == ["nsd@1mm", "nsd@2.5mm"]


def test_one_tolerance_a_structure_is_one_metric(tmp_path: Path) -> None:
    rows = [
        {"case": "s1", "metric": "nsd", "structure": s, "tolerance_mm": mm, "value": 0.5}
        for s, mm in (("liver", 5.0), ("aorta", 2.0))
    ]
    own(tmp_path, "a", rows)
    results, _ = read_results(tmp_path)
    assert [scores.metric.label for scores in results.scores] == ["nsd"]
    assert values(results, "a", "nsd") == [[50, 50]]


def test_models_measured_by_different_conventions_are_flagged(tmp_path: Path) -> None:
    own(tmp_path, "a", [{"case": "s1", "value": 0.9}])
    own(tmp_path, "b", [{"case": "s1", "value": 0.9, "implementation": "monai"}])
    assert [f.kind for f in read_results(tmp_path)[1]] == ["conventions_differ"]


def test_rows_that_contradict_each_other_and_text_are_left_out(tmp_path: Path) -> None:
    rows = [
        {"case": "s1", "value": 0.9}, {"case": "s1", "value": 0.8}, {"case": "s2", "value": 0.5},
        {"case": "s2", "value": 0.5}, {"case": "s3", "value": "good"}, {"case": "", "value": 0.5},
        {"case": "s4", "metric": "beauty", "value": 1},
    ]  # fmt: skip
    own(tmp_path, "a", rows, parquet=False)
    results, flags = read_results(tmp_path)
    assert dict(zip(results.cases, values(results, "a"), strict=True)) == {"s2": [50], "s3": [-1]}
    assert {(f.kind, f.case) for f in flags} == {
        ("duplicate_case", "s1"), ("text_in_number", "s3"), ("no_case_id", ""), ("unknown_metric", ""),
    }  # fmt: skip


@pytest.mark.parametrize("columns", ["case,structure,metric\n", "case,structure,metric,value,value\n", "x\n"])
def test_an_own_table_without_its_columns_is_named(tmp_path: Path, columns: str) -> None:
    put(tmp_path, a=GOOD)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "metrics.csv").write_text(columns)
    assert kinds(read_results(tmp_path)[1]) == {("error", "unreadable_file", "b")}


def test_the_folder_of_one_model_is_enough(tmp_path: Path) -> None:
    put(tmp_path, a=GOOD)
    assert read_results(tmp_path / "a")[0].models == ("a",)
