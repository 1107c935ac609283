"""The U-Nets of nnU-Net: plain and residual encoders, in two and three dimensions.

The attribute names are the keys of published checkpoints; of these only what a network needs once is kept (they repeat
the encoder below `decoder.`, and every layer below `all_modules`).
Source: Isensee et al., nnU-Net, Nature Methods 2021; Isensee et al., nnU-Net Revisited, MICCAI 2024; names and order of
layers as recorded from dynamic-network-architectures 0.4.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import nn

Sizes = tuple[int, ...]
_CONV: dict[int, Callable[..., nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
_UP: dict[int, Callable[..., nn.Module]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_POOL: dict[int, Callable[..., nn.Module]] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}
_NORMS: dict[tuple[str, int], Callable[..., nn.Module]] = {
    ("instance", 2): nn.InstanceNorm2d,
    ("instance", 3): nn.InstanceNorm3d,
    ("batch", 2): nn.BatchNorm2d,
    ("batch", 3): nn.BatchNorm3d,
}
_ACTIVATIONS: dict[str, Callable[..., nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}


@dataclass(frozen=True, slots=True)
class Style:
    """What all layers of a network have in common.

    Attributes
    ----------
    n_dims : int
        2 or 3.
    bias : bool
        Whether convolutions have one.
    norm : "instance", "batch" or "none"
    eps : float
    affine : bool
    activation : str
        "leaky-relu", "relu", "gelu" or "silu".
    slope : float
        Of the leaky ReLU.
    activation_first : bool
        Whether the norm comes after the activation.
    """

    n_dims: int = 3
    bias: bool = True
    norm: Literal["instance", "batch", "none"] = "instance"
    eps: float = 1e-5
    affine: bool = True
    activation: str = "leaky-relu"
    slope: float = 0.01
    activation_first: bool = False

    def normalise(self, n: int) -> nn.Module:
        """Make the norm of n channels."""
        if self.norm == "none":
            return nn.Identity()
        return _NORMS[self.norm, self.n_dims](n, eps=self.eps, affine=self.affine)

    def activate(self) -> nn.Module:
        """Make the activation."""
        if self.activation == "leaky-relu":
            return nn.LeakyReLU(self.slope, inplace=True)
        return _ACTIVATIONS[self.activation]()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a U-Net is made of, stage by stage from the finest.

    Attributes
    ----------
    widths : sequence of int
        Channels per stage.
    sizes, strides : sequence of tuple of int
        Kernel of every stage's convolutions; how much coarser a stage is than the one before.
    n_blocks : sequence of int
        Convolutions (plain) or residual blocks per stage of the encoder.
    n_decoder : sequence of int
        Convolutions per step of the decoder, from the coarsest.
    style : Style
    """

    widths: Sequence[int]
    sizes: Sequence[Sizes]
    strides: Sequence[Sizes]
    n_blocks: Sequence[int]
    n_decoder: Sequence[int]
    style: Style = Style()

    def layers(self, n_inputs: int) -> list[Layer]:
        """Return what every stage of the encoder begins with."""
        stages = zip((n_inputs, *self.widths[:-1]), self.widths, self.sizes, self.strides, strict=True)
        return [Layer(*stage) for stage in stages]


@dataclass(frozen=True, slots=True)
class Layer:
    """What goes into one or several convolutions, what comes out, their kernel, and how the first strides."""

    n_in: int
    n_out: int
    size: Sizes
    stride: Sizes

    @property
    def still(self) -> Sizes:
        """Return a kernel or stride of 1."""
        return (1,) * len(self.size)

    def repeated(self, n: int) -> list[Layer]:
        """Return this and n - 1 more that keep width and sizes."""
        return [self] + [Layer(self.n_out, self.n_out, self.size, self.still)] * (n - 1)


class Conv(nn.Module):
    """A convolution that keeps sizes unless it strides, its norm, and where asked the activation."""

    def __init__(self, layer: Layer, style: Style, *, bias: bool, active: bool) -> None:
        super().__init__()
        padding = tuple((length - 1) // 2 for length in layer.size)
        self.conv = _CONV[style.n_dims](
            layer.n_in, layer.n_out, layer.size, stride=layer.stride, padding=padding, bias=bias
        )
        self.norm = style.normalise(layer.n_out)
        self.activate = style.activate() if active else nn.Identity()
        self.activation_first = style.activation_first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_in, …) → (n, n_out, … / stride)."""
        x = self.conv(x)
        y: torch.Tensor = self.norm(self.activate(x)) if self.activation_first else self.activate(self.norm(x))
        return y


class Convs(nn.Module):
    """Convolutions one after the other under the key `convs`; the first may stride."""

    def __init__(self, layer: Layer, n: int, style: Style) -> None:
        super().__init__()
        self.convs = nn.Sequential(*(Conv(each, style, bias=style.bias, active=True) for each in layer.repeated(n)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_in, …) → (n, n_out, … / stride)."""
        y: torch.Tensor = self.convs(x)
        return y


