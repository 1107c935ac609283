"""A model of any kind → a folder that runs without torch, kept only when it says what the model says."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ctatlas.errors import ModelError, OutputError
from ctatlas.hashing import sha256_bytes
from ctatlas.inference.nnunet.prepare import prepare as prepare_nnunet
from ctatlas.inference.prepare import prepare
from ctatlas.inference.scene import Scene
from ctatlas.models import Model, ModelCard, card, load
from ctatlas.models.cards import CARD_FILE, read_card
from ctatlas.models.kinds import backend
from ctatlas.models.nnunet import NnunetNetworks
from ctatlas.models.precision import in_int8, with_half_weights
from ctatlas.models.registry import folder_of
from ctatlas.volume.scan import Volume

Precision = Literal["float32", "float16", "int8"]
FILE = "model.onnx"
# In float32: largest difference of a logit, relative to the logits' standard deviation, and share of other labels.
LARGEST_DIFFERENCE, LARGEST_SHARE = 1e-2, 1e-3
LEAST_DICE = 0.9  # in fewer bits: of labels with those in float32, mean over classes
_N_REAL, _N_RANDOM = 4, 2


@dataclass(frozen=True, slots=True)
class Exported:
    """A folder that was written, and how near it comes to what it was made of.

    Attributes
    ----------
    folder : Path
    bytes : int
        Of the network.
    difference : float
        Largest difference of a logit, over the logits' standard deviation.
    share : float
        Of voxels with another label.
    dice : mapping of str to float
        Of each class's voxels before and after, over the real windows in which it is.
    n_windows : int
    """

    folder: Path
    bytes: int
    difference: float
    share: float
    dice: dict[str, float]
    n_windows: int

    @property
    def mean_dice(self) -> float:
        """The mean over classes; 1 where none is in the windows."""
        return float(np.mean(list(self.dice.values()))) if self.dice else 1.0


def export(name: str, out: Path, scans: Sequence[Volume], precision: Precision = "float32") -> Exported:
    """Write a model as ONNX with its card, or plans, beside it.

    Parameters
    ----------
    name : str
        A model's name or folder.
    out : Path
        A folder that is made.
    scans : sequence of Volume
        Whose windows, beside random ones, the network and its copy are compared on.
    precision : {"float32", "float16", "int8"}, optional
        Of the copy's weights; "int8": of its arithmetic, too.

    Raises
    ------
    ModelError
        When there is no such model, it has no counterpart in ONNX, or the copy says something else.
    OutputError
        When the folder is there already.
    """
    if out.exists():
        raise OutputError(f"{out}: is there already; choose a folder that is not")
    folder, model = folder_of(name), _open(name)
    real = _windows_of(scans, model)
    random = np.random.default_rng(0).normal(size=(_N_RANDOM, *real.shape[1:])).astype(np.float32)
    network = _reduced(_written(model, folder, real), precision, real)
    copy = backend("onnxruntime")(network, None)
    windows = np.concatenate((real, random))
    before, after = (np.concatenate([each.logits(one[None]) for one in windows]) for each in (model.backend, copy))
    found = _compared(before, after, model.card, out, network)
    _judge(found, precision)
    with tempfile.TemporaryDirectory(prefix=".ctatlas-", dir=_made(out.parent)) as place:
        made = Path(place) / "model"
        made.mkdir()
        (made / FILE).write_bytes(network)
        _describe(folder, model, made, network)
        shutil.move(made, out)
    return found


def _open(name: str) -> Model:
    native = {"onnx": "onnxruntime"}.get(card(name).weights.loader, "torch")
    return load(name, native)


def _windows_of(scans: Sequence[Volume], model: Model) -> np.ndarray:
    """Cut windows (n, channels, x, y, z) along the middle of each scan, as the network would see them."""
    shape, found = _window(model), []
    for scan in scans:
        inputs = _inputs(scan, model)
        missing = [max(0, n - size) for n, size in zip(shape, inputs.shape[1:], strict=True)]
        inputs = np.pad(inputs, [(0, 0), *((0, more) for more in missing)], mode="edge")
        last = inputs.shape[3] - shape[2]
        a, b = ((size - n) // 2 for size, n in zip(inputs.shape[1:3], shape[:2], strict=True))
        places = sorted({round(last * step / max(1, _N_REAL - 1)) for step in range(_N_REAL)})
        found += [inputs[:, a : a + shape[0], b : b + shape[1], c : c + shape[2]] for c in places]
    return np.stack(found).astype(np.float32)


def _window(model: Model) -> tuple[int, int, int]:
    if not isinstance(model.backend, NnunetNetworks):
        return model.card.window.shape
    patch = tuple(model.backend.folder.chosen.patch_size)
    if len(patch) != 3:
        raise ModelError(f"{model.card.name}: a network of {len(patch)}-D windows; exported are those of 3-D windows")
    return patch[0], patch[1], patch[2]


def _inputs(scan: Volume, model: Model) -> np.ndarray:
    """Return a scan (channels, x, y, z) on the network's grid."""
    turned = scan.reoriented(model.card.input.orientation)
    if isinstance(model.backend, NnunetNetworks):
        x, y, z = turned.grid.spacing_mm
        return prepare_nnunet(turned.array.transpose(2, 1, 0)[None], (z, y, x), model.backend.folder).inputs
    body = Scene(turned).calibrated.body
    if not body.any():
        body = np.ones(turned.grid.shape, np.bool_)
    return prepare(turned, model.card, body).inputs


