"""The program `ctatlas`: its commands under their headings, and what becomes of an error."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

import ctatlas
from ctatlas.commands import (
    add,
    assemble,
    attend,
    benchmark,
    check,
    convert,
    deidentify,
    demo,
    doctor,
    evaluate,
    init,
    models,
    nnunet,
    predict,
    release,
    repair,
    revise,
    segment,
    status,
    synth,
)
from ctatlas.commands.console import say, tell
from ctatlas.errors import CtatlasError

# heading -> name -> module; the module's function of that name is the command, its `app` a group of commands
HEADINGS = {
    "Scans": {"segment": segment, "convert": convert, "repair": repair, "deidentify": deidentify, "demo": demo},
    "Atlas": {
        "init": init,
        "add": add,
        "predict": predict,
        "attend": attend,
        "check": check,
        "revise": revise,
        "assemble": assemble,
        "release": release,
        "status": status,
    },
    "Measure": {"evaluate": evaluate, "benchmark": benchmark},
    "Models": {"models": models, "nnunet": nnunet},
    "Synthetic scans": {"synth": synth},
    "This machine": {"doctor": doctor},
}
_INTERRUPTED = 130


def _program() -> typer.Typer:
    modules = [module for commands in HEADINGS.values() for module in commands.values()]
    examples = "\n\n".join(["Examples:", *(f"  {module.EXAMPLE}" for module in modules)])
    program = typer.Typer(
        help="CT scans in, anatomy out. Not for clinical use.",
        epilog=examples,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    program.callback()(_options)
    for heading, commands in HEADINGS.items():
        for name, module in commands.items():
            if group := getattr(module, "app", None):
                program.add_typer(group, name=name, rich_help_panel=heading)
            else:
                epilog = f"Example: {module.EXAMPLE}"
                program.command(name, epilog=epilog, rich_help_panel=heading)(getattr(module, name))
    return program


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - typer's way
    if wanted:
        say(f"ctatlas {ctatlas.__version__}")
        raise typer.Exit


def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", metavar="", callback=_say_version, is_eager=True, help="Say the version and exit."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the program on the words that it was called with."""
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Run one call and return its exit code.

    0: all done; 1: a bug; 2: the input or the call was wrong; 3: some cases of many failed; 130: interrupted.
    """
    debug = "--debug" in words
    if not debug:
        warnings.simplefilter("ignore")  # what a library warns of is no business of the person at the terminal
    try:
        program = typer.main.get_command(_program())
        code = program.main(list(words) or ["--help"], prog_name="ctatlas", standalone_mode=False)
    except typer.TyperException as error:  # the call
        command = getattr(getattr(error, "ctx", None), "command_path", "ctatlas")
        return _complain(f"{error.format_message().rstrip('.')}; see '{command} --help'", 2, debug=False)
    except CtatlasError as error:
        return _complain(str(error), error.exit_code, debug=debug)
    except MemoryError:
        return _complain("not enough memory; a smaller scan or a machine with more memory may do", 2, debug=debug)
    except Exception as error:  # noqa: BLE001 - the last one to hear of it
        hint = "" if debug else "; '--debug' shows where"
        return _complain(f"a bug: {type(error).__name__}: {error}{hint}", 1, debug=debug)
    if code == _INTERRUPTED:
        tell("interrupted; what was whole stays, nothing is half-written")
    return code or 0


def _complain(text: str, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    tell(text)
    return code
