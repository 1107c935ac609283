"""Run the program in this process, as a person would in a terminal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ctatlas.commands.app import run

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class Done:
    """How a call ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """Return the last line on stderr; a refusal is one line."""
        return self.err.splitlines()[-1]


@dataclass(frozen=True)
class Terminal:
    """Call the program; results and complaints are kept apart."""

    capture: pytest.CaptureFixture[str]

    def __call__(self, *words: object) -> Done:
        self.capture.readouterr()
        code = run([str(word) for word in words])
        out, err = self.capture.readouterr()
        return Done(code, out, err)
