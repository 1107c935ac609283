"""One patch through one network, nothing around it: what proves that two implementations give the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctatlas.errors import ModelError, ScanError
from ctatlas.models.cards import CARD_FILE
from ctatlas.models.engines import open_onnx, open_torch
from ctatlas.models.kinds import checkpoint_opener
from ctatlas.models.model import Backend
from ctatlas.models.registry import load, model_names

_AT_MOST_VOXELS = 512**3


@dataclass(frozen=True, slots=True)
class Network:
    """An engine with a network in it, what it is, and what became of its weights."""

    engine: Backend
    kind: str
    account: str


def read_patch(path: Path) -> np.ndarray:
    """Read an .npy file as (channels, x, y, z) float32; three axes are one channel.

    Raises
    ------
    ScanError
        When it is no such file, holds objects or what is no finite number, or is too large.
    """
    try:
        found = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError, OverflowError) as error:
        raise ScanError(f"{path}: can't be read as an .npy array: {' '.join(str(error).split())}") from None
    if found.ndim not in {3, 4} or found.dtype.kind not in "fiu" or not found.size:
        what = f"{found.dtype} {found.shape}"
        raise ScanError(f"{path}: expected numbers on axes (x, y, z) or (channel, x, y, z); found {what}")
    if found.size > _AT_MOST_VOXELS:
        raise ScanError(f"{path}: {found.size:,} numbers are no patch; at most {_AT_MOST_VOXELS:,}")
    patch = np.ascontiguousarray(found.reshape(-1, *found.shape[-3:]), np.float32)
    if not np.isfinite(patch).all():
        raise ScanError(f"{path}: holds what is no finite number; a network would spread it over the whole patch")
    return patch


def open_for_patch(
    model: str,
    window: tuple[int, int, int],
    *,
    loader: str | None = None,
    engine: str | None = None,
    options: Mapping[str, object] | None = None,
) -> Network:
    """Open a model by its name or folder, or a bare file of weights.

    Parameters
    ----------
    model : str
        A model's name or folder, or a file: ONNX by its ending, else a torch checkpoint.
    window : three int
        The patch's shape, for which a checkpoint is converted where the engine reads ONNX.
    loader : str, optional
        Which loader reads a bare file; "onnx" or "universal" unless told.
    engine : str, optional
        What to run it on; see `ctatlas.models.engines.chosen`.
    options : mapping, optional
        What a bare checkpoint's weights don't show of its network.

    Raises
    ------
    ModelError
        When there is no such model or file, it can't be opened, or does not run on that engine.
    """
    if model in model_names() or Path(model).is_dir():
        opened = load(model, engine)
        return Network(opened.backend, opened.card.name, "as on its card")
    path = Path(model)
    if not path.is_file():
        raise ModelError(f"{model}: no model of this name, no folder with a {CARD_FILE}, and no file of weights")
    loader = loader or ("onnx" if path.suffix == ".onnx" else "universal")
    if loader == "onnx":
        return Network(open_onnx(path.read_bytes(), engine), "ONNX", "as in the file")
    found = checkpoint_opener(loader)(path, None, options)
    return Network(open_torch(found.backend, engine, window), found.layout.kind, str(found.account))


def patch_logits(engine: Backend, patch: np.ndarray) -> np.ndarray:
    """Turn a patch (channels, x, y, z) float32 into logits (classes, x, y, z) float32.

    Raises
    ------
    ModelError
        When the network takes another number of channels, or no windows of this shape.
    """
    if engine.n_channels not in {None, len(patch)}:
        raise ModelError(f"the network takes {engine.n_channels} channels, the patch has {len(patch)}")
    (logits,) = engine.logits(patch[None])
    return np.asarray(logits)
