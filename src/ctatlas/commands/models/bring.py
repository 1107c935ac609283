"""`ctatlas models import`: models that are on the disk already."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ctatlas.commands.console import say_json, tell
from ctatlas.commands.models.pull import Accept, Again, Card, Name, as_json, consent, say_installed
from ctatlas.commands.options import AsJson, Debug

EXAMPLE = "ctatlas models import supervised_suprem_unet_2100.pth"


def import_model(
    path: Annotated[
        Path,
        typer.Argument(metavar="FOLDER_OR_FILE", help="A folder with a card, one of nnU-Net, a zip, or bare weights."),
    ],
    *,
    name: Name = None,
    card: Card = None,
    accept_license: Accept = False,
    again: Again = False,
    json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Take a model that was brought by hand among those of this machine; what it holds is recorded."""
    from ctatlas.models.install import import_model as take

    done = take(path, name=name, card=card, again=again, consent=partial(consent, accept=accept_license), tell=tell)
    if json:
        say_json(as_json(done))
        return
    say_installed(done)
