"""Steps killed at random instants, without farewell: a clean run afterwards leaves what an undisturbed run leaves."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

import ctatlas
from ctatlas.atlas import Atlas
from ctatlas.atlas.catalog.tables import TABLES, Case
from ctatlas.atlas.doctor import examine
from tests.atlas.by_hand import everything_in, new_atlas
from tests.atlas.test_predict import add_torso
from tests.support_scans import torso_model

STEPS = """
import sys
from ctatlas.commands.app import run

folder, model, workers = sys.argv[1:]
print("begun", flush=True)
for words in (["predict", folder, "-m", model, "-m", model + "+shift"], ["attend", folder], ["assemble", folder]):
    code = run([*words, "--workers", workers, "--quiet"])
    if code:
        sys.exit(code)
"""
IS_SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
ROUNDS = 20 if IS_SOAK else 1
KILLS = 5  # in each round
CASES = ("one", "three", "two")


@dataclass(frozen=True)
class Undisturbed:
    """An atlas before any step, all its files after a run without disturbance, and how long that took.

    `program` is a copy of ctatlas as it is now: 100 kills take most of an hour, and who edits the sources meanwhile
    would have an atlas of the one ctatlas worked on by the other.
    """

    program: Path
    before: Path
    model: Path
    files: dict[str, bytes]
    rows: list[str]
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    root = tmp_path_factory.mktemp("undisturbed")
    program = root / "program"
    shutil.copytree(Path(ctatlas.__file__).parent, program / "ctatlas", ignore=shutil.ignore_patterns("__pycache__"))
    model = torso_model(root / "model")
    atlas = new_atlas(root / "before", members=["test/torso", "test/torso+shift"])
    for case in CASES:
        add_torso(atlas, case)
    shutil.copytree(root / "before", root / "after")
    process = started(program, root / "after", model)
    begun = time.monotonic()
    _, err = process.communicate()
    assert process.returncode == 0, err
    seconds = time.monotonic() - begun
    files = results_in(root / "after")
    assert sum(name.endswith("run.json") for name in files) == 4 * len(CASES)
    return Undisturbed(program, root / "before", model, files, rows_in(root / "after"), seconds)


def started(program: Path, folder: Path, model: Path, workers: int = 1) -> subprocess.Popen[str]:
    """Start all steps in a process of their own, and wait until they begin."""
    command = [sys.executable, "-c", STEPS, str(folder), str(model), str(workers)]
    path = os.pathsep.join(filter(None, [str(program), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert process.stdout
    assert process.stdout.readline() == "begun\n"
    return process


def results_in(folder: Path) -> dict[str, bytes]:
    """Return every file but the index, whose bytes tell in what order it was filled."""
    return {name: content for name, content in everything_in(folder).items() if not name.startswith("catalog.db")}


def rows_in(folder: Path) -> list[str]:
    """Return all rows of the index, less the stamps, which hold times."""
    found = []
    with Atlas.open(folder).catalog() as catalog, catalog.engine.connect() as connection:
        for table in TABLES:
            columns = [column for column in table.__table__.columns if column is not Case.__table__.c.stamp]
            found += [f"{table.__tablename__} {tuple(row)}" for row in connection.execute(select(*columns))]
    return sorted(found)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_clean_run_after_kills_leaves_what_an_undisturbed_run_leaves(
    undisturbed: Undisturbed, tmp_path: Path, round_: int
) -> None:
    seed = random.randrange(2**32) if IS_SOAK else round_
    rng = random.Random(seed)
    folder = tmp_path / "atlas"
    shutil.copytree(undisturbed.before, folder)
    kills = 0
    while kills < KILLS:
        process = started(undisturbed.program, folder, undisturbed.model, workers=rng.choice([1, 2]) if IS_SOAK else 1)
        try:
            _, err = process.communicate(timeout=rng.uniform(0.05, 0.9) * undisturbed.seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
        else:  # done before it could be killed: once more from the start
            assert process.returncode == 0, f"seed {seed}: {err}"
            shutil.rmtree(folder)
            shutil.copytree(undisturbed.before, folder)
    process = started(undisturbed.program, folder, undisturbed.model)
    _, err = process.communicate()
    assert process.returncode == 0, f"seed {seed}: {err}"
    found = results_in(folder)
    assert sorted(found) == sorted(undisturbed.files), f"seed {seed}"
    differing = [name for name, content in found.items() if content != undisturbed.files[name]]
    assert differing == [], f"seed {seed}"
    assert rows_in(folder) == undisturbed.rows, f"seed {seed}"
    assert list(examine(Atlas.open(folder), deep=True)) == [], f"seed {seed}"
