"""What stands in the tables of the page: cells as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ctatlas.benchmark.analysis import Analysis
from ctatlas.benchmark.figures.gallery import order_of, ranking_of, shown_metrics
from ctatlas.benchmark.figures.style import spoken
from ctatlas.benchmark.flags import Flag
from ctatlas.benchmark.pairwise import Comparison, Effect
from ctatlas.benchmark.published import Figure, Published, same_model
from ctatlas.benchmark.report.words import number, p_value, turned
from ctatlas.benchmark.scores import AVERAGE, Scores
from ctatlas.benchmark.summary import SummaryRow
from ctatlas.measure.intervals import proportion

KINDS = {
    "different_cases": "Models on different cases",
    "different_structures": "Models with different structures",
    "missing_values": "Gaps where other models have values",
    "no_metric": "Models without a metric",
    "no_common_case": "No case in common",
    "few_cases": "Too few cases",
    "winner_by_mean": "The winner depends on the kind of mean",
    "winner_by_cohort": "The winner depends on the cases",
    "winner_by_method": "The winner depends on the way of ranking",
    "winner_by_metric": "The winner depends on the metric",
    "identical_scores": "Models with the very same values",
    "significant_against_mean": "Significantly better, though the mean is worse",
    "training_cases": "Cases that models may have been trained on",
    "conventions_differ": "Measured in different ways",
    "tolerance_unknown": "Tolerances that are not stated",
    "no_metadata": "Cases without metadata",
    "no_results": "Folders without results",
    "unreadable_file": "Files that can't be read",
    "text_in_number": "Text where a number is expected",
    "out_of_range": "Values that can't be",
    "duplicate_case": "Cases given twice",
    "duplicate_column": "Columns given twice",
    "duplicate_metadata": "Cases with contradicting metadata",
    "unknown_column": "Columns that are no known structure",
    "no_subgroups": "Columns without sub-groups",
    "no_patients": "No patients stated",
}
_AT_MOST_CASES = 15
_AT_MOST_FLAGS = 8  # of one kind


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; `strong` is printed bold, `small` in a second line."""

    text: str
    small: str = ""
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the page; the first column holds names."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def data_card(analysis: Analysis) -> Table:
    """List each structure with its cases, and each group of every column."""
    first = shown_metrics(analysis)[0]
    there = np.asarray(np.isfinite(first.values).any(axis=0))
    rows = [
        (Cell(spoken(name)), Cell(f"{int(there[:, s].sum()):,}"), Cell(f"{int(first.common[:, s].sum()):,}"))
        for s, name in enumerate(first.structures)
    ]
    n_cases = there.any(axis=1)
    whole = (
        Cell("any structure", strong=True),
        Cell(f"{int(n_cases.sum()):,}"),
        Cell(f"{int(first.common.any(axis=1).sum()):,}"),
    )
    caption = f"Cases with a value ({first.metric.title}): of any model, and of all models that have the structure."
    return Table(caption, ("structure", "any model", "all models"), (*rows, whole))


def groups_card(analysis: Analysis) -> Table | None:
    """List how many cases each group of every column has."""
    rows = []
    for grouping in analysis.groupings:
        counts = [f"{name}: {int((grouping.of_case == g).sum()):,}" for g, name in enumerate(grouping.names)]
        if n := int((grouping.of_case < 0).sum()):
            counts.append(f"not stated: {n:,}")
        rows.append((Cell(grouping.column), Cell("; ".join(counts))))
    return Table("Groups of cases by the metadata.", ("column", "cases"), tuple(rows)) if rows else None


def leaderboard(analysis: Analysis) -> Table:
    """List the models by the mean per structure of the first metric."""
    shown = shown_metrics(analysis)
    first = shown[0]
    order = order_of(analysis, first)
    main = ranking_of(analysis, first.metric.label)
    places = {row.model: row for row in main.rows()} if main else {}
    means = {
        (r.model, r.metric, r.mean_kind): r
        for r in analysis.summary
        if r.cohort == "common" and r.structure == AVERAGE and r.ddof == 1
    }
    columns = ["model", "place"]
    for scores in shown:
        columns += [f"{scores.metric.title} per structure", f"{scores.metric.title} per case"]
    columns += ["missed", "false positives", "cases"]
    rows = []
    for model in order:
        place = places[model]
        draws = f"{place.rank_low:.0f}–{place.rank_high:.0f}" if np.isfinite(place.rank_low) else ""
        cells = [
            Cell(model),
            Cell(f"{place.rank:g}" + ("=" if place.tied_with_first and place.rank > 1 else ""), draws),
        ]
        for scores in shown:
            cells += [
                _with_interval(means.get((model, scores.metric.label, "per_structure")), scores.metric.digits),
                _with_sd(means.get((model, scores.metric.label, "per_case")), scores.metric.digits),
            ]
        rows.append((*cells, *_presence(analysis, model)))
    caption = (
        f"Models by {first.metric.title}, on the cases that all models have. Place: in small type 95 % of "
        "the bootstrap draws; “=”: tied with the first. Per structure: mean [95 % interval]; per case: "
        "mean ± s.d. over cases "
        "(ddof 1). Missed: structures that the reference has and the model has nothing of, on the model's "
        "own cases, with Wilson's interval; false positives: structures that the reference lacks."
    )
    return Table(caption, tuple(columns), tuple(rows))


