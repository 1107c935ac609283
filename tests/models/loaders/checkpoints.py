"""Checkpoints and cards made in a test: small networks with weights drawn at random."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from ctatlas.models.networks.class_heads import ClassHeads
from ctatlas.models.networks.segresnet import SegResNet
from ctatlas.models.networks.swin_unetr import SwinUNETR
from ctatlas.models.networks.text_driven import UniversalModel
from ctatlas.models.networks.unetr import UNETR

NAMES = ("spleen", "kidney_right", "kidney_left", "liver")


def small_swin(n_classes: int | None = None) -> SwinUNETR:
    return SwinUNETR(1, n_classes, width=16, depths=(1, 2, 1, 1), n_heads=(2, 4, 4, 8))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "universal/swin-unetr": lambda: UniversalModel(small_swin(), 4),
    "class-heads/swin-unetr": lambda: ClassHeads(small_swin(), 4, hidden=8, reads_text=False),
    "swin-unetr": lambda: small_swin(4),
    "segresnet": lambda: SegResNet(1, 4, width=8, blocks_down=(1, 2, 1), blocks_up=(1, 2)),
    "unetr": lambda: UNETR(1, 4, window=(32, 64, 32), width=4, hidden=24, n_mlp=16),
}


def drawn(kind: str) -> nn.Module:
    torch.manual_seed(0)
    network = NETWORKS[kind]().eval()
    if "organ_embedding" in dict(network.named_buffers()):
        network.organ_embedding.normal_()
    return network


def saved(path: Path, state: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return path


def carded(folder: Path, content: bytes | Path, *, loader: str, network: str = "", **card: object) -> Path:
    """Write a card beside weights; return their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = content.read_bytes() if isinstance(content, Path) else content
    (folder / "weights.pth").write_bytes(weights)
    said = {"window": [32, 64, 32], "names": NAMES, "channels": "[{clip = [-175, 250], subtract = -175, divide = 425}]"}
    said |= card
    classes = "\n".join(
        f'[[classes]]\nchannel = {channel}\nname = "{name}"' for channel, name in enumerate(said["names"])
    )
    (folder / "card.toml").write_text(
        f"""
name = "test/public"
version = "1"
license = "none"
description = "Random weights."
not_for = "anything but tests"
decide = "threshold"

[input]
spacing_mm = [1.5, 1.5, 1.5]
orientation = "RAS"
channels = {said["channels"]}

[window]
shape = {said["window"]}

[weights]
file = "weights.pth"
sha256 = "{hashlib.sha256(weights).hexdigest()}"
loader = "{loader}"

{network}

{classes}
""",
        encoding="utf-8",
    )
    return folder
