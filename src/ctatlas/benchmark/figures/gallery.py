"""Which figures an analysis gives, with their captions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.benchmark.analysis import Analysis
from ctatlas.benchmark.figures import cases, for_whom, ranking, significance, spread, tolerances
from ctatlas.benchmark.ranks import Ranking
from ctatlas.benchmark.scores import AVERAGE, Column, Scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AT_MOST_METRICS = 4  # on the page; figures of the others lie beside it
_FIRST = ("dsc", "nsd", "hd95", "assd")
AT_MOST_STRUCTURES = 12
AT_MOST_MODELS = 40  # more can't be read side by side


@dataclass(frozen=True)
class Picture:
    """One figure of the report.

    Attributes
    ----------
    name : str
        Of its files.
    section : str
        Where it stands: "overall", "ranking", "pairs", "structures", "subgroups" or "cases".
    alt, caption : str
        What it shows in a few words, and how to read it.
    draw : callable
    is_shown : bool
        Whether it stands on the page; of the metrics after the first few, figures are files alone.
    """

    name: str
    section: str
    alt: str
    caption: str
    draw: Callable[[], Figure]
    is_shown: bool = True


def pictures(analysis: Analysis) -> Iterator[Picture]:
    """Yield the figures for which there is something to show, those of the page first."""
    for scores in shown_metrics(analysis):
        yield from _of_metric(analysis, scores)
    yield from _of_two_metrics(analysis)
    yield from _of_tolerances(analysis)
    for scores in other_metrics(analysis):
        yield from (replace(picture, is_shown=False) for picture in _of_metric(analysis, scores))


def shown_metrics(analysis: Analysis) -> tuple[Scores, ...]:
    """Return the metrics that the report shows: overlap and surface before distances before volumes."""
    return _ordered(analysis)[:AT_MOST_METRICS]


def other_metrics(analysis: Analysis) -> tuple[Scores, ...]:
    """Return the metrics for which the page has no room: their figures and numbers are files."""
    return _ordered(analysis)[AT_MOST_METRICS:]


def _ordered(analysis: Analysis) -> tuple[Scores, ...]:
    before = {name: place for place, name in enumerate(_FIRST)}
    return tuple(sorted(analysis.results.scores, key=lambda each: before.get(each.metric.name, len(before))))


def order_of(analysis: Analysis, scores: Scores) -> list[str]:
    """Return the models by their place in the mean per structure."""
    found = ranking_of(analysis, scores.metric.label)
    return [found.models[m] for m in np.argsort(found.ranks, kind="stable")] if found else []


def ranking_of(analysis: Analysis, label: str, kind: str = "per_structure", method: str = "mean") -> Ranking | None:
    """Return one ranking of the average."""
    wanted = (label, AVERAGE, kind, method)
    return next((r for r in analysis.rankings if (r.metric, r.structure, r.mean_kind, r.method) == wanted), None)


def _of_metric(analysis: Analysis, scores: Scores) -> Iterator[Picture]:
    order = order_of(analysis, scores)[:AT_MOST_MODELS]
    columns = {column.structure: column for column in scores.columns()}
    average = columns.pop(AVERAGE, None)
    if average is None or not order:
        return
    yield from _of_values(analysis, scores, order, average, list(columns.values())[:AT_MOST_STRUCTURES])
    if len(order) > 1:
        yield from _of_places(analysis, scores, order)
        yield from _of_pairs(analysis, scores, order, list(columns)[:AT_MOST_STRUCTURES])
    yield from _of_groups(analysis, scores, order)


def _of_values(
    analysis: Analysis, scores: Scores, order: list[str], average: Column, columns: list[Column]
) -> Iterator[Picture]:
    label, title = scores.metric.label, scores.metric.title
    yield Picture(
        f"raincloud_{label}", "overall", f"{title} of every case by model",
        f"{title} of every case, the mean over its structures ({average.n} cases that all models have). "
        "Cloud: density; "
        "bar: quartiles; ring: median; diamond: mean; dots: cases. Models in the order of their mean per structure.",
        partial(spread.raincloud, scores, order, average),
    )  # fmt: skip
    yield Picture(
        f"survival_{label}", "cases", f"share of cases by {title}",
        f"Share of cases whose {title} is so good: the tails that means hide.",
        partial(spread.survival, scores, order, average),
    )  # fmt: skip
    if columns:
        yield Picture(
            f"structures_{label}", "structures", f"{title} by structure and model",
            f"{title} in {scores.metric.unit} by structure. Box: quartiles, line: median, whiskers: 1.5 "
            "times the interquartile range; orange "
            "number: cases in which the model missed the structure altogether.",
            partial(spread.boxes, scores, order, columns, analysis.results.missed),
        )  # fmt: skip
    if len(order) > 1:
        yield Picture(
            f"cases_{label}", "cases", f"{title} of every case and model",
            f"{title} of every case (columns) by every model (rows). A dark column is hard for all models: "
            "look at its reference "
            "first. A dark tile in a bright column is one model's failure.",
            partial(cases.shared_failures, scores, order, average),
        )  # fmt: skip


def _of_places(analysis: Analysis, scores: Scores, order: list[str]) -> Iterator[Picture]:
    label, title = scores.metric.label, scores.metric.title
    main = ranking_of(analysis, label)
    rankings = [each for each in analysis.rankings if each.metric == label]
    if main is not None and len(main.drawn):
        yield Picture(
            f"places_{label}", "ranking", f"places of the models by {title} in bootstrap draws",
            f"Places by {title} (mean per structure) in {len(main.drawn)} bootstrap draws of patients. "
            "Area: share of the draws; grey line: "
            "95 % of them; orange: the place in all cases.",
            partial(ranking.blobs, main),
        )  # fmt: skip
    if len(order) > 2:
        yield Picture(
            f"ways_{label}", "ranking", f"places of the models by {title}, by way of ranking",
            f"Places by {title} under five ways to rank the same cases; models whose place depends on the "
            "way are coloured.",
            partial(ranking.ways, rankings, order),
        )  # fmt: skip
        yield Picture(
            f"tau_{label}", "ranking", f"stability of rankings by {title}",
            f"Stability of each ranking by mean {title}: Kendall's tau-b between the ranking of each draw "
            "and that of all cases (1: the "
            "same). Ring: median; line: 95 %.",
            partial(ranking.taus, rankings),
        )  # fmt: skip


def _of_pairs(analysis: Analysis, scores: Scores, order: list[str], structures: list[str]) -> Iterator[Picture]:
    label, title = scores.metric.label, scores.metric.title
    comparisons = [one for one in analysis.comparisons if one.metric == label]
    effects = [one for one in analysis.effects if one.metric == label]
    how = (
        f"Colour: {'rank-biserial correlation' if scores.metric.errs_both_ways else 'mean difference'} between the "
        "model of the row and that of the column, orange where the row's is better; dot: it is significantly better"
    )
    yield Picture(
        f"significance_{label}", "pairs", f"significance map of {title}",
        f"{how} (one-sided Wilcoxon signed-rank test on means per case, Holm). {title}.",
        partial(significance.significance_map, scores.metric, order, comparisons, effects),
    )  # fmt: skip
    if structures:
        yield Picture(
            f"significance_structures_{label}", "structures", f"significance maps of {title} by structure",
            f"{how}, by structure. {title}; one scale of colour for all maps.",
            partial(significance.significance_maps, scores.metric, order, structures, comparisons, effects),
        )  # fmt: skip


def _of_groups(analysis: Analysis, scores: Scores, order: list[str]) -> Iterator[Picture]:
    label, title = scores.metric.label, scores.metric.title
    rows = [row for row in analysis.subgroups if row.metric == label]
    at_least = analysis.choices.at_least
    if not any(row.structure == AVERAGE for row in rows):
        return
    yield Picture(
        f"groups_{label}", "subgroups", f"{title} by sub-group",
        "How far the cases of each group lie from the mean of their structures over all cases (mean over "
        "models), with 95 % bootstrap intervals; "
        f"orange: the interval excludes 0; grey: not tested (fewer than {at_least} cases, or not stated). {title}.",
        partial(for_whom.forest, scores.metric, rows, at_least),
    )  # fmt: skip
    if len(order) > 1:
        yield Picture(
            f"groups_models_{label}", "subgroups", f"{title} by sub-group and model",
            f"Mean {title} per case of every group and model, in {scores.metric.unit}; groups of fewer than "
            f"{at_least} cases in grey. The mix of structures is not "
            "taken out here: compare within a row.",
            partial(for_whom.heat_map, scores.metric, rows, order, at_least),
        )  # fmt: skip


def _of_two_metrics(analysis: Analysis) -> Iterator[Picture]:
    by_label = {scores.metric.name: scores for scores in analysis.results.scores}
    if not {"dsc", "nsd"} <= set(by_label):
        return
    first, second = by_label["dsc"], by_label["nsd"]
    order = order_of(analysis, first)
    if order and order[0] in {second.models[m] for m in second.with_results}:
        yield Picture(
            "dsc_nsd", "cases", "NSD against DSC",
            f"{second.metric.title} against DSC of {order[0]}, a dot a case and structure. Far from the crowd: masks "
            "whose volume overlaps well and whose surface does not lie well, or the reverse.",
            partial(cases.one_against_the_other, first, second, order[0]),
        )  # fmt: skip
    yield from _of_volumes(analysis, order)


def _of_volumes(analysis: Analysis, order: list[str]) -> Iterator[Picture]:
    by_label = {scores.metric.name: scores for scores in analysis.results.scores}
    if not order or not {"volume_error_ml", "volume_error"} <= set(by_label):
        return
    m = analysis.results.models.index(order[0])
    apart, share = by_label["volume_error_ml"].values[m].ravel(), by_label["volume_error"].values[m].ravel() / 100
    there = np.isfinite(apart) & np.isfinite(share) & (share != 0) & (share > -1)
    if there.sum() > 2:
        reference = apart[there] / share[there]
        yield Picture(
            "volumes", "cases", "agreement of volumes",
            f"Volumes of {order[0]} against the reference, a dot a case and structure (where they differ "
            "and neither is empty), with bias and 95 % limits of agreement.",
            partial(cases.volumes, reference, reference + apart[there], order[0]),
        )  # fmt: skip


def _of_tolerances(analysis: Analysis) -> Iterator[Picture]:
    several = [scores for scores in analysis.results.scores if scores.metric.tolerance_mm is not None]
    order = order_of(analysis, several[0]) if several else []
    if len(several) > 1 and order:
        yield Picture(
            "tolerance", "overall", "NSD by tolerance",
            "NSD by tolerance: mean per structure over the cases that all models have; bands: 95 % bootstrap intervals "
            "of the first models.",
            partial(tolerances.curve, several, order, analysis.resampling()),
        )  # fmt: skip
