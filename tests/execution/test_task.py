from __future__ import annotations

import os
from pathlib import Path

import pytest

from ctatlas.errors import ScanError
from ctatlas.execution import Task


def task(source: Path, **changes: object) -> Task:
    words: dict[str, object] = {"step": "copy", "version": 1, "inputs": [source], "parameters": {"a": (1, 2)}} | changes
    return Task("case", source.parent / "out", lambda *_: {}, **words)  # type: ignore[arg-type]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "scan"
    path.write_bytes(b"voxels")
    return path


def test_the_same_task_is_answered_by_its_record(source: Path) -> None:
    record = task(source).record()
    assert task(source).is_answered_by(record)


@pytest.mark.parametrize("change", [{"step": "other"}, {"version": 2}, {"parameters": {"a": (1, 3)}}])
def test_a_changed_task_is_not_answered(source: Path, change: dict[str, object]) -> None:
    record = task(source).record()
    assert not task(source, **change).is_answered_by(record)


def test_changed_bytes_of_the_same_size_and_time_are_the_price_of_not_reading_again(source: Path) -> None:
    record = task(source).record()
    before = source.stat()
    source.write_bytes(b"VOXELS")
    assert not task(source).is_answered_by(record)
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert task(source).is_answered_by(record)


def test_a_touched_or_moved_input_with_the_same_bytes_is_answered(source: Path) -> None:
    record = task(source).record()
    os.utime(source, (0, 0))
    moved = source.parent / "elsewhere" / source.name
    moved.parent.mkdir()
    source.rename(moved)
    assert task(moved).is_answered_by(record)


def test_the_order_of_inputs_is_part_of_the_content(source: Path) -> None:
    second = source.with_name("second")
    second.write_bytes(b"more")
    assert task(source, inputs=[source, second]).content != task(source, inputs=[second, source]).content


def test_the_record_is_the_same_every_time(source: Path) -> None:
    assert task(source).record() == task(source).record()


def test_a_vanished_input_is_refused_in_one_line(source: Path) -> None:
    source.unlink()
    with pytest.raises(ScanError, match="can't be read"):
        task(source).record()
