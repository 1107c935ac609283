"""Two processes are kept apart, and who starts again what was just killed is not refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ctatlas import locks

HOLDING = """
import os, sys, time
from ctatlas.locks import held
assert held(os.open(sys.argv[1], os.O_RDONLY))
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""
# A worker that sorts for a minute lets no thread of it run meanwhile.
WORKING = """
import os, sys
from pathlib import Path
from functools import partial
from ctatlas.execution import Task, perform_all

def sort(folder, progress):
    Path(sys.argv[1], f"{folder.parent.parent.name}.pid").write_text(str(os.getpid()))
    sorted(range(30_000_000), key=(-1).__mul__) if "slow" in str(folder) else None
    return {}

if __name__ == "__main__":
    root = Path(sys.argv[1])
    tasks = [Task(name, root / name, sort, step="sort", version=1) for name in ("slow_1", "slow_2")]
    list(perform_all(tasks, workers=2))
"""


def started(code: str, *words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("holds_s", "can"), [(0.5, "yes"), (60, "no")])
def test_one_who_is_just_ending_is_waited_for_and_one_at_work_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holds_s: float, can: str
) -> None:
    monkeypatch.setattr(locks, "PATIENCE_S", 10 if can == "yes" else 0.5)
    other = started(HOLDING, tmp_path, holds_s)
    assert other.stdout
    assert other.stdout.readline() == "held\n"
    handle = os.open(tmp_path, os.O_RDONLY)
    assert locks.held(handle) is (can == "yes")
    os.close(handle)
    other.kill()
    other.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_workers_in_compiled_code_are_gone_with_the_program(tmp_path: Path) -> None:
    (tmp_path / "working.py").write_text(WORKING)
    program = subprocess.Popen([sys.executable, tmp_path / "working.py", tmp_path])
    deadline = time.monotonic() + 60
    while len(found := list(tmp_path.glob("slow_*.pid"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    pids = [int(path.read_text()) for path in found]
    assert len(pids) == 2
    assert all(map(is_alive, pids))
    program.send_signal(signal.SIGKILL)
    program.wait()
    time.sleep(1.0)
    assert not any(map(is_alive, pids))
