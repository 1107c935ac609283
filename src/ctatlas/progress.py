"""How long work tells of itself, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Listen to work that goes through named stages of countable steps."""

    def stage(self, name: str, total: int) -> None:
        """Hear that a new stage of `total` steps begins; the one before it is over."""

    def advance(self, steps: int = 1) -> None:
        """Hear that so many steps of the stage are done."""


class _Silent:
    def stage(self, name: str, total: int) -> None:
        """Ignore it."""

    def advance(self, steps: int = 1) -> None:
        """Ignore it."""


SILENT: Progress = _Silent()
