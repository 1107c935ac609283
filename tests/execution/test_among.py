from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from ctatlas.errors import OutputError, ScanError
from ctatlas.execution import Task, done_among, perform_among, record_among
from ctatlas.progress import Progress


def write(folder: Path, progress: Progress, *, text: str, fails: bool = False) -> Mapping[str, object]:
    progress.stage("write", 1)
    (folder / "images").mkdir()
    (folder / "images" / "a.txt").write_text(text)
    if fails:
        raise ScanError("broken")
    (folder / "a.csv").write_text(text)
    return {"letters": len(text)}


@pytest.fixture
def task(tmp_path: Path) -> Task:
    (tmp_path / "scan").write_text("scan")
    return Task(
        case="a",
        folder=tmp_path / "out",
        work=partial(write, text="one"),
        step="test",
        version=1,
        inputs=[tmp_path / "scan"],
        makes=["images/a.txt", "a.csv"],
    )


def test_files_go_among_those_of_others(task: Task) -> None:
    task.folder.mkdir()
    (task.folder / "b.csv").write_text("another's")
    assert done_among(task) is None
    assert perform_among(task).summary == {"letters": 3}
    names = sorted(path.relative_to(task.folder).as_posix() for path in task.folder.rglob("*") if path.is_file())
    assert names == ["a.csv", "b.csv", "images/a.txt", "runs/a.json"]
    found = done_among(task)
    assert found is not None
    assert (found.state, found.summary) == ("there", {"letters": 3})


@pytest.mark.parametrize("damage", ["cut short", "altered", "gone", "no record", "broken record", "another input"])
def test_what_is_not_byte_by_byte_what_was_made_is_not_there(task: Task, damage: str) -> None:
    perform_among(task)
    path, record = task.folder / "images" / "a.txt", task.folder / "runs" / "a.json"
    if damage == "cut short":
        path.write_text("on")
    elif damage == "altered":
        path.write_text("eno")  # as long as before
    elif damage == "gone":
        path.unlink()
    elif damage == "no record":
        record.unlink()
        assert record_among(task) is None
    elif damage == "broken record":
        record.write_text("[" * 10_000)
    else:
        Path(task.inputs[0]).write_text("another scan")
        task = replace(task)
    assert done_among(task) is None
    perform_among(task)
    assert done_among(task) is not None


def test_what_fails_leaves_nothing_and_takes_nothing_away(task: Task) -> None:
    perform_among(task)
    with pytest.raises(ScanError):
        perform_among(replace(task, work=partial(write, text="two", fails=True)))
    assert (task.folder / "a.csv").read_text() == "one"
    assert not list(task.folder.glob(".*"))
    assert done_among(task) is not None


def test_what_a_killed_run_left_is_swept(task: Task) -> None:
    left = task.folder / ".ctatlas-partial-a"
    (left / "images").mkdir(parents=True)
    (left / "images" / "a.txt").write_text("hal")
    (left / "a.csv").write_text("hal")
    perform_among(task)
    assert (task.folder / "a.csv").read_text() == "one"
    assert not left.exists()


def test_a_case_that_another_works_on_is_left_to_it(task: Task) -> None:
    theirs = task.folder / ".ctatlas-partial-a"
    theirs.mkdir(parents=True)
    (theirs / "a.csv").write_text("theirs")
    handle = os.open(theirs, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="another ctatlas is writing here"):
            perform_among(task)
    finally:
        os.close(handle)
    assert (theirs / "a.csv").read_text() == "theirs"


def test_the_record_tells_how_it_was_made(task: Task) -> None:
    perform_among(replace(task, parameters={"step_size": 0.5}))
    record = json.loads((task.folder / "runs" / "a.json").read_text())
    assert record["parameters"] == {"step_size": 0.5}
    assert set(record["files"]) == {"images/a.txt", "a.csv"}
