from __future__ import annotations

import math

import numpy as np
import pytest

from ctatlas.benchmark.resampling import Resampling
from ctatlas.benchmark.scores import Scores
from ctatlas.benchmark.summary import SummaryRow, summarise
from tests.benchmark.conftest import scores_of

NAN = math.nan


def rows_of(scores: Scores) -> dict[tuple[str, str, str, str, int], SummaryRow]:
    draws = Resampling.draw(range(len(scores.cases)), 200, np.random.default_rng(0))
    return {(r.model, r.structure, r.cohort, r.mean_kind, r.ddof): r for r in summarise(scores, draws)}


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, str, str, str, int], SummaryRow]:
    return rows_of(
        scores_of(
            [
                [[0.9, 0.5], [0.8, NAN], [0.4, NAN]],
                [[0.7, 0.6], [0.9, NAN], [NAN, NAN]],
            ]
        )
    )


def test_a_structure_is_summarised_over_its_cases_in_percent(rows) -> None:
    row = rows["m0", "liver", "own", "structure", 1]
    assert (row.n, row.mean, row.median) == (3, pytest.approx(70), pytest.approx(80))
    assert row.sd == pytest.approx(math.sqrt((20**2 + 10**2 + 30**2) / 2))
    assert rows["m0", "liver", "own", "structure", 0].sd == pytest.approx(math.sqrt((20**2 + 10**2 + 30**2) / 3))


def test_the_common_cohort_holds_cases_of_which_all_have_a_value(rows) -> None:
    row = rows["m0", "liver", "common", "structure", 1]
    assert (row.n, row.mean) == (2, pytest.approx(85))


def test_the_average_per_case_and_per_structure_differ(rows) -> None:
    case, structure = rows["m0", "average", "own", "per_case", 1], rows["m0", "average", "own", "per_structure", 1]
    assert (case.n, case.mean) == (3, pytest.approx((70 + 80 + 40) / 3))
    assert (structure.n, structure.mean) == (2, pytest.approx((70 + 50) / 2))
    assert structure.sd == pytest.approx(math.sqrt(2 * 10**2))
    assert rows["m0", "average", "common", "per_case", 1].mean == pytest.approx((70 + 80) / 2)


def test_one_case_has_no_spread_with_ddof_1(rows) -> None:
    assert math.isnan(rows["m0", "spleen", "own", "structure", 1].sd)
    assert rows["m0", "spleen", "own", "structure", 0].sd == 0


def test_there_is_a_row_for_each_ddof_and_cohort(rows) -> None:
    assert {key[2:] for key in rows if key[:2] == ("m1", "average")} == {
        (cohort, kind, ddof)
        for cohort in ("own", "common")
        for kind in ("per_case", "per_structure")
        for ddof in (0, 1)
    }


def test_a_structure_that_a_model_lacks_leaves_the_common_average() -> None:
    rows = rows_of(scores_of([[[0.9, 0.5], [0.8, 0.4]], [[0.7, NAN], [0.9, NAN]]]))
    assert rows["m0", "average", "common", "per_structure", 0].n == 1
    assert rows["m0", "average", "own", "per_structure", 0].n == 2
    assert rows["m0", "spleen", "common", "structure", 0].n == 2  # of the models that have it
    assert ("m1", "spleen", "common", "structure", 0) not in rows


def test_the_interval_holds_the_mean(rows) -> None:
    row = rows["m0", "liver", "own", "structure", 1]
    assert 40 <= row.ci_low < row.mean < row.ci_high <= 90


def test_distances_stay_in_mm() -> None:
    rows = rows_of(scores_of([[[12.5], [2.5]]], metric="hd95"))
    assert rows["m0", "liver", "own", "structure", 1].mean == 7.5
