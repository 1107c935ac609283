"""The manual's page of commands names every command and option that the program has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from ctatlas.commands.app import _program

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")


def commands(command: Any, name: str = "") -> dict[str, Any]:
    """Return every command of the program by its words."""
    parts = getattr(command, "commands", None)
    if parts is None:
        return {name.strip(): command}
    return {words: part for sub, each in parts.items() for words, part in commands(each, f"{name} {sub}").items()}


PROGRAM = commands(typer.main.get_command(_program()))


@pytest.mark.parametrize("words", PROGRAM)
def test_every_command_is_in_the_manual_with_an_example(words: str) -> None:
    assert f"    ctatlas {words}" in PAGE


@pytest.mark.parametrize("words", PROGRAM)
def test_every_option_is_in_the_manual(words: str) -> None:
    options = {name for parameter in PROGRAM[words].params for name in parameter.opts if name.startswith("--")}
    assert {name for name in options - {"--help"} if not re.search(rf"{name}\b", PAGE)} == set()
