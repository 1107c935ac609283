"""Scores count what the truth knows, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from ctatlas.training.evaluation.cases import Case, with_wholes
from ctatlas.training.evaluation.figures import overall, summary, table
from ctatlas.training.evaluation.scores import Score, comparable, score
from ctatlas.volume import Grid, Segmentation, Volume

GRID = Grid((20, 24, 10), np.diag([-2.0, -2.5, 5.0, 1.0]))


def box(*sides: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(GRID.shape, dtype=bool, order="F")
    mask[tuple(slice(*side) for side in sides)] = True
    return mask


WHOLE, HALF = box((2, 10), (2, 8), (1, 5)), box((2, 6), (2, 8), (1, 5))
FAR, NOTHING = box((14, 18), (14, 18), (6, 9)), box((0, 0), (0, 0), (0, 0))


def scores_of(truth: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> dict[str, Score]:
    case = Case(
        "phantom",
        "one",
        Volume(np.zeros(GRID.shape, dtype=np.int16), GRID),
        Segmentation.from_masks(GRID, truth),
    )
    return {each.structure: each for each in score(case, Segmentation.from_masks(GRID, found), {"liver": 0.25})}


def test_half_an_organ_scores_as_the_formulas_say() -> None:
    row = scores_of({"liver": WHOLE}, {"liver": HALF})["liver"]
    assert row.dice == pytest.approx(2 * 0.5 / 1.5)
    assert row.volume_error == pytest.approx(-0.5)
    assert row.position_dice == 0.25
    assert row.predicted_ml == pytest.approx(HALF.sum() * 25 / 1000)
    assert (row.invented_ml, row.stray_ml) == (0, 0)
    assert row.nsd is not None
    assert 0 < row.nsd < 1


def test_a_structure_known_to_be_absent_is_invented() -> None:
    row = scores_of({"spleen": NOTHING}, {"spleen": FAR})["spleen"]
    assert row.dice is row.nsd is row.volume_error is None
    assert row.invented_ml == pytest.approx(FAR.sum() * 25 / 1000)
    assert row.stray_ml == 0


def test_a_piece_elsewhere_is_stray() -> None:
    row = scores_of({"liver": WHOLE}, {"liver": HALF | FAR})["liver"]
    assert row.stray_ml == pytest.approx(FAR.sum() * 25 / 1000)
    assert row.invented_ml == 0


def test_nothing_is_said_of_what_the_truth_does_not_name() -> None:
    assert scores_of({"liver": WHOLE}, {"liver": WHOLE, "spleen": FAR}).keys() == {"liver"}


@pytest.mark.parametrize("side", [0, 1], ids=["the reference", "the model"])
def test_a_rectum_counts_as_colon_where_one_side_does_not_tell_them_apart(side: int) -> None:
    parted = Segmentation.from_masks(GRID, {"colon": HALF, "rectum": FAR})
    whole = Segmentation.from_masks(GRID, {"colon": HALF | FAR})
    sides = (parted, whole)
    truth, found = comparable(sides[side], sides[1 - side])
    np.testing.assert_array_equal(truth.mask("colon"), found.mask("colon"))
    assert "rectum" not in (*truth.names, *found.names)


def test_rectum_and_colon_stay_apart_where_both_sides_tell_them_apart() -> None:
    parted = Segmentation.from_masks(GRID, {"colon": HALF, "rectum": FAR})
    assert set(comparable(parted, parted)[0].names) == {"colon", "rectum"}


def test_sided_organs_are_scored_as_pairs_too() -> None:
    masks = {"hip_left": HALF, "hip_right": FAR}
    rows = scores_of(masks, {"hip_left": FAR, "hip_right": HALF})
    assert rows["hip_left"].dice == 0
    assert rows["hips"].dice == 1


def test_parts_make_up_their_wholes() -> None:
    parts = Segmentation.from_masks(GRID, {"lung_upper_lobe_left": HALF, "lung_lower_lobe_left": FAR})
    np.testing.assert_array_equal(with_wholes(parts).mask("lung_left"), HALF | FAR)


def row(structure: str, dice: float | None, *, sort: str = "phantom", invented: float = 0.0) -> Score:
    return Score(sort, "one", structure, dice, dice, None if dice is None else -0.1, 0.2, 10.0, 9.0, invented, 0.0)


def test_means_are_over_the_cases_that_have_the_structure() -> None:
    figures = summary([row("liver", 0.8), row("liver", 0.6), row("liver", None, invented=3.0)])
    assert len(figures) == 1
    figure = figures[0]
    assert (figure["n"], figure["n_absent"]) == (2, 1)
    assert figure["mean_dice"] == pytest.approx(0.7)
    assert figure["mean_volume_error"] == pytest.approx(0.1)
    assert figure["largest_invented_ml"] == 3.0
    assert overall(figures)["phantom"] == pytest.approx(0.7)
    assert overall(figures)["real"] is None


def test_the_table_has_a_row_per_structure_and_a_column_per_sort() -> None:
    lines = table(summary([row("liver", 0.8), row("liver", 0.7, sort="real"), row("spleen", None, invented=6.0)]))
    head, _, liver, spleen = lines.splitlines()
    assert head.split(" | ")[2:4] == ["phantom", "real"]
    assert "0.800 (0.20) · 0.80 · 10%, n = 1" in liver
    assert "0.700" in liver
    assert spleen.endswith("| 6.0 | 0.0 |")
