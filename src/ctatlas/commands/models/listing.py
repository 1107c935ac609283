"""`ctatlas models list`: which models there are."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from ctatlas.commands.console import say, say_json, say_table
from ctatlas.commands.options import AsJson, Debug, flag

if TYPE_CHECKING:
    from ctatlas.models.states import Listed

EXAMPLE = "ctatlas models list --json"


def list_models(
    *,
    here: Annotated[bool, flag("--here", text="Only what is on this machine.")] = False,
    json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001 - debug is read by the program
) -> None:
    """List the models on this machine, and the public ones that 'pull' gets or that are imported by hand."""
    from ctatlas.models.states import list_models

    rows = [row for row in list_models() if not here or row.state in {"bundled", "installed", "broken"}]
    if json:
        say_json([asdict(row) for row in rows])
        return
    columns = ["name", "state", "structures n", "commercial use"]
    say_table(columns, [[row.name, row.state, _counted(row), row.commercial_use] for row in rows])
    for row in rows:
        if row.state == "broken":
            say(f"{row.name}: broken: {row.note}")
        elif row.note.startswith(row.state):
            say(f"{row.name}: {row.note}")


def _counted(row: Listed) -> str:
    """Write how many structures it finds usably, and how many more are experimental."""
    if row.usable + row.experimental == 0:
        return "–"
    return f"{row.usable} + {row.experimental}" if row.experimental else str(row.usable)
