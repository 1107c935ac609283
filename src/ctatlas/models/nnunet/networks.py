"""The networks of a model folder, with their weights: one a fold, or an exported one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.errors import InstallError, ModelError
from ctatlas.models.engines import open_onnx, open_torch
from ctatlas.models.model import Backend
from ctatlas.models.nnunet.folder import FINAL, Fold, NnunetFolder, is_nnunet_folder, open_folder
from ctatlas.models.nnunet.plans import Architecture
from ctatlas.settings import settings

if TYPE_CHECKING:
    from torch import nn

    from ctatlas.models.backends.torch import TorchNetwork
    from ctatlas.models.loaders.checkpoint import State


@dataclass(frozen=True, slots=True)
class NnunetNetworks:
    """A folder with networks that run.

    Attributes
    ----------
    folder : NnunetFolder
    folds : tuple of Fold
    networks : tuple of Backend
        One a fold.
    mirroring_axes : tuple of int
        Axes along which the first checkpoint allows windows to be mirrored.
    trainer : str
        Name of the class that trained the first.
    """

    folder: NnunetFolder
    folds: tuple[Fold, ...]
    networks: tuple[Backend, ...]
    mirroring_axes: tuple[int, ...] = ()
    trainer: str = ""

    @property
    def workers(self) -> int:
        """Say how many windows may run at once; see `ctatlas.models.Backend`."""
        return self.networks[0].workers

    @property
    def n_channels(self) -> int | None:
        """Return how many channels the networks take."""
        return self.networks[0].n_channels

    @property
    def n_classes(self) -> int | None:
        """Return how many classes they give."""
        return self.networks[0].n_classes

    def logits(self, windows: np.ndarray) -> np.ndarray:
        """Turn windows (n, channels, z, y, x), axes as the plans turn them, into the mean logits of the folds."""
        found = self.networks[0].logits(windows)
        for network in self.networks[1:]:
            found = found + network.logits(windows)
        return found / np.float32(len(self.networks)) if len(self.networks) > 1 else found


def load_networks(
    folder: NnunetFolder, folds: Sequence[Fold] | None = None, checkpoint: str = FINAL, backend: str | None = None
) -> NnunetNetworks:
    """Give the networks of a folder their weights.

    Parameters
    ----------
    folder : NnunetFolder
    folds : sequence of Fold, optional
        Numbers, or "all"; default: those that are there.
    checkpoint : str, optional
        Name of the file in each fold.
    backend : str, optional
        What networks run on; unless told, what `ctatlas.models.engines.chosen` says.

    Raises
    ------
    ModelError
        When a fold or its checkpoint is not there, holds code, or doesn't fit the plans.
    """
    if (exported := folder.onnx) is not None:
        return _exported(folder, exported, backend)
    wanted = tuple(folds) if folds else folder.folds(checkpoint)
    opened = [_open(folder, folder.checkpoint(fold, checkpoint), backend) for fold in wanted]
    first = opened[0]
    return NnunetNetworks(
        replace(folder, configuration=first.configuration),
        wanted,
        tuple(each.network for each in opened),
        first.mirroring_axes,
        first.trainer,
    )


@dataclass(frozen=True, slots=True)
class _Opened:
    network: Backend
    configuration: str
    mirroring_axes: tuple[int, ...]
    trainer: str


def _open(folder: NnunetFolder, path: Path, backend: str | None) -> _Opened:
    try:
        from ctatlas.models.backends.torch import TorchNetwork
        from ctatlas.models.loaders.checkpoint import read_whole_checkpoint, weights_of
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise InstallError(f"{path}: needs torch, which is not installed: pip install 'ctatlas[torch]'") from None

    held = read_whole_checkpoint(path)
    notes = held if isinstance(held, Mapping) else {}
    arguments = notes.get("init_args")
    said = arguments.get("configuration") if isinstance(arguments, Mapping) else None
    configuration = said if isinstance(said, str) else folder.configuration
    axes = notes.get("inference_allowed_mirroring_axes")
    state = {key: value for key, value in weights_of(path, held).items() if not _repeated(key)}
    chosen = folder.plans.configuration(configuration)
    n_inputs = len(folder.dataset.channel_names) + (folder.dataset.n_cascaded if chosen.previous_stage else 0)
    try:
        network = _filled(chosen.architecture, state, n_inputs, folder.dataset.n_heads)
        mirrored = _mirrored(axes, chosen.architecture.n_dims)
    except ModelError as error:
        trainer = notes.get("trainer_name")
        raise ModelError(f"{path}: {error}{f' (trained by {trainer})' if trainer else ''}") from None
    return _Opened(
        _ready(TorchNetwork(network, n_inputs, folder.dataset.n_heads), chosen.patch_size, backend),
        configuration,
        mirrored,
        str(notes.get("trainer_name") or folder.trainer),
    )


def _ready(network: TorchNetwork, patch: tuple[int, ...], asked: str | None) -> Backend:
    """Put a network on a backend; those but torch itself know three dimensions only."""
    if len(patch) == 3:
        z, y, x = patch
        return open_torch(network, asked, (z, y, x), "nnunet")
    if asked not in {None, "torch", "torch-channels-last"}:
        raise ModelError(f"networks in two dimensions run on torch, not on {asked}")
    return replace(network, threads=settings().threads)


def _filled(plan: Architecture, state: State, n_inputs: int, n_heads: int) -> nn.Module:
    """Make the network that the plans tell, of which weights alone show the kind of norm, and fill it."""
    import torch

    from ctatlas.models.loaders.matching import fill

    if any(key.endswith("running_mean") for key in state):
        plan = plan.model_copy(update={"norm": "batch"})  # trainers with batch norm leave no trace in the plans
    last = f"decoder.seg_layers.{len(plan.widths) - 2}.weight"
    if last in state and len(state[last]) != n_heads:
        raise ModelError(f"its network gives {len(state[last])} classes, the labels of dataset.json need {n_heads}")
    with torch.device("meta"):
        network = build(plan, n_inputs, n_heads)
    fill(network, state)
    return network


def build(plan: Architecture, n_inputs: int, n_heads: int) -> nn.Module:
    """Make a network; under `torch.device("meta")` without memory."""
    from ctatlas.models.networks.nnunet import PlainUNet, Plan, ResidualEncoderUNet, Style

    style = Style(
        n_dims=plan.n_dims,
        bias=plan.bias,
        norm=plan.norm,
        eps=plan.eps,
        affine=plan.affine,
        activation=plan.activation,
        slope=plan.slope,
        activation_first=plan.activation_first,
    )
    stages = Plan(plan.widths, plan.kernel_sizes, plan.strides, plan.n_blocks, plan.n_decoder, style)
    if plan.kind == "plain":
        return PlainUNet(n_inputs, n_heads, stages)
    return ResidualEncoderUNet(n_inputs, n_heads, stages, plan.n_stem, plan.narrow)


def _repeated(key: str) -> bool:
    return ".all_modules." in key or key.startswith("decoder.encoder.")


def _mirrored(axes: object, n_dims: int) -> tuple[int, ...]:
    if axes is None:
        return ()
    if not isinstance(axes, list | tuple) or not all(isinstance(axis, int) and 0 <= axis < n_dims for axis in axes):
        raise ModelError(f"allows mirroring along {axes!r}; expected axes from 0 to {n_dims - 1}")
    return tuple(sorted(set(axes)))


def former_stage(networks: NnunetNetworks) -> NnunetNetworks | None:
    """Load the stage whose labels a cascade reads, from the folder beside; None where there is no former stage.

    Raises
    ------
    ModelError
        When the folder is not there, or there are several; or as `load_networks`.
    """
    stage = networks.folder.chosen.previous_stage
    return _former(networks.folder.path.resolve(), stage) if stage else None


@lru_cache(maxsize=2)
def _former(path: Path, stage: str) -> NnunetNetworks:
    return load_networks(open_folder(beside(path, stage)))


def beside(path: Path, configuration: str) -> Path:
    """Return the model folder of another configuration of the same data, of the same trainer and plans if there is one.

    Raises
    ------
    ModelError
        When there is none, or there are several of other trainers.
    """
    names = path.name.split("__")
    alike = path.with_name("__".join([*names[:-1], configuration]))
    if is_nnunet_folder(alike):
        return alike
    found = sorted(each for each in path.parent.glob(f"*__{configuration}") if is_nnunet_folder(each))
    if len(found) != 1:
        said = f"there are {', '.join(each.name for each in found)}" if found else f"there is no {alike.name} beside it"
        raise ModelError(f"{path}: reads the labels of the stage {configuration}, and {said}; give these labels")
    return found[0]


def _exported(folder: NnunetFolder, path: Path, asked: str | None) -> NnunetNetworks:
    try:
        engine = open_onnx(path.read_bytes(), asked)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    except OSError as error:
        raise ModelError(f"{path}: can't be read: {error.strerror}") from None
    pairs = (
        ("channels", engine.n_channels, len(folder.dataset.channel_names)),
        ("classes", engine.n_classes, folder.dataset.n_heads),
    )
    if faults := [f"{found} {what}, expected {right}" for what, found, right in pairs if found not in {None, right}]:
        raise ModelError(f"{path}: doesn't fit dataset.json: {'; '.join(faults)}")
    return NnunetNetworks(folder, (), (engine,))
