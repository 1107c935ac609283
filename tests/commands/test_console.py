from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from ctatlas.commands import console
from ctatlas.commands.console import BarProgress, PlainProgress, say_table, showing_progress
from ctatlas.progress import SILENT


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(console, "time", made)
    return made


def test_plain_progress_says_a_line_every_30_seconds(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = PlainProgress()
    progress.stage("windows", 100)
    for second in range(1, 71):
        clock.now = float(second)
        progress.advance()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "ctatlas: windows: 30 of 100, about 70 s left",
        "ctatlas: windows: 60 of 100, about 40 s left",
    ]


def test_plain_progress_of_short_stages_is_told_too(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = PlainProgress()
    for second in range(0, 60, 5):
        clock.now = float(second)
        progress.stage(f"case {second}", 1)
    assert capsys.readouterr().err == "ctatlas: case 30: 0 of 1\n"


def test_a_bar_shows_name_count_and_rate() -> None:
    text = io.StringIO()
    bar = BarProgress(Console(file=text, force_terminal=True, width=100))
    with bar.bar:
        bar.stage("read", 1)
        bar.stage("windows", 8)
        bar.advance(3)
        bar.bar.refresh()
        assert "windows" in text.getvalue()
        assert "3/8" in text.getvalue()


def test_quiet_and_no_terminal_are_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    with showing_progress(quiet=True) as progress:
        assert progress is SILENT
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    with showing_progress() as progress:
        assert isinstance(progress, PlainProgress)


def test_a_table_in_a_pipe_is_not_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    say_table(["name", "mL"], [["x" * 300, "1.0"], ["short", "22.5"]])
    lines = capsys.readouterr().out.splitlines()
    assert "x" * 300 in lines[2]
    assert lines[2].rstrip().endswith(" 1.0")
    assert lines[3].rstrip().endswith("22.5")
