"""Results as `ctatlas evaluate` writes them: a row a measurement, as Parquet or CSV."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctatlas.benchmark.flags import Flag, error, note, warning
from ctatlas.benchmark.reading.measured import STATUSES, Measured, refuse_impossible
from ctatlas.benchmark.reading.text import MISSING, duplicates, number, read_text_table
from ctatlas.errors import TableError

if TYPE_CHECKING:
    import pandas as pd

AT_MOST_ROWS = 50_000_000
_NEEDED = ("case", "structure", "metric", "value")
_OPTIONAL = ("tolerance_mm", "implementation", "status")
_KEY = ["case", "structure", "metric", "tolerance_mm"]


def read_own(folder: Path, model: str, is_fraction: dict[str, bool]) -> tuple[list[Measured], list[Flag]]:
    """Read the table of one model, the Parquet file where it can be read, else the CSV.

    Parameters
    ----------
    is_fraction : dict
        The known metrics: whether a value lies in 0 to 1. Others are left out, and flagged.

    Raises
    ------
    TableError
        When nothing of it can be used.
    """
    rows, flags = _table(folder, model)
    unknown = sorted(set(rows["metric"].unique()) - set(is_fraction))
    flags += [note("unknown_metric", f"{name!r} is no known metric; it is left out", model=model) for name in unknown]
    rows = rows[rows["metric"].isin(is_fraction)]
    rows, twice = _one_row_each(rows, model)
    measured: list[Measured] = []
    flags += twice
    groups: Any = rows.groupby(["metric", "tolerance_mm"], dropna=False, sort=True)
    for (metric, tolerance), part in groups:
        name = str(metric)
        one, faults = _pivoted(part, model, name, float(tolerance), is_fraction=is_fraction[name])
        measured.append(one)
        flags += faults
    if not measured:
        raise TableError(
            f"{folder}: no measurement of a known metric; expected rows of {', '.join(sorted(is_fraction))}"
        )
    return measured, flags


def _table(folder: Path, model: str) -> tuple[pd.DataFrame, list[Flag]]:
    parquet, csv = folder / "metrics.parquet", folder / "metrics.csv"
    if parquet.is_file() and find_spec("pyarrow"):
        try:
            return _from_parquet(parquet, model)
        except TableError as fault:
            if not csv.is_file():
                raise
            rows, flags = _from_csv(csv, model)
            return rows, [warning("unreadable_file", f"{fault}; {csv.name} is taken instead", model=model), *flags]
    if not csv.is_file():
        raise TableError(f"{parquet}: needs pyarrow; install 'ctatlas[measure]', or put metrics.csv beside it")
    return _from_csv(csv, model)


def _from_parquet(path: Path, model: str) -> tuple[pd.DataFrame, list[Flag]]:
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            n_rows, columns = file.metadata.num_rows, file.schema_arrow.names
            _check_columns(path, columns)
            if n_rows > AT_MOST_ROWS:
                raise TableError(f"{path}: {n_rows} rows; expected at most {AT_MOST_ROWS}")
            wanted = [name for name in (*_NEEDED, *_OPTIONAL) if name in columns]
            rows = file.read(columns=wanted).to_pandas()
    except (pyarrow.ArrowException, OSError) as fault:
        raise TableError(f"{path}: can't be read as Parquet ({fault})") from None
    return _tidied(rows, model)


def _from_csv(path: Path, model: str) -> tuple[pd.DataFrame, list[Flag]]:
    import pandas as pd

    table = read_text_table(path)
    _check_columns(path, table.header)
    rows = pd.DataFrame(list(table.rows), columns=list(table.header), dtype=object)
    return _tidied(rows[[name for name in (*_NEEDED, *_OPTIONAL) if name in rows.columns]], model)


def _check_columns(path: Path, columns: Any) -> None:
    names = list(columns)
    if missing := [name for name in _NEEDED if name not in names]:
        raise TableError(f"{path}: no column {', '.join(missing)}; expected {', '.join((*_NEEDED, *_OPTIONAL))}")
    if twice := duplicates([name for name in names if name in (*_NEEDED, *_OPTIONAL)]):
        raise TableError(f"{path}: column {', '.join(twice)} stands there twice; expected each once")


def _tidied(rows: pd.DataFrame, model: str) -> tuple[pd.DataFrame, list[Flag]]:
    """Give every column its type; what is no number is left out, and flagged."""
    import pandas as pd

    rows = rows.copy()
    flags: list[Flag] = []
    for column in _OPTIONAL:
        if column not in rows:
            rows[column] = np.nan if column == "tolerance_mm" else ""
    for column in ("case", "structure", "metric", "implementation", "status"):
        rows[column] = rows[column].fillna("").astype(str)
    for column in ("value", "tolerance_mm"):
        read = pd.to_numeric(rows[column], errors="coerce").astype(float)
        for row in rows.index[read.isna() & rows[column].notna()]:
            cell = rows.at[row, column]
            found = number(str(cell)) if str(cell).lower() not in MISSING else float("nan")
            if found is None:
                place = {name: str(rows.at[row, name]) for name in ("metric", "structure", "case")}
                text = f"{column} {str(cell)[:40]!r}; expected a number, or nothing where there is none; left out"
                flags.append(error("text_in_number", text, model=model, **place))
            else:
                read.at[row] = found
        rows[column] = read
    without = rows["case"] == ""
    if without.any():
        flags.append(error("no_case_id", f"{int(without.sum())} rows without a case id; left out", model=model))
    if strange := sorted(set(rows["status"]) - set(STATUSES)):
        flags.append(
            note("unknown_status", f"status {', '.join(strange)}; expected {', '.join(STATUSES[1:])}", model=model)
        )
        rows.loc[rows["status"].isin(strange), "status"] = ""
    return rows[~without], flags


def _one_row_each(rows: pd.DataFrame, model: str) -> tuple[pd.DataFrame, list[Flag]]:
    """Keep one of equal rows; of rows that contradict each other none."""
    rows = rows.drop_duplicates([*_KEY, "value", "status"])
    contradicted = rows.duplicated(_KEY, keep=False)
    flags = [
        error(
            "duplicate_case", "several rows with different values, and nothing says which is right; they are left out",
            model=model, metric=metric, structure=structure, case=case,
        )
        for case, structure, metric, _ in rows.loc[contradicted, _KEY].drop_duplicates().itertuples(index=False)
    ]  # fmt: skip
    return rows[~contradicted], flags


def _pivoted(
    rows: pd.DataFrame, model: str, metric: str, tolerance: float, *, is_fraction: bool
) -> tuple[Measured, list[Flag]]:
    import pandas as pd

    case, cases = pd.factorize(rows["case"])
    structure, structures = pd.factorize(rows["structure"])
    codes = rows["status"].map({word: code for code, word in enumerate(STATUSES)}).to_numpy(np.uint8)
    values = np.full((len(cases), len(structures)), np.nan)
    status = np.zeros(values.shape, np.uint8)
    values[case, structure] = rows["value"].to_numpy(float)
    status[case, structure] = codes
    names = tuple(map(str, structures))
    values, flags = refuse_impossible(values, (model, metric), tuple(cases), names, is_fraction=is_fraction)
    implementations = tuple(sorted(word for word in rows["implementation"].unique() if word))
    known = None if np.isnan(tolerance) else float(tolerance)
    return Measured(model, metric, tuple(map(str, cases)), names, values, status, known, implementations), flags
