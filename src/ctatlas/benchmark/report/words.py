"""Numbers and facts as sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from ctatlas import __version__
from ctatlas.benchmark.analysis import Analysis
from ctatlas.benchmark.figures.gallery import order_of, ranking_of, shown_metrics
from ctatlas.benchmark.figures.style import spoken
from ctatlas.benchmark.pairwise import FAMILIES, Effect
from ctatlas.benchmark.ranks import Ranking
from ctatlas.benchmark.scores import AVERAGE, Metric, Scores
from ctatlas.benchmark.signed_rank import Zeros
from ctatlas.benchmark.subgroups import ALL_MODELS, SubgroupRow
from ctatlas.measure.metrics import metrics

_FAMILY = {
    "map": "all ordered pairs of models on one structure and one metric",
    "metric": "all ordered pairs of models on all structures of a metric",
    "all": "all ordered pairs of models on all structures and metrics",
}
_ZEROS: dict[Zeros, str] = {
    "wilcox": "zero differences dropped",
    "pratt": "zero differences ranked, then dropped (Pratt)",
    "zsplit": "the ranks of zero differences split between the signs",
}
_AT_MOST_NAMES = 6


def number(value: float, digits: int = 1) -> str:
    """Write a number, a dash where there is none, and a true minus.

    >>> number(-0.04), number(float("nan")), number(82.449)
    ('0.0', '–', '82.4')
    """
    if not np.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def p_value(p: float) -> str:
    """Write a p-value as papers do.

    >>> p_value(0.0000012), p_value(0.0312), p_value(1.0)
    ('< 0.001', '0.031', '1')
    """
    if not np.isfinite(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}".rstrip("0").rstrip(".")


def listed(names: Sequence[str], at_most: int = _AT_MOST_NAMES) -> str:
    """List names as a sentence does.

    >>> listed(["a", "b", "c"]), listed(["a"]), listed(list("abcdefgh"))
    ('a, b and c', 'a', 'a, b, c, d, e and 3 more')
    """
    if len(names) > at_most:
        names = [*names[: at_most - 1], f"{len(names) - at_most + 1} more"]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "none"


def counted(n: int, word: str) -> str:
    """Write how many there are.

    >>> counted(1, "case"), counted(743, "case")
    ('1 case', '743 cases')
    """
    return f"{n:,} {word}" + ("" if n == 1 else "s")


def with_unit(value: float, metric: Metric) -> str:
    """Write a value of a metric."""
    return f"{number(value, metric.digits)}\u202f{metric.unit}".rstrip()


def methods(analysis: Analysis) -> list[str]:
    """Return the paragraphs of the methods, made of what was done."""
    return [" ".join(part) for part in (_data(analysis), _statistics(analysis), _groups(analysis)) if part]


def _data(analysis: Analysis) -> list[str]:
    results, metadata = analysis.results, analysis.metadata
    titles = listed([scores.metric.title for scores in results.scores])
    sentences = [
        f"{counted(len(results.models), 'model')} {'was' if len(results.models) == 1 else 'were'} evaluated on "
        f"{counted(len(results.cases), 'case')} and {counted(len(results.structures), 'structure')} by {titles}."
    ]
    sentences += _conventions(results.scores)
    if metadata.says_patients:
        sentences.append(f"The cases are of {counted(metadata.n_patients, 'patient')}.")
    elif metadata.columns or len(results.cases) > 1:
        sentences.append("Each case counts as a patient of its own, since no patients are stated.")
    first = shown_metrics(analysis)[0]
    n_common, n_all = int(first.common.any(axis=1).sum()), int(np.isfinite(first.values).any(axis=(0, 2)).sum())
    if len(results.models) > 1:
        sentences.append(
            "Comparisons, ranks and sub-groups use the cases in which every model has a value: "
            f"{counted(n_common, 'case')} of the {n_all:,} in which any model has one "
            f"({first.metric.title})."
        )
    sentences.append(
        "A structure that the reference has and the model missed counts as 0 in scores from 0 to "
        "100\u202f%; a structure that the reference lacks is in no mean."
    )
    return sentences


def _conventions(scores: Sequence[Scores]) -> Iterator[str]:
    """Say whose definitions the values follow, and at which tolerance: without either they can't be compared."""
    if followed := sorted({word for each in scores for word in each.implementations}):
        yield f"Values follow the definitions of {listed(followed)} as ctatlas has them."
    for each in scores:
        if not metrics()[each.metric.name].takes_tolerance or each.metric.tolerance_mm is not None:
            continue  # "NSD at 2 mm" says it itself
        at = [f"{mm:g}" for mm in each.tolerances_mm]
        if len(at) > 1:
            yield f"{each.metric.title} is at {at[0]} to {at[-1]} mm, by structure."
        elif at:
            yield f"{each.metric.title} is at {at[0]} mm."
        else:
            yield f"The results do not state the tolerance of {each.metric.title}."


