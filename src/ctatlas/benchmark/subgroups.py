"""For whom a model is good: the rows of `subgroups.csv`.

Source of the protocol: Touchstone's groups: Kruskal-Wallis over the groups as a gate, then two-sided Mann-Whitney of
every pair of them. Here both are corrected, every group is listed with its n, and beside the plain mean stands the
difference that is left when the mix of structures is taken out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

from ctatlas.benchmark.correction import benjamini_hochberg, holm
from ctatlas.benchmark.groups import NOT_STATED, Grouping
from ctatlas.benchmark.resampling import Resampling, interval
from ctatlas.benchmark.scores import AVERAGE, Floats, Scores, nan_mean

ALL_MODELS = "all models"  # per case the mean over models
Row = Literal["group", "kruskal_wallis", "mann_whitney"]
_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class SubgroupRow:
    """A group, the test over all groups of a column, or the test of two of them.

    Attributes
    ----------
    row : str
        "group", "kruskal_wallis" or "mann_whitney".
    model : str
        "all models": of each case the mean over the models.
    structure : str
        "average": of each case the mean over its structures.
    column, group, other : str
        `other` is the second group of a Mann-Whitney test.
    n, n_other : int
        Cases; of a Kruskal-Wallis test those of all tested groups.
    mean, sd, median, ci_low, ci_high : float
        Of the group, in the metric's unit; s.d. with ddof 1, interval of the mean by bootstrap of patients.
    difference, difference_low, difference_high : float
        Of a group: how far its cases lie from the mean of each structure over all cases, so that a group is not good
        because easy structures are in view. Of two groups: the difference of their means.
    statistic, p, p_corrected : float
        H or U. Kruskal-Wallis is corrected by Benjamini and Hochberg over all columns, models and structures of a
        metric, Mann-Whitney by Holm over the pairs of groups.
    significant : str
        "true", "false", or empty where nothing was tested.
    """

    row: Row
    model: str
    structure: str
    metric: str
    column: str
    group: str = ""
    other: str = ""
    n: int = 0
    n_other: int | None = None
    mean: float = _NAN
    sd: float = _NAN
    median: float = _NAN
    ci_low: float = _NAN
    ci_high: float = _NAN
    difference: float = _NAN
    difference_low: float = _NAN
    difference_high: float = _NAN
    statistic: float = _NAN
    p: float = _NAN
    p_corrected: float = _NAN
    significant: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to test sub-groups.

    Attributes
    ----------
    at_least : int
        Cases of a group that is tested; smaller ones are listed only.
    """

    alpha: float = 0.05
    at_least: int = 10


def subgroups(scores: Scores, groupings: Sequence[Grouping], resampling: Resampling, plan: Plan) -> list[SubgroupRow]:
    """Describe and test every column for every model and for their mean, on the cases that all models have."""
    common = scores.of_cohort("common")[scores.with_results]
    models = [scores.models[m] for m in scores.with_results]
    if not np.isfinite(common).any():
        return []
    if len(models) > 1:
        models, common = [ALL_MODELS, *models], np.concatenate([nan_mean(common, axis=0)[None], common])
    averages = nan_mean(common[:, :, scores.common_structures], axis=2)
    values = np.concatenate([averages[:, :, None], common], axis=2)  # (models, cases, average and structures)
    names = (AVERAGE, *scores.structures)
    plain = _structure_mix_removed(common, scores.common_structures)
    rows: list[SubgroupRow] = []
    tested: list[_Tested] = []
    for grouping in groupings:
        rows += _described(scores, (models, names), (values, plain), grouping, resampling)
        tested += _tested(scores, (models, names), values, grouping, plan)
    gate = benjamini_hochberg(np.array([row.p for one in tested for row in one.rows]))
    for one in tested:
        mine, gate = gate[: len(one.rows)], gate[len(one.rows) :]
        rows += [
            replace(r, p_corrected=float(p), significant=_word(p < plan.alpha))
            for r, p in zip(one.rows, mine, strict=True)
        ]
        rows += _mann_whitney(one, np.flatnonzero(mine < plan.alpha), plan.alpha)
    return rows


@dataclass(frozen=True)
class _Tested:
    """The Kruskal-Wallis rows of one column and structure, a row a model, and the (models, n) values of its groups."""

    rows: list[SubgroupRow]
    groups: dict[str, Floats]


def _structure_mix_removed(values: Floats, structures: npt.NDArray[np.bool_]) -> Floats:
    """Return the (models, cases, average and structures) distance of each value from its structure's mean."""
    apart = values - nan_mean(values, axis=1)[:, None]
    return np.concatenate([nan_mean(apart[:, :, structures], axis=2)[:, :, None], apart], axis=2)


