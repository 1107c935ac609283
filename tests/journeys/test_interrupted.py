"""Whatever ends a run early, what was whole stays and nothing half-written is left."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctatlas.volume import Volume, write_volume
from tests.support_command import Terminal

N_SCANS = 40


@pytest.fixture
def scans(tmp_path: Path, volume: Volume) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    write_volume(volume, folder / "s00.nii.gz")
    for number in range(1, N_SCANS):
        (folder / f"s{number:02d}.nii.gz").hardlink_to(folder / "s00.nii.gz")
    return folder


def start(*words: object, file_bytes: int | None = None) -> subprocess.Popen[str]:
    """Start the program in a process of its own, that can write files of at most so many bytes."""
    limit = None if file_bytes is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    command = [sys.executable, "-m", "ctatlas", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limit)  # noqa: PLW1509


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def check_all_whole_or_absent(out: Path) -> int:
    """Return how many cases are whole; whatever else lies there fails the test."""
    cases = [case for case in out.iterdir() if case.is_dir()]
    for case in cases:
        record = json.loads((case / "run.json").read_text())
        found = {path.relative_to(case).as_posix() for path in case.rglob("*") if path.is_file()}
        assert record["whole"]
        assert found == {*record["files"], "run.json"}
    assert [path.name for path in out.iterdir() if not path.is_dir()] == []
    return len(cases)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_keeps_what_is_whole_and_leaves_nothing_else(
    ctatlas: Terminal, scans: Path, model: Path, tmp_path: Path, workers: int
) -> None:
    out = tmp_path / "out"
    process = start("segment", scans, out, "--model", model, "--statistics", "--workers", workers)
    wait_for(out / "s01" / "run.json", process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "ctatlas: interrupted; what was whole stays, nothing is half-written"
    assert 1 <= check_all_whole_or_absent(out) < N_SCANS
    whole = {case.name for case in out.iterdir()}
    for scan in sorted(scans.iterdir())[5:]:
        scan.unlink()
    done = ctatlas("segment", scans, out, "--model", model, "--statistics", "--json")
    assert done.code == 0
    cases = {f"s{number:02d}" for number in range(5)}
    assert {case["case"] for case in done.json["cases"] if case["state"] == "there"} == whole & cases


def test_killed_without_farewell_the_next_run_clears_up(
    ctatlas: Terminal, scans: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = start("segment", scans, out, "--model", model, "--statistics")
    wait_for(out / "s00" / "run.json", process)
    wait_for(out / "s01" / ".ctatlas-partial", process)
    process.kill()
    process.communicate()
    for scan in sorted(scans.iterdir())[3:]:
        scan.unlink()
    assert ctatlas("segment", scans, out, "--model", model, "--statistics").code == 0
    assert check_all_whole_or_absent(out) >= 3


def test_files_that_may_not_grow_are_one_line(scan: Path, model: Path, tmp_path: Path) -> None:
    process = start("segment", scan, tmp_path / "out", "--model", model, file_bytes=500)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert len(err.splitlines()) == 1
    assert "cannot be written" in err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 64 kB, or skip where that is not allowed."""
    yield from mounted(tmp_path / "disk", "size=64k")


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """Make a folder that nobody can write to; permissions do not hold root back, a read-only disk does."""
    folder = tmp_path / "read-only"
    if os.geteuid():
        folder.mkdir(mode=0o555)
        yield folder
    else:
        yield from mounted(folder, "ro")


def mounted(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a disk is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_stops_the_other_scans(
    ctatlas: Terminal, scans: Path, model: Path, small_disk: Path
) -> None:
    done = ctatlas("segment", scans, small_disk / "out", "--model", model)
    assert done.code == 2
    assert "disk is full" in done.complaint or "No space left" in done.complaint
    assert check_all_whole_or_absent(small_disk / "out") < N_SCANS


def test_a_place_that_cannot_be_written_to_is_one_line(
    ctatlas: Terminal, scan: Path, model: Path, read_only: Path
) -> None:
    done = ctatlas("segment", scan, read_only / "out", "--model", model)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert str(read_only) in done.complaint


def test_many_scans_to_such_a_place_are_refused_too(
    ctatlas: Terminal, scans: Path, model: Path, read_only: Path
) -> None:
    done = ctatlas("segment", scans, read_only / "out", "--model", model)
    assert done.code == 2
    assert str(read_only) in done.complaint


def test_a_bug_in_one_of_many_is_a_row_and_shown_when_asked(
    ctatlas: Terminal, scans: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for scan in sorted(scans.iterdir())[2:]:
        scan.unlink()

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("ctatlas.pipeline.write_results", broken)
    done = ctatlas("segment", scans, tmp_path / "out", "--model", model, "--debug")
    assert done.code == 3
    assert "a bug: ZeroDivisionError: of all things" in (tmp_path / "out" / "failures.csv").read_text()
    assert "in broken" in done.err


def test_a_bug_in_the_only_scan_is_exit_code_1(
    ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("ctatlas.pipeline.write_results", broken)
    done = ctatlas("segment", scan, tmp_path / "out", "--model", model)
    assert done.code == 1
    assert done.err == "ctatlas: a bug: ZeroDivisionError: of all things; '--debug' shows where\n"
    assert not (tmp_path / "out").exists()
