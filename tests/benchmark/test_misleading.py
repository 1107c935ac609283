from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ctatlas.benchmark.analysis import Analysis, Choices, analyse
from ctatlas.benchmark.misleading import about_cases
from ctatlas.benchmark.scores import Results
from tests.benchmark.conftest import scores_of
from tests.support.results_tables import STRUCTURES, generate, write_wide


@dataclass(frozen=True)
class Tables:
    """A folder of models, each (cases, structures) of fractions; the first two structures hold values."""

    folder: Path

    def put(self, model: str, values: object, cases: list[str] | None = None) -> None:
        array = np.full((len(values), len(STRUCTURES)), np.nan)  # type: ignore[arg-type]
        array[:, :2] = values
        write_wide(self.folder / model / "dsc.csv", cases or [f"c{row:02d}" for row in range(len(array))], array)

    def kinds(self, **choices: object) -> dict[str, str]:
        return {flag.kind: flag.message for flag in self.analysis(**choices).flags}

    def analysis(self, **choices: object) -> Analysis:
        return analyse(self.folder, choices=Choices(resamples=100, **choices))  # type: ignore[arg-type]


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(tmp_path)


def noise(seed: int = 0, n: int = 30) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.6, 0.8, (n, 2))


def test_nothing_is_flagged_where_nothing_misleads(tables: Tables) -> None:
    tables.put("a", noise() + 0.1)
    tables.put("b", noise())
    assert tables.kinds() == {}


def test_models_on_different_cases_and_a_winner_that_changes_with_them(tables: Tables) -> None:
    values = noise()
    values[:10] -= 0.4  # hard cases, which one model did not have
    tables.put("a", values)
    tables.put("b", values[10:] - 0.05, [f"c{row:02d}" for row in range(10, 30)])
    kinds = tables.kinds()
    assert "was evaluated on 20 of 30 cases; 20 are common to all models" in kinds["different_cases"]
    assert kinds["winner_by_cohort"].startswith("b leads on each model's own cases, a on the common ones")


def test_models_without_a_common_case_are_not_compared(tables: Tables) -> None:
    tables.put("a", noise(), [f"x{row}" for row in range(30)])
    tables.put("b", noise(), [f"y{row}" for row in range(30)])
    analysis = tables.analysis()
    assert "no_common_case" in {flag.kind for flag in analysis.failed}
    assert analysis.comparisons == ()
    assert {row.cohort for row in analysis.summary} == {"own"}


def test_a_winner_that_changes_with_the_kind_of_mean(tables: Tables) -> None:
    one, two = noise(), noise()
    one[10:, 1] = two[10:, 1] = np.nan  # a rare structure
    one[:10, 1] += 0.15
    one[:, 0] -= 0.07
    tables.put("a", one)
    tables.put("b", two)
    assert tables.kinds()["winner_by_mean"].endswith("b leads by the mean per case, a by the mean per structure")


def test_few_cases(tables: Tables) -> None:
    tables.put("a", noise(n=9) + 0.1)
    tables.put("b", noise(n=9))
    assert "only 9 cases" in tables.kinds()["few_cases"]
    assert "few_cases" not in tables.kinds(at_least=9)


def test_few_cases_are_told_of_the_structures_that_have_them_or_once_of_all() -> None:
    values = [[[0.5, 0.6]] * 12, [[0.7, 0.8]] * 12]
    gaps = [[[pair[0], pair[1] if c < 5 else float("nan")] for c, pair in enumerate(cases)] for cases in values]
    scores = scores_of(gaps)
    nobody = np.zeros((2, 2), int)
    results = Results(
        scores.models, scores.cases, scores.structures, (scores,), np.zeros((2, 12, 2), bool), nobody, nobody
    )
    told = {n: [flag.structure for flag in about_cases(results, n) if flag.kind == "few_cases"] for n in (5, 10, 20)}
    assert told == {5: [], 10: ["spleen"], 20: ["average"]}


def test_one_table_under_two_names(tables: Tables) -> None:
    tables.put("a", noise())
    tables.put("b", noise())
    assert "very same values as b" in tables.kinds()["identical_scores"]


def test_a_claim_that_the_means_contradict(tables: Tables) -> None:
    values = noise()
    tables.put("a", values)
    fails = values - 0.01
    tables.put("b", fails)
    values[:3] = 0.0
    tables.put("a", values)
    assert "yet its mean is worse" in tables.kinds()["significant_against_mean"]


def test_a_structure_that_a_model_lacks(tables: Tables) -> None:
    one = noise()
    one[:, 1] = np.nan
    tables.put("a", one)
    tables.put("b", noise())
    assert "has no results of gall_bladder" in tables.kinds()["different_structures"]


def test_gaps_where_other_models_have_values(tables: Tables) -> None:
    one = noise() + 0.1
    one[:4, 1] = np.nan
    tables.put("a", one)
    tables.put("b", noise())
    assert tables.kinds()["missing_values"].startswith("lacks 4 of the values")


def test_cases_of_a_training_set_and_a_metric_that_a_model_lacks(tmp_path: Path) -> None:
    made = generate(tmp_path, 3, 60)
    (made.folder / made.models[1] / "nsd.csv").unlink()
    kinds = {flag.kind: flag for flag in analyse(made.folder, made.metadata, Choices(resamples=100)).flags}
    assert "are in the training part of their dataset" in kinds["training_cases"].message
    assert (kinds["no_metric"].model, kinds["no_metric"].metric) == (made.models[1], "nsd")
    assert "no_patients" in kinds
