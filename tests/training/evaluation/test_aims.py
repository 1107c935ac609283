"""Aims are told beside what is reached."""

from __future__ import annotations

import pytest

from ctatlas.anatomy import structures
from ctatlas.training.evaluation.aims import Aim, aims, aims_table, largest_invented, reached
from ctatlas.training.evaluation.figures import SORTS


def figure(structure: str, dice: float | None, sort: str = "real", invented: float = 0.0) -> dict[str, object]:
    return {"sort": sort, "structure": structure, "mean_dice": dice, "largest_invented_ml": invented, "n": 1}


def test_every_aim_is_of_something_that_is_measured() -> None:
    assert {aim.sort for aim in aims()} <= set(SORTS)
    assert {aim.figure for aim in aims()} - {"mean"} <= structures().keys()


def test_an_aim_is_compared_with_its_own_sort_of_data() -> None:
    figures = [figure("liver", 0.95), figure("liver", 0.5, "phantom")]
    assert reached(Aim("real", "liver", 0.9), figures) == 0.95
    assert reached(Aim("phantom", "mean", 0.9), figures) == 0.5
    assert reached(Aim("held out", "mean", 0.9), figures) is None


def test_what_is_reached_is_set_in_bold() -> None:
    lines = aims_table([figure("liver", 0.95), figure("spleen", 0.5)]).splitlines()
    assert "| real | liver | 0.94 | **0.950** |" in lines
    assert "| real | spleen | 0.92 | 0.500 |" in lines


@pytest.mark.parametrize(("sort", "told"), [("unlabelled", 7.0), ("phantom", 0.0)])
def test_only_what_is_invented_in_patients_counts_as_such(sort: str, told: float) -> None:
    figures = [figure("liver", 0.9), figure("urinary_bladder", None, sort, 7.0)]
    assert largest_invented(figures)[0] == told
    assert ("7.0 (urinary_bladder)" in aims_table(figures)) == bool(told)