def _statistics(analysis: Analysis) -> list[str]:
    choices = analysis.choices
    sentences = [
        "The average over structures is given as the mean per structure (the unweighted mean of the "
        "structures' means) and as the mean per case (the mean over cases of each case's mean "
        "over its structures); models are ordered by the former.",
        f"Intervals are 95\u202f% percentile intervals of {choices.resamples:,} bootstrap draws of patients "
        f"(seed {choices.seed}); all models meet the same draws.",
        "Standard deviations are over cases, with ddof 1; summary.csv has both.",
    ]
    if len(analysis.results.models) > 1:
        m = max(_family_sizes(analysis), default=0)
        sentences += [
            "Each ordered pair of models was tested by the one-sided Wilcoxon signed-rank test "
            f"({_ZEROS[choices.zeros]}) on values per case, for the average on means per case; "
            f"p-values were corrected by Holm over {_FAMILY[choices.family]} (m\u202f=\u202f{m:,}), at a "
            f"level of {choices.alpha:g}.",
            "Ranks were drawn anew with every bootstrap draw; their stability is Kendall's tau-b to the "
            "ranking of all cases.",
            "Models that the first is not significantly better than are called tied with it.",
        ]
    sentences.append(f"All figures were made by ctatlas {__version__}.")
    return sentences


def _family_sizes(analysis: Analysis) -> list[int]:
    return list(Counter(map(FAMILIES[analysis.choices.family], analysis.comparisons)).values())


def _groups(analysis: Analysis) -> list[str]:
    if not analysis.groupings:
        return []
    tests = sum(row.row == "kruskal_wallis" for row in analysis.subgroups)
    return [
        f"Sub-groups were made by {listed([grouping.column for grouping in analysis.groupings], 12)}.",
        f"Groups of at least {counted(analysis.choices.at_least, 'case')} were compared by Kruskal-Wallis "
        "tests, corrected by Benjamini and Hochberg over all columns, models and "
        f"structures of a metric ({tests:,} tests in all), and where these were significant by two-sided "
        "Mann-Whitney tests of every pair of groups, corrected by Holm.",
        "These comparisons are not adjusted for other columns: groups may differ in more than their name.",
    ]


def overall(analysis: Analysis, scores: Scores) -> Iterator[str]:
    """Say who leads by a metric, by how much, and how sure that is."""
    metric, order = scores.metric, order_of(analysis, scores)
    main = ranking_of(analysis, metric.label)
    if main is None or not order:
        return
    ends = {
        row.model: (row.mean, row.ci_low, row.ci_high)
        for row in analysis.summary
        if (row.metric, row.cohort, row.mean_kind, row.ddof) == (metric.label, "common", "per_structure", 0)
    }
    mean, low, high = ends[order[0]]
    yield (
        f"By {metric.title} {order[0]} has the best mean per structure: {with_unit(mean, metric)} "
        f"(95\u202f% interval {number(low, metric.digits)} to {number(high, metric.digits)}; "
        f"{main.n:,} cases)" + (f", followed by {_followers(order, ends, metric)}." if len(order) > 1 else ".")
    )
    if len(order) > 1:
        yield from _sureness(analysis, main, order)
        yield from _lead(analysis, metric, order)


def in_short(analysis: Analysis, scores: Scores) -> str:
    """Say in a sentence who leads by a metric."""
    main, order = ranking_of(analysis, scores.metric.label), order_of(analysis, scores)
    if main is None or not order:
        return f"By {scores.metric.title} nothing can be compared: no case has a value of every model."
    best = main.models.index(order[0])
    tied = [model for model in order[1:] if main.tied[main.models.index(model)]]
    text = f"By {scores.metric.title} {order[0]} leads with {with_unit(float(main.values[best]), scores.metric)}"
    if len(order) > 1:
        text += f" (first in {100 * main.first_share[best]:.0f}\u202f% of the bootstrap draws)"
        text += f", statistically tied with {listed(tied)}" if tied else ", significantly better than every other model"
    return text + "."


def _followers(order: Sequence[str], ends: dict[str, tuple[float, float, float]], metric: Metric) -> str:
    return listed([f"{model} ({with_unit(ends[model][0], metric)})" for model in order[1:3]])


