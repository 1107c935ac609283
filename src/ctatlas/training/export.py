"""A trained checkpoint → one ONNX file with half-precision weights that runs anywhere without torch; and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from ctatlas.errors import ModelError
from ctatlas.hashing import sha256_file
from ctatlas.models.networks.unet import UNet
from ctatlas.models.precision import halve_weights, named_weights
from ctatlas.training.classes import trained_classes
from ctatlas.training.loop import TrainConfig, config_of
from ctatlas.training.samples import CHANNELS

OPSET = 17
LARGEST_ERROR = 0.02  # probability, against torch in float32; rounding the weights to float16 causes about 0.008


def load_averaged(checkpoint: Path, widths: Sequence[int] = TrainConfig().widths) -> UNet:
    """Return the network with the averaged weights of a checkpoint."""
    network = UNet(len(CHANNELS), len(trained_classes()), widths)
    network.load_state_dict(torch.load(checkpoint, weights_only=True)["averaged"])
    return network.eval()


def load_exported(path: Path) -> UNet:
    """Return the network that an exported file was made from, as exactly as half-precision weights tell it.

    Raises
    ------
    InstallError
        Without onnx.
    ModelError
        When the file holds another network than one of this trainer's with the classes of today.
    """
    weights = {name: torch.from_numpy(array) for name, array in named_weights(path).items()}
    widths = [len(weights[key]) for stage in range(len(weights)) if (key := f"encoder.{stage}.conv2.weight") in weights]
    try:
        network = UNet(len(CHANNELS), len(trained_classes()), widths)
        network.load_state_dict(weights)
    except (IndexError, RuntimeError) as error:
        raise ModelError(
            f"{path}: holds another network than this trainer's of today's classes ({str(error).splitlines()[0]})"
        ) from None
    return network.eval()


def export(network: UNet, target: Path) -> str:
    """Write a network as ONNX; refuse the file when it finds other probabilities than torch; return its sha256.

    Inputs `windows` (n, 2, x, y, z) float32 with x, y, z multiples of 16; output `logits` (n, c, x, y, z) float32.
    """
    import onnx

    example = torch.zeros(1, len(CHANNELS), 32, 32, 32)
    axes = {0: "n", 2: "x", 3: "y", 4: "z"}
    torch.onnx.export(
        network,
        (example,),
        target,
        input_names=["windows"],
        output_names=["logits"],
        dynamic_axes={"windows": axes, "logits": axes},
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load(target)
    halve_weights(model)
    onnx.checker.check_model(model)
    onnx.save(model, target)
    error = largest_difference(network, target)
    if error > LARGEST_ERROR:
        target.unlink()
        raise ModelError(
            f"{target.name}: probabilities differ from torch's by {error:.3g}, "
            f"at most {LARGEST_ERROR} is allowed; not kept"
        )
    return sha256_file(target)


def largest_difference(network: UNet, path: Path) -> float:
    """Return the largest difference of a probability between torch and onnxruntime on a random window."""
    import onnxruntime

    rng = np.random.default_rng(0)
    windows = rng.normal(size=(1, len(CHANNELS), 32, 48, 64)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"windows": windows})
    with torch.no_grad():
        expected = network(torch.from_numpy(windows)).softmax(1)
    return float((torch.from_numpy(found).softmax(1) - expected).abs().max())


def main(
    checkpoint: Annotated[Path, typer.Argument(help="checkpoint.pt of a run.")],
    target: Annotated[Path, typer.Argument(help="The .onnx file to write.")],
) -> None:
    """Export a checkpoint's averaged weights."""
    typer.echo(export(load_averaged(checkpoint, config_of(checkpoint.parent).widths), target))


if __name__ == "__main__":
    typer.run(main)
