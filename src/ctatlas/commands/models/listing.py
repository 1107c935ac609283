"""`ctatlas models list`: which models there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctatlas.commands.console import say, say_json, say_table
from ctatlas.commands.options import AsJson, Debug
from ctatlas.errors import ModelError

if TYPE_CHECKING:
    from ctatlas.models import ModelCard

EXAMPLE = "ctatlas models list --json"


def list_models(*, json: AsJson = False, debug: Debug = False) -> None:  # noqa: ARG001 - debug is read by the program
    """List the models on this machine."""
    from ctatlas.models import card, model_names

    rows, broken = [], []
    for name in model_names():
        try:
            rows.append(_row(card(name)))
        except ModelError as error:
            broken.append({"name": name, "broken": str(error)})
    if json:
        say_json([*rows, *broken])
        return
    columns = ["name", "version", "usable structures n", "experimental n", "licence"]
    say_table(columns, [[str(value) for value in row.values()] for row in rows])
    for fault in broken:
        say(f"{fault['name']}: broken card: {fault['broken']}")


def _row(card: ModelCard) -> dict[str, object]:
    status = list(card.structures.values())
    return {
        "name": card.name,
        "version": card.version,
        "usable": status.count("usable"),
        "experimental": status.count("experimental"),
        "license": card.license,
    }