def _with_interval(row: SummaryRow | None, digits: int) -> Cell:
    if row is None:
        return Cell("–")
    return Cell(number(row.mean, digits), f"[{number(row.ci_low, digits)}, {number(row.ci_high, digits)}]")


def _with_sd(row: SummaryRow | None, digits: int) -> Cell:
    return Cell(f"{number(row.mean, digits)} ± {number(row.sd, digits)}") if row else Cell("–")


def _presence(analysis: Analysis, model: str) -> Iterator[Cell]:
    results = analysis.results
    m = results.models.index(model)
    evaluated = np.zeros(results.missed.shape[1:], np.bool_)
    for scores in results.scores:
        if scores.metric.is_score:
            evaluated |= np.isfinite(scores.values[m])
    missed, n = int(results.missed[m].sum()), int(evaluated.sum())
    if n and missed <= n:
        share = proportion(missed, n).interval
        yield Cell(
            f"{number(100 * missed / n)} %",
            f"{missed:,} of {n:,} [{number(100 * share.low)}, {number(100 * share.high)}]",
        )
    else:
        yield Cell("–")
    spurious, absent = int(results.spurious[m].sum()), int(results.absent[m].sum())
    yield (
        Cell(f"{number(100 * spurious / absent)} %", f"{spurious:,} of {absent:,}")
        if absent
        else Cell("–", "not stated")
    )
    yield Cell(f"{max(int(scores.has_row[m].sum()) for scores in results.scores):,}")


def by_structure(analysis: Analysis, scores: Scores) -> Table:
    """List mean ± s.d. of every model and structure; bold where a model alone is the best."""
    label, order = scores.metric.label, order_of(analysis, scores)
    rows = {
        (r.model, r.structure): r
        for r in analysis.summary
        if (r.metric, r.cohort, r.mean_kind, r.ddof) == (label, "common", "structure", 1)
    }
    alone = {
        r.structure: r.models[int(r.ranks.argmin())]
        for r in analysis.rankings
        if (r.metric, r.method, r.mean_kind) == (label, "mean", "structure") and r.tied.sum() == 1 and len(r.models) > 1
    }
    counts = scores.common.sum(axis=0)
    columns = ("model", *(f"{spoken(name)}, n = {n}" for name, n in zip(scores.structures, counts, strict=True)))
    body = tuple(
        (
            Cell(model),
            *(
                _structure_cell(rows.get((model, name)), scores.metric.digits, strong=alone.get(name) == model)
                for name in scores.structures
            ),
        )
        for model in order
    )
    caption = (
        f"{scores.metric.title} in {scores.metric.unit} by structure: mean ± s.d. over the cases that all "
        "models have (ddof 1). Bold: significantly better than every other model."
    )
    return Table(caption, columns, body)


def _structure_cell(row: SummaryRow | None, digits: int, *, strong: bool) -> Cell:
    return Cell(number(row.mean, digits), f"± {number(row.sd, digits)}", strong) if row else Cell("–")


def first_against_others(analysis: Analysis, scores: Scores) -> Table | None:
    """Compare the leader with every other model on the average."""
    label, order = scores.metric.label, order_of(analysis, scores)
    if len(order) < 2:
        return None
    first = order[0]
    found = {
        e.model_b if e.model_a == first else e.model_a: turned(e, first)
        for e in analysis.effects
        if (e.metric, e.structure) == (label, AVERAGE) and first in (e.model_a, e.model_b)
    }
    p = {c.worse: c for c in analysis.comparisons if (c.metric, c.structure, c.better) == (label, AVERAGE, first)}
    rows = tuple(_pair_cells(found[model], p[model]) for model in order[1:] if model in found)
    caption = (
        f"{first} against every other model by {scores.metric.title}, means per case. Difference: mean [95 "
        f"% interval]; rank-biserial correlation: −1 to 1, above 0 where {first} is better; "
        "p: one-sided signed-rank test; bold: significant."
    )
    return Table(caption, ("against", "difference", "wins / ties / losses", "rank-biserial", "p", "p (Holm)"), rows)


