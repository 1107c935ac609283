"""Tell from the names and shapes in a checkpoint which network it belongs to, and bring the names to one layout.

Source of the layouts: the loading code of the published repositories; MONAI's network classes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ctatlas.errors import ModelError
from ctatlas.models.loaders.checkpoint import State
from ctatlas.models.networks.class_heads import ClassHeads
from ctatlas.models.networks.genesis_unet import GenesisUNet
from ctatlas.models.networks.segresnet import SegResNet
from ctatlas.models.networks.swin_unetr import SwinUNETR
from ctatlas.models.networks.text_driven import UniversalModel
from ctatlas.models.networks.unetr import UNETR

if TYPE_CHECKING:
    from torch import nn

Options = dict[str, object]

# The first layer of each trunk says which it is, and by its shape how many channels go in.
_FIRST_LAYERS = {
    "unet": "down_tr64.ops.0.conv1.weight",
    "swin-unetr": "swinViT.patch_embed.proj.weight",
    "segresnet": "convInit.conv.weight",
    "unetr": "encoder1.layer.conv1.conv.weight",
}
# The last layer of a plain network, and of each other head what only it has: head → (entry, axis of classes).
_LAST_LAYERS = {"unet": "out_tr.final_conv.weight", "segresnet": "conv_final.2.conv.weight"}
_UNETR_LAST = "out.conv.conv.weight"
_HEADS = {"universal": "controller.weight", "class-heads": "controllers.0.0.weight"}
_N_SEEN = 256  # what class heads see of the window; whatever more they take is the text


@dataclass(frozen=True, slots=True)
class Layout:
    """A network as its checkpoint shows it; `options` are those of the trunk's constructor."""

    trunk: str
    head: str
    n_inputs: int
    n_classes: int
    options: Options = field(default_factory=dict)
    head_options: Options = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Name it as a card does: "swin-unetr", "universal/unet"."""
        return self.trunk if self.head == "plain" else f"{self.head}/{self.trunk}"


def normalised(state: State) -> State:
    """Put the trunk's names under `backbone.` where another head follows, and nowhere else."""
    special = any(mark in state for mark in _HEADS.values())
    tops = ("swinViT.", "encoder", "decoder", "down_tr", "up_tr")
    if special:
        return {f"backbone.{key}" if key.startswith(tops) else key: value for key, value in state.items()}
    return {key.removeprefix("backbone."): value for key, value in state.items()}


def layout_of(state: State) -> Layout:
    """Recognise a network by its normalised names and shapes.

    Raises
    ------
    ModelError
        When it is none of ours, or has no output layer.
    """
    head = next((name for name, mark in _HEADS.items() if mark in state), "plain")
    prefix = "" if head == "plain" else "backbone."
    trunk = next((name for name, layer in _FIRST_LAYERS.items() if prefix + layer in state), None)
    if trunk is None:
        raise ModelError(
            f"holds none of the networks known here ({', '.join(_FIRST_LAYERS)}); "
            f"its first entry is {next(iter(state))}"
        )
    return Layout(
        trunk=trunk,
        head=head,
        n_inputs=_size(state, prefix + _FIRST_LAYERS[trunk], 1),
        n_classes=_n_classes(state, trunk, head),
        options=_OPTIONS[trunk](state, prefix) if trunk in _OPTIONS else {},
        head_options=_class_head_options(state) if head == "class-heads" else {},
    )


def build(layout: Layout) -> nn.Module:
    """Make the network; under `torch.device("meta")` without memory.

    Raises
    ------
    ModelError
        When its options don't fit together.
    """
    try:
        n_out = layout.n_classes if layout.head == "plain" else None
        trunk = _TRUNKS[layout.trunk](layout.n_inputs, n_out, **layout.options)
        if layout.head == "plain":
            return trunk
        return _WITH_HEADS[layout.head](trunk, layout.n_classes, **layout.head_options)
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise ModelError(f"no {layout.kind} can be made with {layout.options}: {error}") from None


_TRUNKS: dict[str, Callable[..., nn.Module]] = {
    "unet": GenesisUNet,
    "swin-unetr": SwinUNETR,
    "segresnet": SegResNet,
    "unetr": UNETR,
}
_WITH_HEADS: dict[str, Callable[..., nn.Module]] = {"universal": UniversalModel, "class-heads": ClassHeads}


def _n_classes(state: State, trunk: str, head: str) -> int:
    if head == "universal":
        return _size(state, "organ_embedding", 0)
    if head == "class-heads":
        return _count(state, r"controllers\.(\d+)\.0\.weight")
    return _size(state, _LAST_LAYERS.get(trunk, _UNETR_LAST), 0)


def _swin_options(state: State, prefix: str) -> Options:
    stages = [f"{prefix}swinViT.layers{stage}.0.blocks." for stage in (1, 2, 3, 4)]
    table = "0.attn.relative_position_bias_table"
    return {
        "width": _size(state, f"{prefix}swinViT.patch_embed.proj.weight", 0),
        "depths": [_count(state, re.escape(stage) + r"(\d+)\.norm1\.weight") for stage in stages],
        "n_heads": [_size(state, stage + table, 1) for stage in stages],
    }


def _segresnet_options(state: State, _prefix: str) -> Options:
    down = _count(state, r"down_layers\.(\d+)\.\d+\.norm1\.weight")
    up = _count(state, r"up_layers\.(\d+)\.0\.norm1\.weight")
    return {
        "width": _size(state, "convInit.conv.weight", 0),
        "blocks_down": [_count(state, rf"down_layers\.{stage}\.(\d+)\.norm1\.weight") for stage in range(down)],
        "blocks_up": [_count(state, rf"up_layers\.{stage}\.(\d+)\.norm1\.weight") for stage in range(up)],
    }


def _unetr_options(state: State, _prefix: str) -> Options:
    conv = "vit.patch_embedding.patch_embeddings.weight" in state
    return {
        "width": _size(state, "encoder1.layer.conv1.conv.weight", 0),
        "hidden": _size(state, "vit.norm.weight", 0),
        "n_mlp": _size(state, "vit.blocks.0.mlp.linear1.weight", 0),
        "projection": "conv" if conv else "perceptron",
    }


_OPTIONS: dict[str, Callable[[State, str], Options]] = {
    "swin-unetr": _swin_options,
    "segresnet": _segresnet_options,
    "unetr": _unetr_options,
}


def _class_head_options(state: State) -> Options:
    first = "controllers.0.0.weight"
    return {"hidden": _size(state, first, 0), "reads_text": _size(state, first, 1) > _N_SEEN}


def _size(state: State, key: str, axis: int) -> int:
    if key not in state or state[key].ndim <= axis:
        raise ModelError(f"has no {key} of more than {axis} axes, from which its size could be told")
    return state[key].shape[axis]


def _count(state: State, pattern: str) -> int:
    return len({found[1] for key in state if (found := re.fullmatch(pattern, key))})
