"""`ctatlas models verify`: are the weights still what they were."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ctatlas.commands.console import say_json, say_table, tell
from ctatlas.commands.options import AsJson, Debug

EXAMPLE = "ctatlas models verify"
_SOME_FAILED = 3


def verify(
    models: Annotated[list[str] | None, typer.Argument(metavar="[MODEL…]", help="Default: all that are here.")] = None,
    *,
    json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Hash the weights on this machine anew, and compare."""
    from ctatlas.models.verify import verify as compare

    rows = compare(models or ())
    if json:
        say_json([asdict(row) for row in rows])
    else:
        say_table(["model", "file", "state", "reason"], [[row.model, row.file, row.state, row.reason] for row in rows])
    bad = [row for row in rows if row.state in {"damaged", "missing"}]
    if bad:
        tell(f"{len(bad)} of {len(rows)} files are not what they should be; pull or import their models with --again")
        raise typer.Exit(_SOME_FAILED)
