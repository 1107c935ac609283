"""`ctatlas models logits`: one patch through one network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctatlas.commands.console import say, say_json
from ctatlas.commands.options import AsJson, Debug, OnBackend
from ctatlas.errors import ModelError

EXAMPLE = "ctatlas models logits supervised_suprem_unet_2100.pth patch.npy logits.npy"


def logits(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model's name or folder, or a file of weights.")],
    patch: Annotated[Path, typer.Argument(help="(x, y, z) or (channel, x, y, z) as .npy, normalised already.")],
    out: Annotated[Path, typer.Argument(help="Where to write the raw logits (class, x, y, z), float32, as .npy.")],
    *,
    loader: Annotated[
        str | None, typer.Option("--loader", help="How to read a file of weights: onnx, universal or monai.")
    ] = None,
    backend: OnBackend = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="What a file doesn't show, as patch_merging=monai<1.5."),
    ] = None,
    json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Run one patch through a network and nothing else, to compare with what another implementation gives."""
    import numpy as np

    from ctatlas.atomic import whole_file
    from ctatlas.models.logits import open_for_patch, patch_logits, read_patch

    options = dict(_named(each) for each in option or [])
    voxels = read_patch(patch)
    network = open_for_patch(model, voxels.shape[1:], loader=loader, engine=backend, options=options)
    found = patch_logits(network.engine, voxels)
    with whole_file(out) as file:
        np.save(file, found)
    if json:
        say_json({"network": network.kind, "weights": network.account, "shape": list(found.shape)})
        return
    say(f"{network.kind}, weights {network.account}: {patch} → {out}, logits {found.shape}")


def _named(option: str) -> tuple[str, str | int]:
    name, _, value = option.partition("=")
    if not name or not value:
        raise ModelError(f"--option {option}: expected NAME=VALUE")
    return name, int(value) if value.isdigit() else value
