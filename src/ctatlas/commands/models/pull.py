"""`ctatlas models pull`: public checkpoints from where their authors keep them."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctatlas.commands.console import say, say_json, showing_progress, tell
from ctatlas.commands.options import AsJson, Debug, Quiet, flag

if TYPE_CHECKING:
    from ctatlas.models.install import Installed
    from ctatlas.models.terms import Terms

EXAMPLE = "ctatlas models pull suprem/unet"

Name = Annotated[str | None, typer.Option("--name", help="What to call it here.")]
Card = Annotated[Path | None, typer.Option("--card", help="The card of weights that no public card describes.")]
Accept = Annotated[bool, flag("--accept-license", text="Agree to the licence without being asked.")]
Again = Annotated[bool, flag("--again", text="Put it in the place of what is there under the name.")]


def pull(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL…", help="Names of 'models list', https://… or hf://owner/repository[@rev]/file."),
    ],
    *,
    name: Name = None,
    card: Card = None,
    accept_license: Accept = False,
    again: Again = False,
    quiet: Quiet = False,
    json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Fetch public checkpoints; the licence is shown, and agreed to once where it binds."""
    from ctatlas.errors import ModelError
    from ctatlas.models.catalogue import entries
    from ctatlas.models.install import import_model, terms_of
    from ctatlas.models.install import pull as fetch

    if len(models) > 1 and (name or card):
        raise ModelError("--name and --card describe one model; pull the others in calls of their own")
    ask = partial(consent, accept=accept_license)
    done = []
    for model in models:
        from_elsewhere = model in entries() or "://" in model
        if not from_elsewhere and Path(model).exists():
            done.append(import_model(Path(model), name=name, card=card, again=again, consent=ask, tell=tell))
        else:
            if from_elsewhere:
                ask(model, terms_of(model, card))
            with showing_progress(quiet=quiet) as progress:
                done.append(fetch(model, name=name, card=card, again=again, progress=progress, tell=tell))
        if not json:
            say_installed(done[-1])
    if json:
        say_json([as_json(each) for each in done])


def consent(name: str, terms: Terms, *, accept: bool) -> None:
    """Show the terms, and refuse unless they were agreed to: by an option, before, or now by a person who is there."""
    from ctatlas.models.terms import agree, agreed, refuse_unless_agreed

    tell(f"{name}: licence: {terms}")
    if agreed(terms):
        return
    if accept or (sys.stdin.isatty() and typer.confirm("Do you agree to these terms?", err=True)):
        agree(terms)
    refuse_unless_agreed(name, terms)


def say_installed(done: Installed) -> None:
    """Say what is there now."""
    size = sum(file.bytes for file in done.record.files.values()) / 1_000_000
    there = "is there already" if done.was_there else f"{size:,.1f} MB from {done.record.source}"
    say(f"{done.name}: {there}, in {done.folder}")
    for file, each in done.record.files.items():
        say(f"  {each.sha256}  {file}")
    if done.note:
        say(f"  {done.note}")


def as_json(done: Installed) -> dict[str, object]:
    """Return the same as a table of JSON."""
    record = done.record.model_dump(mode="json")
    return {"folder": str(done.folder), "was_there": done.was_there, "note": done.note} | record
