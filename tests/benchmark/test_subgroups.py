"""Against scipy called group by group."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from ctatlas.benchmark.correction import benjamini_hochberg, holm
from ctatlas.benchmark.groups import NOT_STATED, grouped
from ctatlas.benchmark.resampling import Resampling
from ctatlas.benchmark.subgroups import ALL_MODELS, Plan, SubgroupRow, subgroups
from tests.benchmark.conftest import scores_of

N = 80
SITES = np.array((["A"] * 4 + ["B"] * 3 + ["C"] * 2 + [""]) * 8)
VALUES = np.random.default_rng(0).uniform(0.4, 0.8, (2, N, 2)) + 0.2 * (SITES == "B")[None, :, None]


@pytest.fixture(scope="module")
def rows() -> list[SubgroupRow]:
    draws = Resampling.draw(range(N), 300, np.random.default_rng(0))
    return subgroups(scores_of(VALUES.tolist()), [grouped("site", SITES.tolist())], draws, Plan())


def of(rows: list[SubgroupRow], row: str, model: str, structure: str) -> list[SubgroupRow]:
    return [each for each in rows if (each.row, each.model, each.structure) == (row, model, structure)]


def values_at(model: int, structure: int) -> dict[str, np.ndarray]:
    return {site: 100 * VALUES[model, site == SITES, structure] for site in "ABC"}


def test_every_group_is_described_those_without_a_value_too(rows) -> None:
    groups = of(rows, "group", "m1", "spleen")
    assert [(g.group, g.n) for g in groups] == [("A", 32), ("B", 24), ("C", 16), (NOT_STATED, 8)]
    assert groups[1].mean == pytest.approx(values_at(1, 1)["B"].mean())
    assert groups[1].sd == pytest.approx(values_at(1, 1)["B"].std(ddof=1))
    assert groups[1].ci_low < groups[1].mean < groups[1].ci_high


def test_kruskal_wallis_is_scipys_and_corrected_over_all_of_a_metric(rows) -> None:
    (found,) = of(rows, "kruskal_wallis", "m0", "liver")
    theirs = stats.kruskal(*values_at(0, 0).values())
    assert (found.statistic, found.p, found.n) == (pytest.approx(theirs.statistic), pytest.approx(theirs.pvalue), 72)
    gates = [each for each in rows if each.row == "kruskal_wallis"]
    assert [each.p_corrected for each in gates] == pytest.approx(
        benjamini_hochberg(np.array([each.p for each in gates]))
    )
    assert {each.model for each in gates} == {ALL_MODELS, "m0", "m1"}


def test_mann_whitney_is_scipys_and_corrected_over_the_pairs(rows) -> None:
    found = of(rows, "mann_whitney", "m0", "liver")
    groups = values_at(0, 0)
    theirs = [stats.mannwhitneyu(groups[a], groups[b]).pvalue for a, b in combinations("ABC", 2)]
    assert [(each.group, each.other) for each in found] == list(combinations("ABC", 2))
    assert [each.p for each in found] == pytest.approx(theirs)
    assert [each.p_corrected for each in found] == pytest.approx(holm(np.array(theirs)))
    assert [each.significant for each in found] == ["true", "false", "true"]
    assert found[0].difference == pytest.approx(groups["A"].mean() - groups["B"].mean())


def test_groups_are_not_compared_where_nothing_differs() -> None:
    draws = Resampling.draw(range(N), 100, np.random.default_rng(0))
    rows = subgroups(scores_of(np.full((1, N, 1), 0.5).tolist()), [grouped("site", SITES.tolist())], draws, Plan())
    assert {each.p for each in rows if each.row == "kruskal_wallis"} == {1.0}
    assert [each for each in rows if each.row == "mann_whitney"] == []


def test_small_groups_are_listed_and_not_tested() -> None:
    draws = Resampling.draw(range(N), 100, np.random.default_rng(0))
    rows = subgroups(scores_of(VALUES.tolist()), [grouped("site", SITES.tolist())], draws, Plan(at_least=20))
    assert {each.n for each in rows if each.row == "kruskal_wallis"} == {32 + 24}
    assert "C" in {each.group for each in rows if each.row == "group"}


def test_a_group_is_not_better_because_easier_structures_are_in_view() -> None:
    sites = ["A", "B"] * 30
    rng = np.random.default_rng(0)
    liver, aorta = rng.normal(0.95, 0.01, 60), rng.normal(0.6, 0.01, 60)
    values = np.stack([liver, np.where(np.array(sites) == "A", np.nan, aorta)], axis=1)[None]
    draws = Resampling.draw(range(60), 200, rng)
    groups = of(
        subgroups(scores_of(values.tolist()), [grouped("site", sites)], draws, Plan()), "group", "m0", "average"
    )
    assert groups[0].mean - groups[1].mean > 15
    assert abs(groups[0].difference - groups[1].difference) < 1
