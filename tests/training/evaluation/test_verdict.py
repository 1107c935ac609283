"""Structures are judged by their worst figure."""

from __future__ import annotations

import pytest

from ctatlas.training.evaluation.verdict import statuses


def figure(
    structure: str, dice: float | None, prior: float | None, invented: float = 0.0, sort: str = "phantom"
) -> dict[str, object]:
    return {
        "structure": structure,
        "sort": sort,
        "mean_dice": dice,
        "prior_dice": prior,
        "n": 3,
        "largest_invented_ml": invented,
    }


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([figure("liver", 0.9, 0.6)], "usable"),
        ([figure("liver", 0.9, 0.6), figure("liver", 0.4, 0.2, sort="real")], "experimental"),
        ([figure("liver", 0.9, 0.6, invented=7.0)], "experimental"),
        ([figure("liver", 0.9, 0.6), figure("liver", None, None, invented=7.0, sort="unlabelled")], "experimental"),
        ([figure("liver", 0.5, 0.6)], "not_usable"),
        ([figure("liver", 0.9, 0.6), figure("liver", 0.8, 0.85, sort="real")], "not_usable"),
    ],
)
def test_a_structure_is_judged_by_its_worst_figure(rows: list[dict[str, object]], status: str) -> None:
    assert statuses(rows) == {"liver": status}


def test_what_looks_wrong_in_a_real_scan_is_experimental_at_best() -> None:
    rows = [figure("liver", 0.9, 0.6), figure("spleen", 0.9, 0.6), figure("stomach", 0.2, 0.6)]
    found = statuses(rows, {"liver", "stomach"})
    assert found == {"liver": "experimental", "spleen": "usable", "stomach": "not_usable"}


def test_two_cases_are_too_few_to_trust_a_mean() -> None:
    few = [figure("prostate", 0.9, 0.1) | {"n": 2}]
    assert statuses(few) == {"prostate": "experimental"}
    assert statuses([*few, figure("prostate", 0.9, 0.1, sort="real") | {"n": 1}]) == {"prostate": "usable"}
