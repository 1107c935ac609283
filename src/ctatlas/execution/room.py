"""Whether the disk has room for what tasks will write."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.errors import OutputError
from ctatlas.execution.perform import done_before
from ctatlas.execution.result import said_in_a_line

if TYPE_CHECKING:
    from ctatlas.execution.task import Task

_SLACK = 1.1  # estimates err


@dataclass(frozen=True, slots=True)
class Room:
    """What is still to do and will take, and what is free.

    Attributes
    ----------
    n_tasks : int
        Those that were not done before.
    needed_bytes, free_bytes : int
    """

    n_tasks: int
    needed_bytes: int
    free_bytes: int

    def refuse_too_little(self, folder: Path) -> None:
        """Raise `OutputError` when what is needed, and a tenth more, is not free."""
        if self.needed_bytes * _SLACK > self.free_bytes:
            raise OutputError(
                f"{folder}: {self.n_tasks} results need about {_said(self.needed_bytes)}, and {_said(self.free_bytes)} "
                "are free; make room, or do fewer cases at once"
            )

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.n_tasks} results to make, about {_said(self.needed_bytes)}; {_said(self.free_bytes)} are free"


def room_for(tasks: Sequence[Task], folder: Path) -> Room:
    """Add up what tasks that are not done will write, and look what is free.

    Raises
    ------
    OutputError
        When the folder can't be asked.
    """
    left = [task for task in tasks if done_before(task) is None]
    with said_in_a_line(folder):
        free = shutil.disk_usage(folder).free
    return Room(len(left), sum(task.bytes_about for task in left), free)


def _said(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"
