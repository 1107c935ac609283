"""`ctatlas models`: which models are here, and what their cards say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctatlas.commands.console import say, say_json, say_table
from ctatlas.commands.options import AsJson, Debug
from ctatlas.errors import ModelError

if TYPE_CHECKING:
    from ctatlas.models import ModelCard

EXAMPLE = "ctatlas models info ctatlas/base"
app = typer.Typer(help="Which models are here, and what their cards say.", epilog=f"Example: {EXAMPLE}")


@app.command("list", epilog="Example: ctatlas models list --json")
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


@app.command("info", epilog=f"Example: {EXAMPLE}")
def info(
    model: Annotated[str, typer.Argument(help="A model's name, or its folder.")],
    *,
    json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Show a model's card: what it finds and how well, what it needs, whose data it learned from."""
    from ctatlas.models import card

    found = card(model)
    if json:
        say_json(found.model_dump(mode="json") | {"structures": found.structures})
        return
    say(f"{found.name} {found.version}: {found.description}")
    say(f"Not for {found.not_for}")
    spacing = " x ".join(f"{mm:g}" for mm in found.input.spacing_mm)
    say(f"Works at {spacing} mm, in windows of {' x '.join(map(str, found.window.shape))} voxels.\n")
    figures = _figures(found)
    say_table(
        ["structure", "status", "evidence"],
        [[name, status.replace("_", " "), figures.get(name, "")] for name, status in found.structures.items()],
    )
    say(f"\nLicence: {found.license}")
    if found.citation:
        say(f"Cite: {found.citation}")
    for source in found.attribution:
        say(f"Data: {source.text}")


@app.command("logits", epilog="Example: ctatlas models logits supervised_suprem_unet_2100.pth patch.npy logits.npy")
def logits(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model's name or folder, or a file of weights.")],
    patch: Annotated[Path, typer.Argument(help="(x, y, z) or (channel, x, y, z) as .npy, normalised already.")],
    out: Annotated[Path, typer.Argument(help="Where to write the raw logits (class, x, y, z), float32, as .npy.")],
    *,
    loader: Annotated[
        str | None, typer.Option("--loader", help="How to read a file of weights: onnx, universal or monai.")
    ] = None,
    backend: Annotated[str | None, typer.Option("--backend", help="What to run it on: onnxruntime or torch.")] = None,
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
    network = open_for_patch(model, loader=loader, engine=backend, options=options)
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


def _row(card: ModelCard) -> dict[str, object]:
    status = list(card.structures.values())
    return {
        "name": card.name,
        "version": card.version,
        "usable": status.count("usable"),
        "experimental": status.count("experimental"),
        "license": card.license,
    }


def _figures(card: ModelCard) -> dict[str, str]:
    """Write the evidence for each structure in a line: metric, value, data and the number of cases behind it."""
    lines: dict[str, list[str]] = {}
    for each in card.evidence:
        text = f"{each.metric} {each.value:.3f} on {each.data} (n = {each.n})"
        lines.setdefault(each.structure, []).append(text + (f", {each.note}" if each.note else ""))
    return {structure: "; ".join(texts) for structure, texts in lines.items()}
