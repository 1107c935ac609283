"""Damaged and hostile files are read right or refused in a line: no traceback, hang, flood, leak or wrong geometry.

The inputs are drawn by number: `python -m tests.volume.mutations 1 NUMBER` tries one again. `make soak` draws 100,000.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ctatlas.volume import AS_IT_IS, Choices, Grid, Volume, read
from tests.volume.mutations.bombs import bombs
from tests.volume.mutations.corpus import seeds
from tests.volume.mutations.mutate import Mutation, mutation
from tests.volume.mutations.seeds import Seed
from tests.volume.mutations.workers import run

COUNT = int(os.environ.get("CTATLAS_MUTATIONS", "2000"))
JOBS = int(os.environ.get("CTATLAS_MUTATION_JOBS", "1"))


def test_the_undamaged_are_read_and_pass_the_oracle() -> None:
    known = seeds()
    failures, counts = run(range(len(known)), lambda n: undamaged(n, known[n]))
    assert failures == []
    assert counts == {"read": len(known)}


def undamaged(number: int, seed: Seed) -> Mutation:
    squeezed = {name: seed.packed(data) for name, data in seed.files.items() if seed.packed and name == seed.entry}
    return Mutation(number, seed, {**seed.files, **squeezed}, "undamaged")


@pytest.mark.slow
def test_no_damage_does_harm(request: pytest.FixtureRequest) -> None:
    known = seeds(_fixtures(request))
    failures, counts = run(range(COUNT), partial(mutation, seeds=known), JOBS)
    assert "\n".join(map(str, failures)) == ""
    assert counts["read"] > COUNT / 20  # the damage is often slight, or the test would try the front door only
    assert counts["refused"] > COUNT / 4


def _fixtures(request: pytest.FixtureRequest) -> Path | None:
    try:
        return Path(request.getfixturevalue("shared_data")) / "fixtures"
    except pytest.skip.Exception:
        return None


@pytest.mark.slow
def test_bombs_and_claims_are_refused_within_the_limits() -> None:
    known = list(bombs())
    failures, counts = run(range(len(known)), lambda n: Mutation(n, known[n], known[n].files, "as it is"))
    assert "\n".join(map(str, failures)) == ""
    assert counts == {"refused": len(known)}


def test_a_bug_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ctatlas.volume.reading.kind_of", broken)
    assert _failure().startswith("ZeroDivisionError")


def test_wrong_geometry_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def mirrored(path: Path, choices: Choices = AS_IT_IS) -> Volume:
        scan = real(path, choices)
        return Volume(scan.array, Grid(scan.grid.shape, np.diag([-1.0, 1, 1, 1]) @ scan.grid.affine), scan.facts)

    real = read
    monkeypatch.setattr("tests.volume.mutations.workers.read", mirrored)
    assert "the header says" in _failure()


def test_a_crash_is_noticed_and_the_rest_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctatlas.volume.reading.kind_of", lambda _: os.abort())
    assert "the process died: exit code -6" in _failure(), "and no core is left"


def test_a_flood_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctatlas.volume.reading.kind_of", lambda _: "x" * 2**33)
    assert _failure().startswith("MemoryError")


def test_a_file_left_behind_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctatlas.volume.reading.kind_of", lambda path: (path.parent.parent / "left").touch() or "nifti")
    assert _failure().startswith("leaves")


def forever(_: Path) -> str:
    while True:
        pass


def test_a_hang_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.volume.mutations.workers.CPU_SECONDS", 0.2)
    monkeypatch.setattr("ctatlas.volume.reading.kind_of", forever)
    assert _failure().startswith("takes more than")


def _failure() -> str:
    """Read an undamaged file twice; both fail alike."""
    seed = seeds()[0]
    failures, _ = run([1, 2], lambda n: undamaged(n, seed))
    assert len(failures) == 2
    return failures[0].why