class ResidualBlock(nn.Module):
    """Two convolutions, or a narrow one between two of size 1, added to the input, which is pooled and fitted."""

    def __init__(self, layer: Layer, style: Style, n_narrow: int | None) -> None:
        super().__init__()
        one, n_in, n_out = layer.still, layer.n_in, layer.n_out
        if n_narrow is None:
            first, second, third = layer, Layer(n_out, n_out, layer.size, one), None
        else:
            first, second = Layer(n_in, n_narrow, one, one), Layer(n_narrow, n_narrow, layer.size, layer.stride)
            third = Layer(n_narrow, n_out, one, one)
        self.conv1 = Conv(first, style, bias=style.bias, active=True)
        self.conv2 = Conv(second, style, bias=style.bias, active=third is not None)
        self.conv3 = Conv(third, style, bias=style.bias, active=False) if third else nn.Identity()
        skip: list[nn.Module] = [_POOL[style.n_dims](layer.stride, layer.stride)] if layer.stride != one else []
        if n_in != n_out:
            skip.append(Conv(Layer(n_in, n_out, one, one), style, bias=False, active=False))
        self.skip = nn.Sequential(*skip)
        self.activate = style.activate()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_in, …) → (n, n_out, … / stride)."""
        y = self.conv3(self.conv2(self.conv1(x)))
        y += self.skip(x)
        activated: torch.Tensor = self.activate(y)
        return activated


class Blocks(nn.Module):
    """Residual blocks one after the other under the key `blocks`; the first may stride."""

    def __init__(self, layer: Layer, n: int, style: Style, n_narrow: int | None) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(each, style, n_narrow) for each in layer.repeated(n)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_in, …) → (n, n_out, … / stride)."""
        y: torch.Tensor = self.blocks(x)
        return y


class PlainEncoder(nn.Module):
    """Stages of convolutions, each coarser than the one before."""

    def __init__(self, n_inputs: int, plan: Plan) -> None:
        super().__init__()
        stages = zip(plan.layers(n_inputs), plan.n_blocks, strict=True)
        self.stages = nn.Sequential(*(nn.Sequential(Convs(layer, n, plan.style)) for layer, n in stages))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(n, n_inputs, …) → what every stage gives, the finest first."""
        return _through(self.stages, x)


class ResidualEncoder(nn.Module):
    """A convolution as stem, then stages of residual blocks."""

    def __init__(self, n_inputs: int, plan: Plan, n_stem: int, narrow: Sequence[int] | None) -> None:
        super().__init__()
        layers = plan.layers(n_stem)
        self.stem = Convs(Layer(n_inputs, n_stem, layers[0].size, layers[0].still), 1, plan.style)
        stages = zip(layers, plan.n_blocks, narrow or (None,) * len(layers), strict=True)
        self.stages = nn.Sequential(*(Blocks(layer, n, plan.style, n_narrow) for layer, n, n_narrow in stages))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(n, n_inputs, …) → what every stage gives, the finest first."""
        return _through(self.stages, self.stem(x))


class Decoder(nn.Module):
    """From the coarsest stage to the finest: upsample, join the skip connection, convolve; a layer of classes each."""

    def __init__(self, n_classes: int, plan: Plan) -> None:
        super().__init__()
        style = plan.style
        steps = list(zip(pairwise(reversed(plan.widths)), plan.strides[:0:-1], plan.sizes[-2::-1], strict=True))
        self.stages = nn.ModuleList(
            Convs(Layer(2 * skip, skip, size, (1,) * style.n_dims), n, style)
            for ((_, skip), _, size), n in zip(steps, plan.n_decoder, strict=True)
        )
        self.transpconvs = nn.ModuleList(
            _UP[style.n_dims](deep, skip, stride, stride, bias=style.bias) for (deep, skip), stride, _ in steps
        )
        # Those of the coarser steps serve training alone; checkpoints hold them all.
        self.seg_layers = nn.ModuleList(_CONV[style.n_dims](skip, n_classes, 1) for (_, skip), _, _ in steps)

    def forward(self, skips: Sequence[torch.Tensor]) -> torch.Tensor:
        """[what every stage gave, the finest first] → (n, n_classes, …) on the finest grid."""  # noqa: D401
        x = skips[-1]
        for up, stage, skip in zip(self.transpconvs, self.stages, skips[-2::-1], strict=True):
            x = stage(torch.cat((up(x), skip), dim=1))
        logits: torch.Tensor = self.seg_layers[-1](x)
        return logits


class PlainUNet(nn.Module):
    """Convolutions in the encoder."""

    def __init__(self, n_inputs: int, n_classes: int, plan: Plan) -> None:
        super().__init__()
        self.encoder = PlainEncoder(n_inputs, plan)
        self.decoder = Decoder(n_classes, plan)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_inputs, …) → logits (n, n_classes, …)."""
        logits: torch.Tensor = self.decoder(self.encoder(x))
        return logits


class ResidualEncoderUNet(nn.Module):
    """Residual blocks in the encoder; with `narrow` widths these are bottlenecks."""

    def __init__(
        self, n_inputs: int, n_classes: int, plan: Plan, n_stem: int | None = None, narrow: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        self.encoder = ResidualEncoder(n_inputs, plan, n_stem or plan.widths[0], narrow)
        self.decoder = Decoder(n_classes, plan)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_inputs, …) → logits (n, n_classes, …)."""
        logits: torch.Tensor = self.decoder(self.encoder(x))
        return logits


def _through(stages: nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    found = []
    for stage in stages:
        x = stage(x)
        found.append(x)
    return found
