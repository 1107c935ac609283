"""What the command line says, and where: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ctatlas.progress import SILENT, Progress

if TYPE_CHECKING:
    from rich.progress import TaskID

SECONDS_BETWEEN_LINES = 30.0
_NUMBERS = ("mL", "HU", "n", "Dice", "value", "MB", "files", "mean", "median")  # last words of columns of numbers


def say(text: str) -> None:
    """Print lines of a result."""
    print("\n".join(map(_harmless, text.split("\n"))))


def tell(text: str) -> None:
    """Print a line about the work, or about what went wrong, beside the results."""
    print(f"ctatlas: {_harmless(' '.join(text.splitlines()))}", file=sys.stderr)


def say_json(content: object) -> None:
    """Print a result as JSON."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    print(text.encode(errors="backslashreplace").decode())


def say_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; columns whose name ends in a unit such as "mL" or "HU" hold numbers and stand to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        is_number = column.split()[-1] in _NUMBERS
        table.add_column(column, justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(_harmless, row))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:  # a pipe has no width, and nothing may be cut off in it
        console.width = 1000
    console.print(table)


def _harmless(text: str) -> str:
    """Keep terminal codes out: names of files and what headers say come from strangers."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)


@contextmanager
def showing_progress(*, quiet: bool = False) -> Iterator[Progress]:
    """Show work going on: a bar on a terminal, a plain line now and then elsewhere, nothing when asked to be quiet."""
    if quiet:
        yield SILENT
    elif not sys.stderr.isatty():
        yield PlainProgress()
    else:
        from rich.console import Console

        bar = BarProgress(Console(stderr=True))
        with bar.bar:
            yield bar


class PlainProgress:
    """Print a line every 30 seconds, so that a log neither stays silent nor fills up."""

    def __init__(self) -> None:
        self.name, self.done, self.total = "", 0, 0
        self.began = self.printed = time.monotonic()

    def stage(self, name: str, total: int) -> None:
        """Begin a stage."""
        self.name, self.done, self.total = name, 0, total
        self.began = time.monotonic()
        self._print_when_due()

    def advance(self, steps: int = 1) -> None:
        """Count steps."""
        self.done += steps
        self._print_when_due()

    def _print_when_due(self) -> None:
        now = time.monotonic()
        if now - self.printed < SECONDS_BETWEEN_LINES:
            return
        self.printed = now
        left_s = (now - self.began) / self.done * (self.total - self.done) if self.done else None
        left = f", about {left_s:.0f} s left" if left_s is not None else ""
        tell(f"{self.name}: {self.done} of {self.total}{left}")


class BarProgress:
    """Draw a bar with rate and time left for the current stage."""

    def __init__(self, console: object) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        if not isinstance(console, Console):
            raise TypeError("expected a rich console")
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self.task: TaskID | None = None

    def stage(self, name: str, total: int) -> None:
        """Begin a stage."""
        if self.task is not None:
            self.bar.remove_task(self.task)
        self.task = self.bar.add_task(name, total=total, rate="")

    def advance(self, steps: int = 1) -> None:
        """Count steps."""
        if self.task is None:
            return
        self.bar.advance(self.task, steps)
        speed = next(task.speed for task in self.bar.tasks if task.id == self.task)
        self.bar.update(self.task, rate=f"{speed:.1f}/s" if speed else "")
