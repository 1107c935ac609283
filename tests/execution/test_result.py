from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ctatlas.errors import OutputError
from ctatlas.execution import result_folder, whole_record

# Makes a result in the folder of argument 1 and dies without any farewell at the n-th renaming (argument 2).
DYING = """
import os, sys
from pathlib import Path
from ctatlas.execution import result_folder

left = int(sys.argv[2])

def dying(rename):
    def wrapped(*arguments):
        global left
        left -= 1
        if left == 0:
            os._exit(9)
        return rename(*arguments)
    return wrapped

Path.rename, Path.replace = dying(Path.rename), dying(Path.replace)
with result_folder(Path(sys.argv[1]), {"who": "dying"}, ["masks", "table.csv"]) as folder:
    (folder / "masks").mkdir()
    (folder / "masks" / "liver").write_text("new")
    (folder / "table.csv").write_text("new")
"""


def fill(folder: Path, text: str, *, extra: str | None = None) -> None:
    with result_folder(folder, {"who": text}, ["masks", "table.csv"]) as partial:
        (partial / "masks").mkdir()
        (partial / "masks" / "liver").write_text(text)
        (partial / "table.csv").write_text(text)
        if extra:
            (partial / extra).write_text(text)


def fail(folder: Path, error: type[BaseException]) -> None:
    with result_folder(folder, {}, ["masks"]) as partial:
        (partial / "masks").mkdir()
        (partial / "masks" / "liver").write_text("half")
        raise error


def content(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_result_appears_with_its_record(tmp_path: Path) -> None:
    fill(tmp_path / "a" / "b", "one")
    record = whole_record(tmp_path / "a" / "b")
    assert record is not None
    assert record["who"] == "one"
    assert record["files"] == {"masks/liver": 3, "table.csv": 3}
    assert set(content(tmp_path / "a" / "b")) == {"masks/liver", "table.csv", "run.json"}


def test_failing_work_leaves_nothing_not_even_the_folders_it_needed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        fail(tmp_path / "a" / "b", RuntimeError)
    assert list(tmp_path.iterdir()) == []


def test_failing_work_leaves_the_older_result_as_it_was(tmp_path: Path) -> None:
    fill(tmp_path, "old")
    before = content(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fail(tmp_path, KeyboardInterrupt)
    assert content(tmp_path) == before


def test_a_newer_result_replaces_all_of_the_older_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    fill(tmp_path, "old", extra="picture.png")
    fill(tmp_path, "new")
    found = content(tmp_path)
    del found["run.json"]
    assert found == {"mine.txt": "mine", "masks/liver": "new", "table.csv": "new"}


def test_files_of_somebody_else_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "liver").write_text("drawn by hand")
    with pytest.raises(OutputError, match="masks stands there already"):
        fill(tmp_path, "new")
    assert content(tmp_path) == {"masks/liver": "drawn by hand"}


@pytest.mark.parametrize("damage", ["missing", "shorter", "not whole", "no record"])
def test_a_damaged_result_is_not_whole(tmp_path: Path, damage: str) -> None:
    fill(tmp_path, "text")
    record = json.loads((tmp_path / "run.json").read_text())
    damages = {
        "missing": (tmp_path / "masks" / "liver").unlink,
        "shorter": lambda: (tmp_path / "table.csv").write_text("t"),
        "not whole": lambda: (tmp_path / "run.json").write_text(json.dumps(record | {"whole": False})),
        "no record": lambda: (tmp_path / "run.json").write_text("{"),
    }
    damages[damage]()
    assert whole_record(tmp_path) is None


@pytest.mark.parametrize("n", range(1, 8))
def test_killed_at_any_renaming_and_run_again_the_result_is_whole(tmp_path: Path, n: int) -> None:
    fill(tmp_path, "old", extra="picture.png")
    died = subprocess.run([sys.executable, "-c", DYING, str(tmp_path), str(n)], check=False)
    record = whole_record(tmp_path)
    left = content(tmp_path)
    fill(tmp_path, "after")
    assert died.returncode == 9
    assert record is None or {left["table.csv"], left["masks/liver"]} == {record["who"]} == {"old"}
    found = content(tmp_path)
    del found["run.json"]
    assert found == {"masks/liver": "after", "table.csv": "after"}


def test_ctrl_c_while_things_move_is_heard_when_they_are_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "old")
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        signal.raise_signal(signal.SIGINT)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path, "new")
    record = whole_record(tmp_path)
    found = content(tmp_path)
    del found["run.json"]
    assert record is not None
    assert found == {"masks/liver": "new", "table.csv": "new"}


def test_two_at_once_in_one_folder_are_refused(tmp_path: Path) -> None:
    with result_folder(tmp_path, {}), pytest.raises(OutputError, match="another ctatlas"), result_folder(tmp_path, {}):
        pass


def test_a_file_in_the_way_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="expected a folder"), result_folder(tmp_path / "file" / "out", {}):
        pass
