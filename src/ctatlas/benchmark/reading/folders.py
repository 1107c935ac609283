"""Which tables of results lie in a folder: one folder a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ctatlas.benchmark.flags import Flag, error
from ctatlas.benchmark.reading.joining import joined
from ctatlas.benchmark.reading.measured import Measured
from ctatlas.benchmark.reading.own import read_own
from ctatlas.benchmark.reading.wide import read_wide
from ctatlas.benchmark.scores import Results, known_metric
from ctatlas.errors import TableError
from ctatlas.measure.metrics import metrics

AT_MOST_MODELS = 500
_OWN = ("metrics.parquet", "metrics.csv")
_EXPECTED = "expected metrics.parquet or metrics.csv of 'ctatlas evaluate', or dsc.csv and nsd.csv"


def read_results(folder: Path, only: Sequence[str] = ()) -> tuple[Results, list[Flag]]:
    """Read the results of all models.

    Parameters
    ----------
    folder : Path
        With a folder a model, called as the model; or the folder of a single model. In it `metrics.parquet` or
        `metrics.csv` (a row a measurement), or a file a metric such as `dsc.csv` and `nsd.csv` (column `name`, a
        column a structure; a blank is no value).
    only : sequence of str, optional
        The metrics to read; default: all that are there.

    Returns
    -------
    Results, list of Flag
        A model whose tables can't be used is left out, and flagged.

    Raises
    ------
    TableError
        When there is no model with results at all.
    """
    if unknown := [name for name in only if name not in metrics()]:
        raise TableError(f"no metric {unknown[0]!r}; expected some of {', '.join(metrics())}")
    measured: list[Measured] = []
    flags: list[Flag] = []
    for place in _places(folder):
        found, faults = _of_model(place, only)
        measured += found
        flags += faults
    if not measured:
        reason = f"{flags[0].model}: {flags[0].message}" if flags else _EXPECTED
        raise TableError(f"{folder}: no model with results in a folder of its own; {reason}")
    results, more = joined(measured)
    return results, [*flags, *more]


def _places(folder: Path) -> list[Path]:
    try:
        inside = sorted(place for place in folder.iterdir() if not place.name.startswith("."))
    except OSError as fault:
        raise TableError(f"{folder}: can't be read ({fault.strerror or fault}); expected a folder a model") from None
    if _tables(folder):
        return [folder]
    places = [place for place in inside if place.is_dir()]
    if len(places) > AT_MOST_MODELS:
        raise TableError(f"{folder}: {len(places)} folders; expected a folder a model, at most {AT_MOST_MODELS}")
    return places


def _tables(folder: Path) -> list[str]:
    """Return the metrics of which a folder has a file of its own; the own table counts under its file's name."""
    own = [name for name in _OWN if (folder / name).is_file()]
    return own or [name for name in metrics() if (folder / f"{name}.csv").is_file()]


def _of_model(folder: Path, only: Sequence[str]) -> tuple[list[Measured], list[Flag]]:
    model = folder.resolve().name
    names = _tables(folder)
    if not names:
        what = "an empty folder" if not any(folder.iterdir()) else "no table of results"
        return [], [error("no_results", f"{what}; {_EXPECTED}", model=model)]
    wanted = [name for name in metrics() if not only or name in only]
    if names[0] in _OWN:
        try:
            return read_own(folder, model, {name: known_metric(name).is_score for name in wanted})
        except TableError as fault:
            return [], [error("unreadable_file", f"{fault}; the model is left out", model=model)]
    measured: list[Measured] = []
    flags: list[Flag] = []
    for name in (name for name in names if name in wanted):
        try:
            one, faults = read_wide(folder / f"{name}.csv", model, name, is_fraction=known_metric(name).is_score)
        except TableError as fault:
            flags.append(error("unreadable_file", f"{fault}; the table is left out", model=model, metric=name))
        else:
            measured.append(one)
            flags += faults
    return measured, flags
