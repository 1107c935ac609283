"""`ctatlas models embed`: classes by their text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctatlas.commands.console import say, say_json, say_table
from ctatlas.commands.options import AsJson, Debug

EXAMPLE = (
    'ctatlas models embed "A computerized tomography of a gastric band" --encoder clip-vit-base-patch32 --out new.npz'
)


def embed(
    texts: Annotated[list[str], typer.Argument(metavar="TEXT", help="What a class is, one text each, in quotes.")],
    *,
    encoder: Annotated[
        Path,
        typer.Option(help="A folder with a CLIP text encoder (model.safetensors or ONNX), vocab.json and merges.txt."),
    ],
    out: Annotated[Path, typer.Option(help="Where to write the embeddings, as .npz.")],
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="What a class is called, once for each text; default: by the end of its text."),
    ] = None,
    json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Make embeddings of classes from texts, for a text-driven model: ctatlas segment … --embeddings FILE.

    A class that the model has gets the new text, others are added. What a network makes of a text that it was not
    trained with nobody knows: look at it before you believe it.
    """
    from ctatlas.models.text import open_encoder, write_embeddings
    from ctatlas.models.text.embeddings import made_by

    opened = open_encoder(encoder)
    found = made_by(opened.sha256, texts, opened.embed(texts), name or ())
    write_embeddings(out, found)
    if json:
        said = [{"name": each, "text": text} for each, text in zip(found.names, found.texts, strict=True)]
        say_json({"classes": said, "length": found.rows.shape[1], "encoder_sha256": found.encoder, "file": str(out)})
        return
    say_table(["class", "text"], [list(pair) for pair in zip(found.names, found.texts, strict=True)])
    say(f"\n{out}: {len(found.names)} x {found.rows.shape[1]} numbers by {opened.path}")
