"""A small edition of `benchmarks/checks.py`: rules find their mistakes in phantoms, and say little of clean labels."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.checks import TRIALS, clean_scan, prove
from ctatlas.anatomy_rules.checks import check_table


def test_every_rule_has_a_trial() -> None:
    assert {trial.rule for trial in TRIALS} == {row.rule for row in check_table()}


@pytest.fixture(scope="module")
def counts() -> Counter[tuple[str, str]]:
    """Count on two whole trunks, one of them askew, with voxels a third larger than the benchmark's."""
    total: Counter[tuple[str, str]] = Counter()
    for number in (0, 2):
        total += prove(clean_scan(number, coarser=1.35), number)
    return total


@pytest.mark.parametrize("rule", sorted({trial.rule for trial in TRIALS}))
def test_a_rule_finds_what_it_is_for(counts: Counter[tuple[str, str]], rule: str) -> None:
    assert counts[rule, "made"] > 0
    assert counts[rule, "found"] >= 0.75 * counts[rule, "made"]


def test_all_rules_together_find_nearly_all_and_seldom_cry_wolf(counts: Counter[tuple[str, str]]) -> None:
    made, found, clean, alarms = (
        sum(n for (_, each), n in counts.items() if each == what) for what in ("made", "found", "clean", "alarms")
    )
    assert made > 100
    assert found >= 0.95 * made
    assert alarms <= 0.01 * clean