def _sureness(analysis: Analysis, main: Ranking, order: Sequence[str]) -> Iterator[str]:
    shares = {main.models[m]: float(main.first_share[m]) for m in range(len(main.models))}
    best = sorted(shares, key=lambda model: -shares[model])[:3]
    firsts = listed([f"{model} in {100 * shares[model]:.0f}\u202f%" for model in best if shares[model] >= 0.005])
    yield f"Of the bootstrap draws, first is {firsts}."
    tied = [main.models[m] for m in range(len(main.models)) if main.tied[m] and main.models[m] != order[0]]
    if tied:
        names = listed([model for model in order if model in tied])
        yield f"{names} {'is' if len(tied) == 1 else 'are'} tied with it: no significant difference of means per case."
    else:
        yield "It is significantly better than every other model."
    per_case = ranking_of(analysis, main.metric, "per_case")
    if per_case is not None and (first := per_case.models[int(per_case.ranks.argmin())]) != order[0]:
        yield f"By the mean per case {first} is first: which model leads depends on the kind of mean."


def _lead(analysis: Analysis, metric: Metric, order: Sequence[str]) -> Iterator[str]:
    effect = next(
        (
            e
            for e in analysis.effects
            if e.metric == metric.label and e.structure == AVERAGE and {e.model_a, e.model_b} == set(order[:2])
        ),
        None,
    )
    if effect is not None:
        one = turned(effect, order[0])
        unit = "points" if metric.unit == "%" else metric.unit
        yield (
            f"Over {order[1]} its mean per case differs by {number(one.difference, 2)} {unit} "
            f"({number(one.ci_low, 2)} to {number(one.ci_high, 2)}): it is better in {one.wins:,} cases, "
            f"worse in {one.losses:,}."
        )


def turned(effect: Effect, model: str) -> Effect:
    """Return the effect as seen from one of its models."""
    if effect.model_a == model:
        return effect
    return Effect(
        effect.structure, effect.metric, model, effect.model_a, effect.n, -effect.difference, -effect.ci_high,
        -effect.ci_low, effect.losses, effect.ties, effect.wins, -effect.rank_biserial,
    )  # fmt: skip


def stability(analysis: Analysis, scores: Scores) -> str:
    """Say how stable the rankings of a metric are."""
    found = [r for r in analysis.rankings if r.metric == scores.metric.label and r.method == "mean" and len(r.drawn)]
    medians = {r.structure + r.mean_kind: float(np.nanmedian(r.taus)) for r in found if np.isfinite(r.taus).any()}
    average = medians.pop(AVERAGE + "per_structure", None)
    medians.pop(AVERAGE + "per_case", None)
    if average is None:
        return ""
    text = f"By {scores.metric.title} the ranking by the mean per structure has a median tau of {average:.2f}"
    if medians:
        least = spoken(min(medians, key=lambda name: medians[name]).removesuffix("structure")).lower()
        text += f"; the least stable ranking of a single structure is that of the {least} ({min(medians.values()):.2f})"
    return text + "."


def differences_of_groups(analysis: Analysis, scores: Scores) -> list[str]:
    """Say in which columns groups differ, and which groups stand apart."""
    label = scores.metric.label
    rows = [row for row in analysis.subgroups if row.metric == label and row.structure == AVERAGE]
    whose = ALL_MODELS if any(row.model == ALL_MODELS for row in rows) else next((row.model for row in rows), "")
    rows = [row for row in rows if row.model == whose]
    gates = [row for row in rows if row.row == "kruskal_wallis"]
    clear = [row for row in gates if row.significant == "true"]
    if not gates:
        return ["No column has two groups that are large enough to be compared."]
    if not clear:
        return [f"By {scores.metric.title} groups differ significantly in no column."]
    return [_column_words(row, rows, scores.metric) for row in clear]


def _column_words(gate: SubgroupRow, rows: Sequence[SubgroupRow], metric: Metric) -> str:
    groups = [row for row in rows if row.row == "group" and row.column == gate.column]
    apart = [row for row in groups if row.difference_low > 0 or row.difference_high < 0]
    text = f"By {metric.title} groups differ by {gate.column} (Kruskal-Wallis p {_relation(gate.p_corrected)})"
    if apart:
        unit = " points" if metric.unit == "%" else f" {metric.unit}"
        furthest = sorted(apart, key=lambda row: -abs(row.difference))[:3]
        lines = [_group_words(row, unit, metric.digits) for row in furthest]
        text += f"; the mix of structures taken out, furthest from the mean of all cases are {listed(lines)}"
    return text + "."


def _group_words(row: SubgroupRow, unit: str, digits: int) -> str:
    mean, low, high = (number(end, digits) for end in (row.difference, row.difference_low, row.difference_high))
    return f"{row.group} by {mean}{unit} ({low} to {high}; {counted(row.n, 'case')})"


def _relation(p: float) -> str:
    return p_value(p) if p < 0.001 else f"= {p_value(p)}"
