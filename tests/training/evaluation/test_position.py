"""The guess from place alone knows where organs usually lie, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctatlas.synthesis.cases import structure_ids
from ctatlas.synthesis.paint import paint
from ctatlas.synthesis.phantom import draw_phantom
from ctatlas.training.evaluation import position as module
from ctatlas.training.evaluation.cases import Case
from ctatlas.training.evaluation.position import END_MM, GRID_MM, ORIGIN_MM, position_dice
from ctatlas.training.evaluation.store import Store
from ctatlas.volume import Grid, Segmentation, Volume

MOVED_MM = 40.0


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Let there be one person, of whom the guess is made; return their structure ids (left, back, head)."""
    axes = [np.arange(low, high, GRID_MM) for low, high in zip(ORIGIN_MM, END_MM, strict=True)]
    labels = structure_ids()[0][paint(draw_phantom(np.random.default_rng(1), conditions=()), *axes)]
    monkeypatch.setattr(module, "_people", lambda _: labels[None])
    monkeypatch.setattr(module, "PEOPLE", 1)
    return labels


def case(labels: np.ndarray, names: dict[int, str]) -> Case:
    affine = np.diag([-GRID_MM, -GRID_MM, GRID_MM, 1.0])
    affine[:3, 3] = (0, MOVED_MM, -MOVED_MM)
    grid = Grid(labels.shape, affine)
    truth = Segmentation.from_labels(grid, np.asfortranarray(labels), names).reoriented("RAS")
    return Case("phantom", "one", Volume(np.zeros(truth.grid.shape, np.int16), truth.grid), truth)


def test_the_same_person_elsewhere_is_guessed_exactly(person: np.ndarray, tmp_path: Path) -> None:
    found = position_dice(Store(tmp_path), case(person, structure_ids()[1]))
    assert found["liver"] == found["vertebrae"] == found["hips"] == 1


def test_where_all_is_small_or_unknown_nothing_is_guessed(person: np.ndarray, tmp_path: Path) -> None:
    assert position_dice(Store(tmp_path), case(np.zeros_like(person), structure_ids()[1])) == {}
