"""What is said of an evaluation: a table, the same as JSON, and what failed or looks wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.commands.console import say, say_json, say_table, tell

if TYPE_CHECKING:
    from ctatlas.benchmark.evaluate import Evaluation, StructureSummary
    from ctatlas.measure.detection import Detection

_AT_MOST_LINES, _AT_MOST_NAMES = 20, 8
_COLUMNS_OF_METRICS = 3  # what a terminal has room for
_COUNTS = ("missed", "false_positives", "no_prediction")  # shown when there are any
_TOLD_TOGETHER = {
    "not_predicted": "not evaluated, for no prediction tells about them (--structures counts them as missing)",
    "not_annotated": "predicted, but not evaluated where nobody annotated them",
    "surplus_prediction": "predictions without a reference",
}
_WITHOUT = {
    "numba": "measured without numba: the same values, slower",
    "pyarrow": "written without pyarrow: no metrics.parquet",
}
_LESION_COLUMNS = (
    "lesions of",
    "size",
    "rule",
    "there n",
    "found n",
    "sensitivity value",
    "95 %",
    "false a scan value",
)


def say_evaluation(found: Evaluation, out: Path) -> None:
    """Print a line a structure, and one for each size of lesion where those were counted."""
    from ctatlas.measure.metrics import metrics

    summary = found.summary()
    shown = [(each.metric, each.tolerance_mm) for each in summary[0].middles[:_COLUMNS_OF_METRICS]] if summary else []
    counted = [name for name in _COUNTS if any(getattr(each, name) for each in summary)]
    columns = ["structure", "cases n"]
    for metric, mm in shown:
        is_same = all((metric, mm) in [(one.metric, one.tolerance_mm) for one in each.middles] for each in summary)
        columns += [f"{_head(metric, mm if is_same else None, metrics()[metric].unit)} mean", "median"]
    columns += [f"{name.replace('_', ' ')} n" for name in counted]
    say_table(columns, [_line(each, shown, counted) for each in summary])
    if found.lesions.counted:
        say("")
        say_table(_LESION_COLUMNS, [_lesion_line(each) for each in found.lesions.counted if each.sensitivity.n])
    say(f"\n{out}")


def _head(metric: str, tolerance_mm: float | None, unit: str) -> str:
    at = f" {tolerance_mm:g} mm" if tolerance_mm is not None else ""
    return f"{metric}{at}{'' if unit == 'fraction' else f' {unit}'}"


def _line(each: StructureSummary, shown: Sequence[tuple[str, float | None]], counted: Sequence[str]) -> list[str]:
    """Say one structure; where tolerances differ by structure, its own stands in the column of the metric."""
    numbers: list[float | None] = []
    for metric, mm in shown:
        of_it = [middle for middle in each.middles if middle.metric == metric]
        middle = next((one for one in of_it if one.tolerance_mm == mm), of_it[0] if of_it else None)
        numbers += [middle.mean, middle.median] if middle else [None, None]
    return [
        each.structure,
        str(each.n),
        *("" if number is None else f"{number:.3f}" for number in numbers),
        *(str(getattr(each, name) or "") for name in counted),
    ]


def _lesion_line(each: Detection) -> list[str]:
    share, ends = each.sensitivity.value, each.sensitivity.interval
    return [
        each.structure,
        each.size_class,
        f"{each.rule} {each.threshold:g}",
        str(each.sensitivity.n),
        str(each.sensitivity.count),
        "" if share is None else f"{share:.3f}",
        f"{ends.low:.3f}-{ends.high:.3f}",
        f"{each.false_positives_per_scan:.2f}",
    ]


def say_evaluation_as_json(found: Evaluation, out: Path) -> None:
    """Print the same as JSON."""
    from dataclasses import asdict

    from ctatlas.benchmark.evaluate.lesions import DETECTION, SUMMARY
    from ctatlas.results import NOTICE

    say_json(
        {
            "notice": NOTICE,
            "folder": str(out),
            "structures": [asdict(each) for each in found.summary()],
            "failures": [asdict(each) for each in found.failures],
            "warnings": [asdict(each) for each in found.notes],
            "lesions": _rows_of(found, SUMMARY),
            "patients": _rows_of(found, DETECTION),
        }
    )


def _rows_of(found: Evaluation, table: str) -> list[dict[str, object]]:
    """Return a table of lesions as JSON has it, which knows no infinity."""
    from ctatlas.benchmark.evaluate.lesions import lesion_tables

    columns, rows = lesion_tables(found.lesions).get(table, ((), ()))
    return [
        {column: "inf" if cell == float("inf") else cell for column, cell in zip(columns, row, strict=True)}
        for row in rows
    ]


def tell_of_evaluation(found: Evaluation) -> None:
    """Say on stderr what failed and what looks wrong; the tables hold all of it."""
    lines = [f"{each.case}: {each.stage}: {each.reason}" for each in found.failures]
    alone = [each for each in found.notes if each.kind not in _TOLD_TOGETHER]
    lines += [": ".join(word for word in (each.case, each.structure, each.message) if word) for each in alone]
    for line in lines[:_AT_MOST_LINES]:
        tell(line)
    if len(lines) > _AT_MOST_LINES:
        tell(f"and {len(lines) - _AT_MOST_LINES} more in failures.csv and warnings.csv")
    for kind, what in _TOLD_TOGETHER.items():
        names = [each.structure or each.case for each in found.notes if each.kind == kind]
        more = f" and {len(names) - _AT_MOST_NAMES} more in warnings.csv" if len(names) > _AT_MOST_NAMES else ""
        if names:
            tell(f"{what}: {', '.join(names[:_AT_MOST_NAMES])}{more}")
    packages = found.facts.get("packages")
    if lacking := [what for name, what in _WITHOUT.items() if isinstance(packages, Mapping) and name not in packages]:
        tell(f"{'; '.join(lacking)} (pip install 'ctatlas[measure]')")
