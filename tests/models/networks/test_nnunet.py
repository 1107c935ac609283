"""The networks of nnU-Net against the modules that its package uses, on the same random weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ctatlas.models.networks.nnunet import PlainUNet, Plan, ResidualEncoderUNet, Style

STRIDES = ((1, 1, 1), (1, 2, 2), (2, 2, 1))
SIZES = ((1, 3, 3), (3, 3, 3), (3, 5, 3))
PLAN = Plan((4, 6, 8), SIZES, STRIDES, (1, 2, 2), (2, 1))
SHARED = {
    "input_channels": 2,
    "n_stages": 3,
    "features_per_stage": [4, 6, 8],
    "conv_op": nn.Conv3d,
    "kernel_sizes": SIZES,
    "strides": STRIDES,
    "num_classes": 3,
    "n_conv_per_stage_decoder": [2, 1],
    "conv_bias": True,
    "norm_op": nn.InstanceNorm3d,
    "norm_op_kwargs": {"eps": 1e-5, "affine": True},
    "nonlin": nn.LeakyReLU,
    "nonlin_kwargs": {"inplace": True},
}


def _filled(theirs: nn.Module, ours: nn.Module) -> nn.Module:
    """Draw weights for the one, norms not the identity, and give them to the other by name."""
    torch.manual_seed(0)
    for value in theirs.parameters():
        nn.init.normal_(value, std=0.3)
    state = theirs.state_dict()
    needed = {key: value for key, value in state.items() if ".all_modules." not in key}
    ours.load_state_dict({key: value for key, value in needed.items() if not key.startswith("decoder.encoder.")})
    return ours.eval()


def _same(theirs: nn.Module, ours: nn.Module) -> None:
    ours = _filled(theirs, ours)
    window = torch.randn(2, 2, 4, 8, 12)
    with torch.inference_mode():
        expected, found = theirs.eval()(window), ours(window)
    assert found.shape == (2, 3, 4, 8, 12)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("activation_first", [False, True])
def test_a_plain_network(activation_first: bool) -> None:  # noqa: FBT001
    unet = pytest.importorskip("dynamic_network_architectures.architectures.unet")
    theirs = unet.PlainConvUNet(n_conv_per_stage=[1, 2, 2], nonlin_first=activation_first, **SHARED)

    style = Style(activation_first=activation_first)

    _same(theirs, PlainUNet(2, 3, Plan(PLAN.widths, SIZES, STRIDES, (1, 2, 2), (2, 1), style)))


def test_a_network_with_a_residual_encoder() -> None:
    unet = pytest.importorskip("dynamic_network_architectures.architectures.unet")

    _same(unet.ResidualEncoderUNet(n_blocks_per_stage=[1, 2, 2], **SHARED), ResidualEncoderUNet(2, 3, PLAN))


def test_residual_blocks_with_bottlenecks() -> None:
    unet = pytest.importorskip("dynamic_network_architectures.architectures.unet")
    blocks = pytest.importorskip("dynamic_network_architectures.building_blocks.residual")
    narrow = {"block": blocks.BottleneckD, "bottleneck_channels": [2, 3, 4], "stem_channels": 5}
    theirs = unet.ResidualEncoderUNet(n_blocks_per_stage=[1, 2, 2], **narrow, **SHARED)

    _same(theirs, ResidualEncoderUNet(2, 3, PLAN, n_stem=5, narrow=[2, 3, 4]))
