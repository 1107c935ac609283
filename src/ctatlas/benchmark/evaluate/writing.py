"""The tables of an evaluation: `metrics.csv` and `.parquet`, `failures.csv`, `warnings.csv`, and last `run.json`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ctatlas.benchmark.evaluate.evaluation import COLUMNS, Evaluation, cells
from ctatlas.benchmark.evaluate.lesions import DETECTION, LESIONS, PAIRS, SUMMARY, lesion_tables
from ctatlas.benchmark.evaluate.volumes import VOLUMES, volume_table
from ctatlas.benchmark.evaluate.worst import Worst
from ctatlas.errors import OutputError
from ctatlas.execution import FAILURES, RECORD
from ctatlas.execution.result import said_in_a_line
from ctatlas.hashing import sha256_bytes
from ctatlas.volume import whole_file

METRICS, PARQUET, WARNINGS, WORST = "metrics.csv", "metrics.parquet", "warnings.csv", "worst.csv"
_TABLES = (METRICS, PARQUET, WARNINGS, FAILURES, WORST, LESIONS, SUMMARY, DETECTION, PAIRS, VOLUMES)
_AT_MOST_RECORD_BYTES = 2**28


def open_output(folder: Path, inputs: Iterable[Path]) -> None:
    """Make the folder for results.

    Raises
    ------
    OutputError
        When it lies in one of the inputs, where results would be taken for cases, holds somebody else's tables, or
        can't be written to.
    """
    inner = folder.resolve()
    for place in inputs:
        outer = place.resolve()
        if outer.is_dir() and (inner == outer or outer in inner.parents):
            raise OutputError(f"{folder}: lies inside {place}, where results would be taken for cases; choose another")
    strangers = [name for name in _TABLES if (folder / name).exists()]
    if strangers and not (folder / RECORD).exists():
        raise OutputError(f"{folder}: {', '.join(strangers)} stands there and is no result of ctatlas; choose another")
    with said_in_a_line(folder):
        folder.mkdir(parents=True, exist_ok=True)


def write_evaluation(
    evaluation: Evaluation,
    folder: Path,
    worst: Sequence[Worst] = (),
    pictures: Mapping[str, bytes] = MappingProxyType({}),
) -> None:
    """Write all tables and pictures; those of an earlier run are replaced, and what only that had is removed.

    Parameters
    ----------
    evaluation : Evaluation
    folder : Path
    worst : sequence of Worst
    pictures : mapping of str to bytes
        Of the worst, by their path in the folder.

    Raises
    ------
    OutputError
        When the folder can't be written to.
    """
    files = {METRICS: _csv(COLUMNS, map(cells, evaluation.measurements)), **pictures}
    if find_spec("pyarrow"):
        files[PARQUET] = _parquet(evaluation)
    if evaluation.failures:
        rows = [(each.case, each.stage, each.reason) for each in evaluation.failures]
        files[FAILURES] = _csv(("case", "stage", "reason"), rows)
    if evaluation.notes:
        told = [(each.case, each.structure, each.kind, each.message) for each in evaluation.notes]
        files[WARNINGS] = _csv(("case", "structure", "kind", "message"), told)
    if worst:
        chosen = [(each.rank, *cells(each.result), each.picture if each.picture in pictures else "") for each in worst]
        files[WORST] = _csv(("rank", *COLUMNS, "picture"), chosen)
    files |= {name: _csv(columns, rows) for name, (columns, rows) in lesion_tables(evaluation.lesions).items()}
    if evaluation.volumes:
        files[VOLUMES] = _csv(*volume_table(evaluation.volumes))
    before = _files_of(folder)
    with said_in_a_line(folder):
        (folder / RECORD).unlink(missing_ok=True)  # while it is not there, the tables need not fit together
        for name in before - files.keys():
            (folder / name).unlink(missing_ok=True)
        for parent in {(folder / name).parent for name in files}:
            parent.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        _write(folder / name, content)
    hashes = {name: sha256_bytes(content) for name, content in files.items()}
    _write(folder / RECORD, _json({**evaluation.facts, "files": hashes}))


def _files_of(folder: Path) -> set[str]:
    """Return what an earlier evaluation wrote into the folder."""
    try:
        if (folder / RECORD).stat().st_size > _AT_MOST_RECORD_BYTES:
            return set()
        files = json.loads((folder / RECORD).read_text(encoding="utf-8")).get("files")
    except (OSError, ValueError, AttributeError, RecursionError):
        return set()
    names = set(map(str, files)) if isinstance(files, dict) else set()
    root = folder.resolve()
    return {name for name in names if root in (folder / name).resolve().parents}


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Say rows in CSV: numbers in full, nothing for None."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows(rows)
    return text.getvalue().encode()


def _parquet(evaluation: Evaluation) -> bytes:
    arrow: Any = import_module("pyarrow")
    numbers = ("tolerance_mm", "value")
    schema = arrow.schema([(name, arrow.float64() if name in numbers else arrow.string()) for name in COLUMNS])
    rows = [dict(zip(COLUMNS, cells(row), strict=True)) for row in evaluation.measurements]
    table = arrow.Table.from_pylist(rows, schema=schema)
    found = io.BytesIO()
    import_module("pyarrow.parquet").write_table(table, found, compression="zstd")
    return found.getvalue()


def _json(content: object) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as file:
        file.write(content)
