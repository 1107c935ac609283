"""The networks of the golden vectors, built and filled, and how far they are from what is stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ctatlas.models.networks.class_heads import ClassHeads
from ctatlas.models.networks.genesis_unet import GenesisUNet
from ctatlas.models.networks.segresnet import SegResNet
from ctatlas.models.networks.swin_unetr import SwinUNETR
from ctatlas.models.networks.text_driven import UniversalModel
from ctatlas.models.networks.unetr import UNETR
from tests.reference.golden_fill import entry, windows

FOLDER = Path(__file__).with_name("golden")

PUBLISHED: dict[str, Callable[[], nn.Module]] = {
    "universal_unet": lambda: UniversalModel(GenesisUNet(), 32),
    "universal_swinunetr": lambda: UniversalModel(SwinUNETR(), 32),
    "suprem_unet": lambda: GenesisUNet(1, 25),
    "suprem_swinunetr": lambda: SwinUNETR(1, 25),
    "suprem_segresnet": lambda: SegResNet(1, 25),
    "classheads_word": lambda: ClassHeads(SwinUNETR(), 8),
    "classheads_onehot": lambda: ClassHeads(SwinUNETR(), 8, hidden=128, reads_text=False),
}
OF_MONAI: dict[str, Callable[[], nn.Module]] = {
    "swin_monai_1.4": lambda: SwinUNETR(2, 3, width=12, patch_merging="monai<1.5"),
    "swin_monai_1.5": lambda: SwinUNETR(2, 3, width=12, patch_merging="monai>=1.5"),
    "swin_monai_v2": lambda: SwinUNETR(2, 3, width=12, patch_merging="v2"),
    "unetr_conv": lambda: UNETR(2, 3, window=(32, 48, 16), width=8, hidden=48, n_mlp=80, n_heads=4),
    "unetr_perceptron": lambda: UNETR(
        2, 3, window=(32, 48, 16), width=8, hidden=48, n_mlp=80, n_heads=4, projection="perceptron"
    ),
    "segresnet_wide": lambda: SegResNet(2, 3, width=8, blocks_down=(1, 2, 1), blocks_up=(2, 1)),
}
# Of the stored keys: statistics that no forward pass reads, a table that follows from the window, and layers that
# MONAI's transformer block makes but doesn't use.
UNREAD = ("running_mean", "running_var", "num_batches_tracked", "relative_position_index")
UNUSED = (".cross_attn.", ".norm_cross_attn.")


@dataclass(frozen=True)
class Deviation:
    """Over all stored values, in standard deviations of the stored output: the largest, and the root mean square."""

    largest: float
    rms: float


def stored_keys(name: str) -> dict[str, tuple[int, ...]]:
    """Return what the published state dict holds, without what is never read."""
    listed = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["state_dict"]
    return {key: tuple(shape) for key, shape, _ in listed if not key.endswith(UNREAD)}


def published_key(name: str, key: str) -> str:
    """Return the key that the originals have for ours; the class heads' trunk lies flat there."""
    return key.removeprefix("backbone.") if name.startswith("classheads") else key


def filled(name: str, dtype: torch.dtype) -> nn.Module:
    with torch.device("meta"):
        network = (PUBLISHED | OF_MONAI)[name]()
    state = {
        key: torch.from_numpy(entry(published_key(name, key), tuple(value.shape))).to(dtype)
        for key, value in network.state_dict().items()
    }
    network.load_state_dict(state, assign=True)
    return network.eval()


def logits_of(network: nn.Module, shape: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    with torch.inference_mode():
        out: torch.Tensor = network(torch.from_numpy(windows(tuple(shape))).to(dtype))
    return out.double().numpy()


def deviation(name: str, dtype: torch.dtype) -> Deviation:
    """Run a published network and compare every kind of number that is stored of its output."""
    stored = np.load(FOLDER / f"{name}.npz")
    out = logits_of(filled(name, dtype), stored["input_shape"], dtype)
    assert out.shape == tuple(stored["out_shape"])
    axes = (0, 2, 3, 4)
    pairs = [
        (out[:, :, 3::8, 3::8, 3::8], stored["out_sub"]),
        (out[0, :, -1, -1, -4:], stored["out_corner"]),
        (out.mean(axes), stored["out_mean"]),
        (out.std(axes), stored["out_std"]),
        (np.abs(out).max(axes), stored["out_absmax"]),
    ]
    return _deviation(pairs, float(stored["out_sub"].std()))


def deviation_from_monai(name: str) -> Deviation:
    stored = np.load(FOLDER / f"{name}.npz")
    out = logits_of(filled(name, torch.float64), stored["input_shape"], torch.float64)
    return _deviation([(out[:, :, 1::4, 1::4, 1::4], stored["sub"])], float(stored["sub"].std()))


def _deviation(pairs: list[tuple[np.ndarray, np.ndarray]], sd: float) -> Deviation:
    assert all(ours.shape == theirs.shape for ours, theirs in pairs)
    off = np.concatenate([(ours - theirs).ravel() for ours, theirs in pairs]) / sd
    return Deviation(float(np.abs(off).max()), float(np.sqrt((off**2).mean())))
