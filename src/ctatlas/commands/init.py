"""`ctatlas init`: a new atlas."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctatlas.commands.options import AsJson, Debug

EXAMPLE = "ctatlas init my-atlas --label-set abdomenatlas-1.1"


def init(
    folder: Annotated[Path, typer.Argument(metavar="ATLAS", help="A new or empty folder.")],
    *,
    name: Annotated[str | None, typer.Option(help="What to call it; default: the folder's name.")] = None,
    label_set: Annotated[str, typer.Option(help="Whose structures it holds.")] = "abdomenatlas-1.1",
    catalog: Annotated[
        str, typer.Option(metavar="URL", help="postgresql://user@host/database; default: a file in the atlas.")
    ] = "",
    member: Annotated[
        list[str] | None,
        typer.Option(
            "--member",
            "--model",
            "-m",
            metavar="NAME",
            help="A model that predicts, by name or folder, or a variant of one; may be given several times. "
            "Default: ctatlas/base.",
        ),
    ] = None,
    licence: Annotated[str, typer.Option(help="Of the masks that will be made.")] = "",
    json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001 - read by the program
) -> None:
    """Make a new atlas: a folder with atlas.toml, to be filled by 'ctatlas add'."""
    from ctatlas.anatomy import label_set as find_label_set
    from ctatlas.atlas import Atlas, AtlasConfig
    from ctatlas.atlas.members import members_to_keep
    from ctatlas.commands.console import say, say_json

    found = find_label_set(label_set)
    config = AtlasConfig(
        name=(name or folder.resolve().name)[:100], label_set=label_set, catalog=catalog, licence=licence
    )
    if member:
        config = config.model_copy(update={"members": members_to_keep(member)})
    atlas = Atlas.create(folder, config)
    if json:
        say_json({"atlas": str(atlas.place.root), "name": config.name, "structures": list(found.labels.values())})
        return
    say(
        f"{folder}: an atlas of {len(found.labels)} structures ({label_set}). Edit {folder / 'atlas.toml'} as you like."
    )
    say(f"Next: ctatlas add {folder} SOURCE")
