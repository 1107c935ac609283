"""Facts about the cases: a table with a row a case, joined by the case's id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ctatlas.benchmark.flags import Flag, error, note, warning
from ctatlas.benchmark.reading.text import TextTable, duplicates, read_text_table
from ctatlas.errors import TableError

_PATIENT_COLUMNS = ("patient_id", "patient", "patientid", "subject", "subject_id")
_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")


@dataclass(frozen=True, slots=True)
class Metadata:
    """The facts of the cases of the results, in their order.

    Attributes
    ----------
    columns : dict of str to tuple of str
        Text as written, one cell a case; empty where a case has none.
    patients : (cases,) tuple of int
        Numbers that cases of one patient share; each case its own where the table does not say.
    n_patients : int
    says_patients : bool
        Whether the table has a column of patients.
    """

    columns: dict[str, tuple[str, ...]]
    patients: tuple[int, ...]
    n_patients: int
    says_patients: bool = False


def no_metadata(cases: Sequence[str]) -> Metadata:
    """Return what is known where there is no table: each case is a patient."""
    return Metadata({}, tuple(range(len(cases))), len(cases))


def read_metadata(path: Path, cases: Sequence[str]) -> tuple[Metadata, list[Flag]]:
    """Read a table of metadata; the column of case ids is the one in which most of the cases are.

    Raises
    ------
    TableError
        When the file can't be read, or no column holds case ids of the results.
    """
    table = read_text_table(path)
    id_column = _id_column(table, set(cases))
    rows, flags = _rows(table, id_column)
    without = [case for case in cases if case not in rows]
    if without:
        text = f"{len(without)} of {len(cases)} cases have no row in the metadata ({_some(without)})"
        flags.append(warning("no_metadata", text))
    if twice := duplicates(table.header):
        text = f"column {', '.join(twice)} stands there twice in the metadata; the first is taken"
        flags.append(note("duplicate_column", text))
    names = [name for name in dict.fromkeys(table.header) if name and table.header.index(name) != id_column]
    empty = ("",) * len(table.header)
    columns = {
        name: tuple(rows.get(case, empty)[table.header.index(name)] for case in cases) for name in names
    }  # fmt: skip
    patient = next((name for name in columns if name.lower() in _PATIENT_COLUMNS), None)
    if patient is None:
        return Metadata(columns, tuple(range(len(cases))), len(cases)), flags
    ids = columns.pop(patient)
    keys = [who or f"\0{case}" for who, case in zip(ids, cases, strict=True)]
    number = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    return Metadata(columns, tuple(number[key] for key in keys), len(number), says_patients=True), flags


def _id_column(table: TextTable, cases: set[str]) -> int:
    if not table.rows:
        raise TableError(f"{table.path}: no row; expected a row a case")
    hits = [len({_id(row[column]) for row in table.rows} & cases) for column in range(len(table.header))]
    best = max(range(len(hits)), key=hits.__getitem__)
    if not hits[best]:
        columns = ", ".join(table.header)[:300]
        raise TableError(f"{table.path}: no column holds ids of the cases ({_some(sorted(cases))}); columns: {columns}")
    return best


def _rows(table: TextTable, id_column: int) -> tuple[dict[str, tuple[str, ...]], list[Flag]]:
    rows: dict[str, tuple[str, ...]] = {}
    contradicted: dict[str, None] = {}
    for row in table.rows:
        case = _id(row[id_column])
        bare = (*row[:id_column], "", *row[id_column + 1 :])
        if rows.setdefault(case, bare) != bare:
            contradicted[case] = None
    for case in contradicted:
        del rows[case]
    text = "several rows of metadata that differ; the case is in no sub-group"
    return rows, [error("duplicate_metadata", text, case=case) for case in contradicted if case]


def _id(cell: str) -> str:
    """Return a case id, without the ending of a file name."""
    ending = next((ending for ending in _ENDINGS if cell.endswith(ending)), "")
    return cell.removesuffix(ending)


def _some(cases: Sequence[str]) -> str:
    return ", ".join(cases[:3]) + (", …" if len(cases) > 3 else "")
