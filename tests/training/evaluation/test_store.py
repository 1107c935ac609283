"""What was drawn once is not drawn again, unless what decides it changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctatlas.training.evaluation import store as module
from ctatlas.training.evaluation.store import Store


def test_arrays_are_made_once(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, np.ndarray]:
        made.append(1)
        return {"hu": np.arange(6, dtype=np.int16).reshape(1, 2, 3)}

    first, second = (Store(tmp_path / "new").arrays({"case": 1}, make) for _ in range(2))
    np.testing.assert_array_equal(first["hu"], second["hu"])
    assert len(made) == 1


def test_other_facts_are_another_drawing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.figures({"case": 1}, lambda: {"liver": 0.5}) == {"liver": 0.5}
    assert store.figures({"case": 2}, lambda: {"liver": 0.7}) == {"liver": 0.7}
    assert store.figures({"case": 1}, lambda: {"liver": 0.9}) == {"liver": 0.5}


def test_what_other_code_drew_is_drawn_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.figures("facts", lambda: {"liver": 0.5})
    monkeypatch.setattr(module, "drawing_code", lambda: "changed")
    assert store.figures("facts", lambda: {"liver": 0.9}) == {"liver": 0.9}


def test_a_drawing_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def make() -> dict[str, np.ndarray]:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Store(tmp_path).arrays("facts", make)
    assert list(tmp_path.iterdir()) == []