def _pair_cells(effect: Effect, claim: Comparison) -> tuple[Cell, ...]:
    return (
        Cell(effect.model_b),
        Cell(number(effect.difference, 2), f"[{number(effect.ci_low, 2)}, {number(effect.ci_high, 2)}]"),
        Cell(f"{effect.wins:,} / {effect.ties:,} / {effect.losses:,}"),
        Cell(number(effect.rank_biserial, 2)),
        Cell(p_value(claim.p)),
        Cell(p_value(claim.p_holm), strong=claim.significant),
    )


def hardest_cases(analysis: Analysis, scores: Scores) -> Table | None:
    """List the cases in which even the best model is worst: their references are worth a look."""
    column = next((column for column in scores.columns() if column.structure == AVERAGE), None)
    if column is None or column.n < 2:
        return None
    good = scores.metric.goodness(column.values)
    names = [scores.models[m] for m in column.models]
    facts = [
        name for name, cells in analysis.metadata.columns.items() if name in {g.column for g in analysis.groupings}
    ][:4]
    rows = []
    for c in np.argsort(good.max(axis=0), kind="stable")[:_AT_MOST_CASES]:
        case = column.cases[c]
        best = int(good[:, c].argmax())
        rows.append(
            (
                Cell(scores.cases[case]),
                Cell(number(float(column.values[best, c]), scores.metric.digits), names[best]),
                Cell(number(float(column.values[:, c].mean()), scores.metric.digits)),
                *(Cell(analysis.metadata.columns[name][case]) for name in facts),
            )
        )  # fmt: skip
    caption = (
        f"The cases with the lowest best {scores.metric.title} (mean over the structures of the case): where "
        "every model fails, the reference may be at fault."
    )
    if scores.metric.better != "higher":
        caption = caption.replace("lowest best", "worst best")
    return Table(caption, ("case", f"best {scores.metric.title}", "mean over models", *facts), tuple(rows))


def beside_published(analysis: Analysis, table: Published) -> Table:
    """Put published averages beside those measured of a model of the same name, on its own cases."""
    shown = [
        scores.metric
        for scores in analysis.results.scores
        if any(f.metric == scores.metric.name for f in table.figures)
    ]
    figures = {(f.model, f.metric): f for f in table.figures if f.structure == AVERAGE}
    measured = {
        (r.model, r.metric): r
        for r in analysis.summary
        if (r.cohort, r.mean_kind, r.ddof) == ("own", "per_structure", 1)
    }
    ours = {
        f.model: next((name for name in analysis.results.models if same_model(name, f.model)), None)
        for f in table.figures
    }
    compared = any(ours.values())
    columns = ["model"]
    for metric in shown:
        columns += [f"{metric.title}, published", *([f"{metric.title}, measured here"] if compared else [])]
    rows = []
    for model in sorted(
        ours, key=lambda name: -max((f.mean for (m, _), f in figures.items() if m == name), default=0.0)
    ):
        name = ours[model]
        cells = [Cell(model, "" if name in (None, model) else f"here {name}")]
        for metric in shown:
            figure = figures.get((model, metric.name))
            cells.append(Cell(_printed(figure), figure.note if figure else ""))
            if compared:
                cells.append(_with_interval(measured.get((name or "", metric.label)), metric.digits))
        rows.append(tuple(cells))
    here = (
        "Measured here: mean per structure [95 % interval] on each model's own cases of this benchmark. "
        "Figures on different cases are no measure of each other."
        if compared
        else "None of these models was measured here."
    )
    remark = f"Test set: {table.test_set}. Kind of mean: {table.kind.replace('_', ' ')}; {table.remark}."
    return Table(f"{table.title}. {remark} {here} Source: {table.source}.", tuple(columns), tuple(rows))


def _printed(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    return number(figure.mean) + ("" if figure.sd is None else f" ± {number(figure.sd)}")


def flags_by_kind(flags: Sequence[Flag]) -> list[tuple[str, list[Flag], int]]:
    """Group flags by kind: the kind in words, the first of them, and how many more there are."""
    kinds: dict[str, list[Flag]] = {}
    for flag in flags:
        kinds.setdefault(flag.kind, []).append(flag)
    return [
        (
            KINDS.get(kind, kind.replace("_", " ").capitalize()),
            found[:_AT_MOST_FLAGS],
            max(0, len(found) - _AT_MOST_FLAGS),
        )
        for kind, found in kinds.items()
    ]
