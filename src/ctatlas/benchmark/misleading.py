"""What would mislead a reader of the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from ctatlas.benchmark.flags import Flag, error, note, warning
from ctatlas.benchmark.pairwise import Comparison, Effect
from ctatlas.benchmark.ranks import Ranking
from ctatlas.benchmark.reading import Metadata
from ctatlas.benchmark.scores import AVERAGE, Results, Scores
from ctatlas.benchmark.summary import SummaryRow

_TRAINING = ("train", "training")


def about_cases(results: Results, at_least: int) -> Iterator[Flag]:
    """Flag models evaluated on different cases, and too few of them."""
    for scores in results.scores:
        yield from _different_cases(scores)
        yield from _few_cases(scores, at_least)


def _different_cases(scores: Scores) -> Iterator[Flag]:
    label, who = scores.metric.label, scores.with_results
    absent = [model for m, model in enumerate(scores.models) if m not in who]
    for model in absent:
        yield warning(
            "no_metric", "has no results of this metric; it is in no comparison of it", model=model, metric=label
        )
    union, shared = scores.has_row[who].any(axis=0), scores.has_row[who].all(axis=0)
    n_common = int(scores.common.any(axis=1).sum())
    for m in who:
        n = int(scores.has_row[m].sum())
        if n < union.sum():
            empty = "" if n_common == shared.sum() else f", {n_common} of them with a value"
            text = (
                f"was evaluated on {n} of {int(union.sum())} cases; {int(shared.sum())} are common to all models{empty}"
                ": comparisons use these"
            )
            yield warning("different_cases", text, model=scores.models[m], metric=label)
    there = np.isfinite(scores.values)
    for m in who:
        if missing := [scores.structures[s] for s in np.flatnonzero(~there[m].any(axis=0) & there.any(axis=(0, 1)))]:
            text = f"has no results of {', '.join(missing)}; the common average leaves these structures out"
            yield warning("different_structures", text, model=scores.models[m], metric=label)
    expected = there[who].any(axis=0)
    for m in who:
        evaluated = scores.has_row[m][:, None] & there[m].any(axis=0)[None]
        if n := int((expected & ~there[m] & evaluated).sum()):
            text = f"lacks {n} of the values that other models have, in cases that it was evaluated on"
            if not scores.metric.is_score:
                text += "; what was missed has no distance, so that the mean over its own cases flatters it"
            yield warning("missing_values", text, model=scores.models[m], metric=label)
    if len(who) > 1 and not scores.common.any():
        yield error("no_common_case", "no case has a value of every model; nothing can be compared", metric=label)


def _few_cases(scores: Scores, at_least: int) -> Iterator[Flag]:
    """Flag too few cases: of structures, or once of all where even all together are few."""
    label, n_all = scores.metric.label, int(scores.common.any(axis=1).sum())
    few = f"fewer than {at_least}: too few to compare models"
    if n_all < at_least:
        if n_all:
            text = f"only {n_all} cases with a value of every model, of whatever structure, {few}"
            yield warning("few_cases", text, metric=label, structure=AVERAGE)
        return
    for name, n in zip(scores.structures, scores.common.sum(axis=0), strict=True):
        if 0 < n < at_least:
            yield warning(
                "few_cases", f"only {n} cases with a value of every model, {few}", metric=label, structure=name
            )


def about_winners(rows: Sequence[SummaryRow], rankings: Sequence[Ranking], metrics: Sequence[Scores]) -> Iterator[Flag]:
    """Flag a winner that changes with the kind of mean, with the cohort, or with the way of ranking."""
    for scores in metrics:
        label = scores.metric.label
        best = {
            (cohort, kind): _best(scores, [r for r in rows if _is(r, label, cohort, kind)])
            for cohort in ("own", "common")
            for kind in ("per_case", "per_structure")
        }
        for cohort in ("own", "common"):
            case, structure = best[cohort, "per_case"], best[cohort, "per_structure"]
            if case and structure and case != structure:
                text = (
                    f"in the {cohort} cohort {case} leads by the mean per case, {structure} by the mean per structure"
                )
                yield warning("winner_by_mean", text, metric=label, structure=AVERAGE)
        for kind in ("per_case", "per_structure"):
            own, common = best["own", kind], best["common", kind]
            if own and common and own != common:
                text = f"{own} leads on each model's own cases, {common} on the common ones ({_words(kind)})"
                yield warning("winner_by_cohort", text, metric=label, structure=AVERAGE)
        yield from _by_method(label, rankings)
    leaders = {r.metric: r.models[int(r.ranks.argmin())] for r in rankings if r.mean_kind == "per_structure"}
    if len(set(leaders.values())) > 1:
        text = "; ".join(f"{model} leads by {metric}" for metric, model in leaders.items())
        yield warning("winner_by_metric", text, structure=AVERAGE)


def _by_method(label: str, rankings: Sequence[Ranking]) -> Iterator[Flag]:
    ours = [r for r in rankings if (r.metric, r.structure, r.mean_kind) == (label, AVERAGE, "per_case")]
    first = {r.method: sorted(np.array(r.models)[r.ranks == r.ranks.min()]) for r in ours if len(r.models) > 1}
    mean = first.pop("mean", None)
    for method, names in first.items():
        if mean and not set(mean) & set(names):
            text = f"{' and '.join(mean)} leads by the mean per case, {' and '.join(names)} by {_words(method)}"
            yield warning("winner_by_method", text, metric=label, structure=AVERAGE)


def about_pairs(results: Results, comparisons: Sequence[Comparison], effects: Sequence[Effect]) -> Iterator[Flag]:
    """Flag models with identical scores, and claims that the means contradict."""
    for scores in results.scores:
        for one, two in combinations(scores.with_results, 2):
            if np.array_equal(scores.values[one], scores.values[two], equal_nan=True):
                other = scores.models[two]
                text = f"has the very same values as {other} in every case: is it the same model, or one table twice?"
                yield warning("identical_scores", text, model=scores.models[one], metric=scores.metric.label)
    means = {(e.metric, e.structure, *pair): sign * e.difference for e in effects for pair, sign in _both(e)}
    better = {scores.metric.label: scores.metric for scores in results.scores}
    for one in comparisons:
        difference = means.get((one.metric, one.structure, one.better, one.worse), 0.0)
        gain = difference if better[one.metric].better == "higher" else -difference
        if one.significant and gain < 0 and better[one.metric].better in ("higher", "lower"):
            text = (
                f"is significantly better than {one.worse} in most cases (p {one.p_holm:.2g}), yet its mean is "
                f"worse by {abs(gain):.3g}: a few large failures"
            )
            yield warning(
                "significant_against_mean", text, model=one.better, metric=one.metric, structure=one.structure
            )


def about_metadata(metadata: Metadata) -> Iterator[Flag]:
    """Flag cases that some models may have been trained on."""
    for name, cells in metadata.columns.items():
        n = sum(cell.lower() in _TRAINING for cell in cells)
        if n and name.lower() in ("split", "set", "subset"):
            text = (
                f"{n} of {len(cells)} cases are in the training part of their dataset (column {name!r}): "
                "models that were trained on it have seen them"
            )
            yield warning("training_cases", text)
    if metadata.columns and not metadata.says_patients:
        yield note("no_patients", "the metadata has no column of patients: each case counts as a patient of its own")


def _both(effect: Effect) -> tuple[tuple[tuple[str, str], int], tuple[tuple[str, str], int]]:
    return ((effect.model_a, effect.model_b), 1), ((effect.model_b, effect.model_a), -1)


def _is(row: SummaryRow, label: str, cohort: str, kind: str) -> bool:
    return (row.metric, row.structure, row.cohort, row.mean_kind, row.ddof) == (label, AVERAGE, cohort, kind, 1)


def _best(scores: Scores, rows: Sequence[SummaryRow]) -> str:
    if len(rows) < 2:
        return ""
    good = scores.metric.goodness(np.array([row.mean for row in rows]))
    return rows[int(good.argmax())].model


def _words(kind: str) -> str:
    return {
        "per_case": "mean per case", "per_structure": "mean per structure", "median": "the median",
        "mean_rank": "the mean rank within cases", "tests_won": "tests won",
    }[kind]  # fmt: skip
