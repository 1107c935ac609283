from pathlib import Path
from types import SimpleNamespace

import pytest

from ctatlas.errors import OutputError
from ctatlas.execution import Task, perform, room_for
from ctatlas.progress import Progress


def nothing(folder: Path, progress: Progress) -> dict[str, object]:
    del folder, progress
    return {}


def test_what_is_done_already_needs_no_room(tmp_path: Path) -> None:
    tasks = [Task(name, tmp_path / name, nothing, "test", 1, bytes_about=1000) for name in "abc"]
    assert room_for(tasks, tmp_path).needed_bytes == 3000
    perform(tasks[1])
    room = room_for(tasks, tmp_path)
    assert (room.n_tasks, room.needed_bytes) == (2, 2000)
    room.refuse_too_little(tmp_path)


def test_too_little_room_is_refused_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2_500_000_000))
    tasks = [Task(name, tmp_path / name, nothing, "test", 1, bytes_about=10**9) for name in "abc"]
    with pytest.raises(OutputError, match=r"3 results need about 3\.0 GB, and 2\.5 GB are free; make room"):
        room_for(tasks, tmp_path).refuse_too_little(tmp_path)
    room_for(tasks[:2], tmp_path).refuse_too_little(tmp_path)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        room_for([], tmp_path / "nowhere")
