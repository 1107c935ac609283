from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ctatlas.errors import OutputError, ScanError
from ctatlas.execution import Task, perform_all

if TYPE_CHECKING:
    from ctatlas.progress import Progress


def copy(text: str, folder: Path, progress: Progress) -> Mapping[str, object]:
    progress.stage("write", 1)
    (folder / "text").write_text(text)
    return {"length": len(text)}


def fail(error: Exception, folder: Path, progress: Progress) -> Mapping[str, object]:
    progress.stage("read", 1)
    (folder / "half").write_text("half")
    raise error


def die(folder: Path, progress: Progress) -> Mapping[str, object]:
    progress.stage("read", 1)
    (folder / "half").write_text("half")
    os._exit(1)


def tasks(root: Path, **works: object) -> list[Task]:
    return [
        Task(name, root / name, work, step="copy", version=1)  # type: ignore[arg-type]
        for name, work in works.items()
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_one_failure_does_not_stop_the_rest(tmp_path: Path, workers: int) -> None:
    wanted = tasks(tmp_path, a=partial(copy, "a"), b=partial(fail, ScanError("b: broken")), c=partial(copy, "ccc"))
    outcomes = {outcome.case: outcome for outcome in perform_all(wanted, workers=workers)}
    assert [outcomes[case].state for case in "abc"] == ["done", "failed", "done"]
    assert (outcomes["b"].stage, outcomes["b"].reason, outcomes["b"].trace) == ("read", "b: broken", "")
    assert outcomes["c"].summary == {"length": 3}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c"]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_whole_is_not_done_again(tmp_path: Path, workers: int) -> None:
    list(perform_all(tasks(tmp_path, a=partial(copy, "a"), b=partial(copy, "b")), workers=workers))
    forbidden = partial(fail, RuntimeError("done again"))
    outcomes = list(perform_all(tasks(tmp_path, a=forbidden, b=forbidden), workers=workers))
    assert sorted((outcome.case, outcome.state) for outcome in outcomes) == [("a", "there"), ("b", "there")]
    assert [outcome.summary for outcome in outcomes] == [{"length": 1}, {"length": 1}]


def test_the_number_of_workers_changes_no_byte(tmp_path: Path) -> None:
    for workers in (1, 2):
        list(perform_all(tasks(tmp_path / str(workers), a=partial(copy, "a"), b=partial(copy, "b")), workers=workers))
    names = ["a/text", "a/run.json", "b/text", "b/run.json"]
    one, two = ([(tmp_path / w / name).read_bytes() for name in names] for w in "12")
    assert one == two


def test_a_bug_is_a_failure_with_its_traceback(tmp_path: Path) -> None:
    (outcome,) = perform_all(tasks(tmp_path, a=partial(fail, KeyError("liver"))))
    assert outcome.reason == "a bug: KeyError: 'liver'"
    assert "in fail" in outcome.trace


def test_a_full_disk_stops_all(tmp_path: Path) -> None:
    full = OutputError("no room")
    full.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OutputError, match="no room"):
        list(perform_all(tasks(tmp_path, a=partial(fail, full), b=partial(copy, "b"))))
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_dies_is_reported(tmp_path: Path) -> None:
    outcomes = list(perform_all(tasks(tmp_path, a=die, b=die), workers=2))
    assert [outcome.state for outcome in outcomes] == ["failed", "failed"]
    assert all("worker process died" in outcome.reason for outcome in outcomes)


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    """They would wait for work for ever, each with a model in memory."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import multiprocessing, os, signal\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from functools import partial\n"
        "from ctatlas.execution.executors import _begin_worker\n"
        "if __name__ == '__main__':\n"
        "    spawn = multiprocessing.get_context('spawn')\n"
        "    begin = partial(_begin_worker, 1, is_tied=False)\n"  # as where the system does not end them
        "    pool = ProcessPoolExecutor(1, mp_context=spawn, initializer=begin)\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # the worker holds its parent's end of the pipe: all that was said comes only when both are gone
    told = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == -signal.SIGKILL
    assert int(told.stdout) > 0