def _written(model: Model, folder: Path, real: np.ndarray) -> bytes:
    """Return the model's network as ONNX."""
    if model.card.weights.loader == "onnx":
        return (folder / model.card.weights.file).read_bytes()
    if isinstance(model.backend, NnunetNetworks):
        if model.backend.folder.onnx is not None:
            return model.backend.folder.onnx.read_bytes()
        from ctatlas.models.conversion import mean_of

        network = mean_of(model.backend.networks)
    else:
        network = model.backend
    from ctatlas.models.backends.torch import TorchNetwork
    from ctatlas.models.conversion import onnx_bytes

    if not isinstance(network, TorchNetwork):
        raise ModelError(f"{model.card.name}: its network is none of torch's, so that it can't be written as ONNX")
    x, y, z = real.shape[2:]
    return onnx_bytes(network, (x, y, z))


def _reduced(network: bytes, precision: Precision, real: np.ndarray) -> bytes:
    if precision == "float16":
        return with_half_weights(network)
    return in_int8(network, [each[None] for each in real]) if precision == "int8" else network


def _compared(before: np.ndarray, after: np.ndarray, card: ModelCard, out: Path, network: bytes) -> Exported:
    one, other = (_labels(logits, card) for logits in (before, after))
    real_one, real_other = one[: len(one) - _N_RANDOM], other[: len(other) - _N_RANDOM]
    dice: dict[str, float] = {}
    for channel, name in card.foreground.items():
        both = np.count_nonzero(real_one[:, channel] & real_other[:, channel])
        either = np.count_nonzero(real_one[:, channel]) + np.count_nonzero(real_other[:, channel])
        if either:
            dice[name] = float(2 * both / either)
    return Exported(
        folder=out,
        bytes=len(network),
        difference=float(np.abs(after - before).max() / max(before.std(), 1e-12)),
        share=float(np.any(one != other, axis=1).mean()),
        dice=dice,
        n_windows=len(before),
    )


def _labels(logits: np.ndarray, card: ModelCard) -> np.ndarray:
    """Return which classes each voxel has, (n, classes, x, y, z) bool."""
    if card.decide == "threshold":
        return np.asarray(logits > np.log(card.threshold / (1 - card.threshold)))
    best = logits.argmax(axis=1)
    return np.stack([best == channel for channel in range(logits.shape[1])], axis=1)


def _judge(found: Exported, precision: Precision) -> None:
    if precision == "float32" and (found.difference > LARGEST_DIFFERENCE or found.share > LARGEST_SHARE):
        raise ModelError(
            f"{found.folder}: the copy says something else: logits differ by up to {found.difference:.2g} s.d. "
            f"(at most {LARGEST_DIFFERENCE}), {found.share:.2%} of labels (at most {LARGEST_SHARE:.1%}); not kept"
        )
    if found.mean_dice < LEAST_DICE:
        raise ModelError(
            f"{found.folder}: in {precision} the labels have a Dice of {found.mean_dice:.3f} with those in float32, "
            f"at least {LEAST_DICE} is wanted; not kept"
        )


def _describe(folder: Path, model: Model, made: Path, network: bytes) -> None:
    """Write what the network needs beside it: plans and labels of nnU-Net, or a card that names the file."""
    if isinstance(model.backend, NnunetNetworks):
        for each in ("plans.json", "dataset.json"):
            shutil.copyfile(folder / each, made / each)
        return
    text = (folder / CARD_FILE).read_text(encoding="utf-8")
    text = re.sub(r"(?ms)^\[(weights|network)\]\s*?\n.*?(?=^\[|\Z)", "", text).rstrip()
    text += f'\n\n[weights]\nfile = "{FILE}"\nsha256 = "{sha256_bytes(network)}"\nloader = "onnx"\n'
    (made / CARD_FILE).write_text(text, encoding="utf-8")
    if read_card(made / CARD_FILE).weights.sha256 != sha256_bytes(network):
        raise ModelError(f"{folder / CARD_FILE}: its [weights] can't be told apart; write them as a table of their own")


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: can't be made: {error.strerror}") from None
    return folder
