"""`ctatlas models export`: a model that runs without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ctatlas.commands.console import say, say_json, say_table
from ctatlas.commands.options import AsJson, Debug

EXAMPLE = "ctatlas models export suprem/unet --onnx suprem-unet-onnx"


def export(
    model: Annotated[str, typer.Argument(help="A model's name, or its folder.")],
    *,
    onnx: Annotated[Path, typer.Option("--onnx", metavar="OUT", help="The folder to write: network and card.")],
    precision: Annotated[
        Literal["float32", "float16", "int8"],
        typer.Option("--precision", help="float16 halves the file, int8 computes in 8 bits; their Dice is shown."),
    ] = "float32",
    scan: Annotated[
        list[Path] | None,
        typer.Option("--scan", metavar="SCAN", help="Compare on windows of this scan; default: the sample scan."),
    ] = None,
    json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Write a model as ONNX, which runs without torch; kept only when it says what the model says.

    Both are run on random windows and on windows of scans. What is written is a model's folder like any other.
    """
    from ctatlas.commands.demo import SCAN
    from ctatlas.inference.exporting import export as write
    from ctatlas.volume import read

    done = write(model, onnx, [read(path) for path in scan or [SCAN]], precision)
    if json:
        say_json(
            {
                "folder": str(done.folder),
                "precision": precision,
                "bytes": done.bytes,
                "largest_difference_sd": done.difference,
                "share_of_other_labels": done.share,
                "windows": done.n_windows,
                "mean_dice": done.mean_dice,
                "dice": done.dice,
            }
        )
        return
    if precision != "float32":
        say_table(["class", "Dice with float32"], [[name, f"{dice:.4f}"] for name, dice in done.dice.items()])
    say(
        f"{done.folder}: {done.bytes / 1e6:.1f} MB in {precision}; on {done.n_windows} windows logits differ by up to "
        f"{done.difference:.2g} s.d., {done.share:.3%} of labels; Dice {done.mean_dice:.4f}"
    )
