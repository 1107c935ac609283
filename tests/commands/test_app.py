from __future__ import annotations

import pytest

import ctatlas as package
from ctatlas.commands.app import HEADINGS
from tests.support_command import Terminal

COMMANDS = [[name] for commands in HEADINGS.values() for name in commands]
PARTS = [
    ["models", "list"],
    ["models", "info"],
    ["models", "logits"],
    ["synth", "phantom"],
    ["nnunet", "predict"],
    ["nnunet", "plan"],
    ["nnunet", "train"],
]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_help_lists_every_command_under_its_heading_with_an_example(ctatlas: Terminal, words: list[str]) -> None:
    done = ctatlas(*words)
    assert done.code == 0
    for heading, commands in HEADINGS.items():
        assert heading in done.out
        for name, module in commands.items():
            assert f"│ {name} " in done.out
            assert module.EXAMPLE in done.out


def test_help_lists_no_command_that_is_not_built(ctatlas: Terminal) -> None:
    for name in ("train", "serve"):
        assert f"│ {name} " not in ctatlas("--help").out


@pytest.mark.parametrize("words", [*COMMANDS, *PARTS], ids=" ".join)
def test_every_command_has_help_and_an_example(ctatlas: Terminal, words: list[str]) -> None:
    done = ctatlas(*words, "--help")
    assert (done.code, done.err) == (0, "")
    assert "Example: ctatlas " + words[0] in done.out


def test_the_version_is_the_packages(ctatlas: Terminal) -> None:
    assert ctatlas("--version").out == f"ctatlas {package.__version__}\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["segmnt"], "ctatlas: No such command 'segmnt'. Did you mean 'segment'?; see 'ctatlas --help'"),
        (["segment"], "ctatlas: Missing argument 'IN'; see 'ctatlas segment --help'"),
        (["models"], "ctatlas: Missing command; see 'ctatlas models --help'"),
        (
            ["models", "info", "nobody/nothing"],
            "ctatlas: no model 'nobody/nothing'; known: ctatlas/base, ctatlas/base-b, ctatlas/base-c; or give a folder",
        ),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(ctatlas: Terminal, words: list[str], complaint: str) -> None:
    done = ctatlas(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(complaint)
    assert len(done.err.splitlines()) == 1


def test_debug_shows_where_an_error_comes_from(ctatlas: Terminal) -> None:
    done = ctatlas("models", "info", "nobody/nothing", "--debug")
    assert done.code == 2
    assert "Traceback" in done.err
    assert done.complaint.startswith("ctatlas: no model")