def _described(
    scores: Scores,
    words: tuple[Sequence[str], Sequence[str]],
    numbers: tuple[Floats, Floats],
    grouping: Grouping,
    resampling: Resampling,
) -> Iterator[SubgroupRow]:
    values, apart = numbers
    for g, name in enumerate((*grouping.names, NOT_STATED)):
        members = np.flatnonzero(grouping.of_case == (g if g < len(grouping.names) else -1))
        if not members.size:
            continue
        draws = resampling.of_cases(members)
        inside, inside_apart = np.moveaxis(values[:, members], 1, 0), np.moveaxis(apart[:, members], 1, 0)
        low, high = interval(draws.means(inside))
        apart_low, apart_high = interval(draws.means(inside_apart))
        mean_apart = nan_mean(inside_apart, axis=0)
        for m, model in enumerate(words[0]):
            for s, structure in enumerate(words[1]):
                there = inside[:, m, s][np.isfinite(inside[:, m, s])]
                if there.size:
                    yield SubgroupRow(
                        "group", model, structure, scores.metric.label, grouping.column, name, n=there.size,
                        mean=float(there.mean()), sd=float(there.std(ddof=1)) if there.size > 1 else _NAN,
                        median=float(np.median(there)), ci_low=float(low[m, s]), ci_high=float(high[m, s]),
                        difference=float(mean_apart[m, s]), difference_low=float(apart_low[m, s]),
                        difference_high=float(apart_high[m, s]),
                    )  # fmt: skip


def _tested(
    scores: Scores, words: tuple[Sequence[str], Sequence[str]], values: Floats, grouping: Grouping, plan: Plan
) -> Iterator[_Tested]:
    """Test all groups of a column that are large enough; every model has the same cases."""
    for s, structure in enumerate(words[1]):
        column = values[:, :, s]
        models = np.flatnonzero(np.isfinite(column).any(axis=1))
        there = np.isfinite(column[models]).all(axis=0)
        groups = {
            name: column[np.ix_(models, np.flatnonzero((grouping.of_case == g) & there))]
            for g, name in enumerate(grouping.names)
        }
        large = {name: group for name, group in groups.items() if group.shape[1] >= plan.at_least}
        if len(large) < 2 or not models.size:
            continue
        n = sum(group.shape[1] for group in large.values())
        statistic, p = _kruskal(list(large.values()))
        rows = [
            SubgroupRow(
                "kruskal_wallis", words[0][int(m)], structure, scores.metric.label, grouping.column, n=n,
                statistic=float(statistic[row]), p=float(p[row]),
            )
            for row, m in enumerate(models)
        ]  # fmt: skip
        yield _Tested(rows, large)


def _kruskal(groups: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Return H and p of each row; 0 and 1 where nothing differs, for which scipy has no value."""
    from scipy import stats

    with np.errstate(invalid="ignore", divide="ignore"):
        tested = stats.kruskal(*groups, axis=1)
    differs = np.isfinite(tested.pvalue)
    return np.where(differs, tested.statistic, 0.0), np.where(differs, tested.pvalue, 1.0)


def _mann_whitney(tested: _Tested, models: npt.NDArray[np.intp], alpha: float) -> Iterator[SubgroupRow]:
    """Test every pair of groups, for the models of which the groups differ at all."""
    from scipy import stats

    if not models.size:
        return
    pairs = list(combinations(tested.groups, 2))
    found = [
        stats.mannwhitneyu(tested.groups[one][models], tested.groups[two][models], alternative="two-sided", axis=1)
        for one, two in pairs
    ]
    statistics = np.array([each.statistic for each in found])
    p = np.nan_to_num(np.array([each.pvalue for each in found]), nan=1.0)  # (pairs, models)
    for column, m in enumerate(models):
        corrected = holm(p[:, column])
        for pair, (name, other) in enumerate(pairs):
            one, two = tested.groups[name][m], tested.groups[other][m]
            yield replace(
                tested.rows[m], row="mann_whitney", group=name, other=other, n=one.size, n_other=two.size,
                difference=float(one.mean() - two.mean()), statistic=float(statistics[pair, column]),
                p=float(p[pair, column]), p_corrected=float(corrected[pair]),
                significant=_word(corrected[pair] < alpha),
            )  # fmt: skip


def _word(value: object) -> str:
    """Spell a truth value as a cell of a table."""
    return str(bool(value)).lower()
