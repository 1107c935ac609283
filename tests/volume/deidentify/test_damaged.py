"""Damaged files of every format: what comes out names nobody, what does not is a line."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ctatlas.errors import CtatlasError
from ctatlas.volume.deidentify import Key, deidentify
from tests.volume.mutations.corpus import seeds
from tests.volume.mutations.mutate import mutation
from tests.volume.mutations.seeds import WHO

KEY = Key(b"damaged!" * 4)
COUNT = int(os.environ.get("CTATLAS_MUTATIONS", "2000")) // 10


@pytest.mark.slow
def test_damage_makes_nothing_leak(tmp_path: Path) -> None:
    leaks, n_written = [], 0
    for number in range(COUNT):
        case = mutation(number, seeds())
        for name, content in case.files.items():
            path = tmp_path / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        n_written += _written(tmp_path)
        found = [path for path in tmp_path.rglob("*") if path.is_file() and tmp_path / "in" not in path.parents]
        leaks += [f"{number} ({case.seed.name}: {case.what}): {path.name}" for path in found if _names(path)]
        for folder in tmp_path.iterdir():
            shutil.rmtree(folder)
    assert leaks == []
    assert n_written > COUNT / 4


def _written(place: Path) -> int:
    (place / "in").mkdir(exist_ok=True)
    try:
        return len(deidentify(place / "in", place / "out", KEY).written)
    except CtatlasError as refusal:
        assert WHO not in str(refusal)  # noqa: PT017 - most are not refused
        return 0


def _names(path: Path) -> bool:
    return WHO.encode() in path.read_bytes() or WHO in str(path)
