from __future__ import annotations

from pathlib import Path

import pytest

from ctatlas.benchmark.reading import read_metadata
from ctatlas.errors import TableError
from tests.support.results_tables import Generated

CASES = ("s1", "s2", "s3")


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "cases.csv").write_text(text)
    return tmp_path / "cases.csv"


def test_semicolons_and_a_byte_order_mark(generated: Generated) -> None:
    found, flags = read_metadata(generated.metadata, generated.cases)
    assert list(found.columns)[:3] == ["age", "gender", "institute"]
    assert all(len(cells) == len(generated.cases) for cells in found.columns.values())
    assert flags == []


def test_the_column_of_ids_is_the_one_that_holds_them_whatever_it_is_called(tmp_path: Path) -> None:
    found, _ = read_metadata(written(tmp_path, "no,scan,site\n1,s2.nii.gz,B\n2,s1,A\n3,s3,C\n4,s9,D\n"), CASES)
    assert found.columns == {"no": ("2", "1", "3"), "site": ("A", "B", "C")}


def test_cases_of_one_patient_share_a_number(tmp_path: Path) -> None:
    found, _ = read_metadata(written(tmp_path, "case,patient_id\ns1,p\ns2,q\ns3,p\n"), CASES)
    assert (found.patients, found.n_patients, found.says_patients) == ((0, 1, 0), 2, True)


def test_a_case_without_a_patient_is_one_of_its_own(tmp_path: Path) -> None:
    found, _ = read_metadata(written(tmp_path, "case,patient_id\ns1,\ns2,q\n"), CASES)
    assert found.n_patients == 3


def test_cases_without_a_row_are_counted(tmp_path: Path) -> None:
    found, flags = read_metadata(written(tmp_path, "case,site\ns1,A\n"), CASES)
    assert found.columns["site"] == ("A", "", "")
    assert [(f.kind, f.message.split(" have")[0]) for f in flags] == [("no_metadata", "2 of 3 cases")]


def test_rows_that_contradict_each_other_count_for_nothing(tmp_path: Path) -> None:
    found, flags = read_metadata(written(tmp_path, "case,site\ns1,A\ns1,B\ns2,A\ns2,A\ns3,C\n"), CASES)
    assert found.columns["site"] == ("", "A", "C")
    assert next((f.severity, f.kind, f.case) for f in flags) == ("error", "duplicate_metadata", "s1")


@pytest.mark.parametrize(
    ("text", "complaint"), [("case,site\n", "no row"), ("case,site\nx,A\n", "no column holds ids")]
)
def test_a_table_of_other_cases_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(TableError, match=complaint):
        read_metadata(written(tmp_path, text), CASES)
