"""Random weights under the names that nnU-Net's networks give them, every alias included.

A block's convolution and norm appear a second time as `all_modules.0` and `all_modules.1`, and the whole encoder again
below `decoder.encoder`: the package loads strictly and wants them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

Named = Iterator[tuple[str, torch.Tensor]]


@dataclass(frozen=True)
class NetworkSizes:
    """Sizes of a U-Net of nnU-Net; one entry a stage, kernels and strides of its dimension."""

    kind: Literal["plain", "residual"]
    n_input: int
    n_output: int
    features: tuple[int, ...]
    kernels: tuple[tuple[int, ...], ...]
    strides: tuple[tuple[int, ...], ...]
    blocks: tuple[int, ...]
    decoder_convs: tuple[int, ...]


def random_weights(sizes: NetworkSizes, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """Draw a state dict: Kaiming for convolutions, norms that are not the identity, last layers of s.d. 0.5.

    The last layers are that large, and of mean 0 over what they see, so that no class wins everywhere.
    """
    encoder = dict(_encoder(sizes, rng))
    inner = {f"encoder.{name}": values for name, values in encoder.items()}
    again = {f"decoder.encoder.{name}": values for name, values in encoder.items()}
    return inner | again | dict(_decoder(sizes, rng))


def _encoder(sizes: NetworkSizes, rng: np.random.Generator) -> Named:
    before = sizes.n_input
    if sizes.kind == "residual":
        yield from _block("stem.convs.0", before, sizes.features[0], sizes.kernels[0], rng)
        before = sizes.features[0]
    for stage, features in enumerate(sizes.features):
        for number in range(sizes.blocks[stage]):
            kernel = sizes.kernels[stage]
            if sizes.kind == "plain":
                yield from _block(f"stages.{stage}.0.convs.{number}", before, features, kernel, rng)
            else:
                stride = sizes.strides[stage] if number == 0 else (1,) * len(kernel)
                yield from _residual(f"stages.{stage}.blocks.{number}", (before, features), kernel, stride, rng)
            before = features


def _residual(
    name: str, ends: tuple[int, int], kernel: tuple[int, ...], stride: tuple[int, ...], rng: np.random.Generator
) -> Named:
    before, features = ends
    yield from _block(f"{name}.conv1", before, features, kernel, rng)
    yield from _block(f"{name}.conv2", features, features, kernel, rng)
    if before != features:  # a pooling before it takes place 0
        place = 1 if max(stride) > 1 else 0
        yield from _block(f"{name}.skip.{place}", before, features, (1,) * len(kernel), rng, bias=False)


def _decoder(sizes: NetworkSizes, rng: np.random.Generator) -> Named:
    stages = len(sizes.features)
    for step in range(stages - 1):
        below, here = sizes.features[stages - 1 - step], sizes.features[stages - 2 - step]
        kernel, stride = sizes.kernels[stages - 2 - step], sizes.strides[stages - 1 - step]
        up = f"decoder.transpconvs.{step}"
        yield f"{up}.weight", _normal((below, here, *stride), (2 / below) ** 0.5, rng)
        yield f"{up}.bias", _normal((here,), 0.1, rng)
        for number in range(sizes.decoder_convs[step]):
            before = 2 * here if number == 0 else here
            for name, values in _block(f"stages.{step}.convs.{number}", before, here, kernel, rng):
                yield f"decoder.{name}", values
        last = f"decoder.seg_layers.{step}"
        weights = _normal((sizes.n_output, here, *[1] * len(kernel)), 0.5, rng)
        yield f"{last}.weight", weights - weights.mean(1, keepdim=True)
        yield f"{last}.bias", _normal((sizes.n_output,), 0.1, rng)


def _block(
    name: str, before: int, after: int, kernel: tuple[int, ...], rng: np.random.Generator, *, bias: bool = True
) -> Named:
    weights = {"weight": _normal((after, before, *kernel), (2 / (before * int(np.prod(kernel)))) ** 0.5, rng)}
    if bias:
        weights["bias"] = _normal((after,), 0.1, rng)
    norm = {"weight": 1 + _normal((after,), 0.2, rng), "bias": _normal((after,), 0.2, rng)}
    for alias, tensors in (("conv", weights), ("norm", norm), ("all_modules.0", weights), ("all_modules.1", norm)):
        for key, values in tensors.items():
            yield f"{name}.{alias}.{key}", values


def _normal(shape: tuple[int, ...], sd: float, rng: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy((rng.standard_normal(shape) * sd).astype(np.float32))
