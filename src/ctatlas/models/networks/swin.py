"""The Swin transformer of Swin UNETR: attention within windows of voxels, which shift at every second block.

The attribute names are the keys of published checkpoints. Within this file arrays are (n, x, y, z, channels).
Source: Hatamizadeh et al., Swin UNETR, BrainLes 2021; MONAI networks/nets/swin_unetr.py for what the paper leaves open.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product

import torch
from torch import nn
from torch.nn.functional import layer_norm, pad, scaled_dot_product_attention

Triple = tuple[int, int, int]

WINDOW = 7
# Windows attended at once: bounds the memory, and is no number that a result depends on.
_AT_ONCE = 16

# The corner of each 2³ cube that a stage takes for its channels, in order. MONAI's `PatchMerging` was born with two
# corners twice and two missing; 1.5 mended that under the same name, so that it takes older weights and gives wrong
# masks. `PatchMergingV2` counts the corners.
_OLD = ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 0), (0, 0, 1), (1, 1, 1))
_NEW = ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1))
PATCH_MERGINGS = {"monai<1.5": _OLD, "monai>=1.5": _NEW, "v2": tuple(product((0, 1), repeat=3))}


class PatchEmbedding(nn.Module):
    """A convolution that turns each 2³ cube into a vector."""

    def __init__(self, n_inputs: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(n_inputs, width, 2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_inputs, x, y, z) → (n, x/2, y/2, z/2, width)."""
        y: torch.Tensor = self.proj(x)
        return y.permute(0, 2, 3, 4, 1)


class WindowAttention(nn.Module):
    """Self-attention among the tokens of a window, with a learnt bias for each offset between two tokens."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * WINDOW - 1) ** 3, n_heads))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, windows: torch.Tensor, regions: torch.Tensor | None) -> torch.Tensor:
        """Attend within (windows, tokens, width), hardly across regions (windows of one sample, tokens)."""
        bias = self._bias(windows.shape[1])
        attended = []
        for start in range(0, len(windows), _AT_ONCE):
            some = windows[start : start + _AT_ONCE]
            seen = bias
            if regions is not None:
                which = torch.arange(start, start + len(some), device=regions.device) % len(regions)
                seen = bias + apart(regions[which]).to(bias)[:, None]
            attended.append(self._attend(some, seen))
        return torch.cat(attended)

    def _bias(self, n_tokens: int) -> torch.Tensor:
        """Return (1, heads, tokens, tokens); a smaller window reads the corner of the whole one's, as trained."""
        index = relative_position_index()[:n_tokens, :n_tokens].to(self.relative_position_bias_table.device)
        return self.relative_position_bias_table[index].permute(2, 0, 1)[None]

    def _attend(self, windows: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        n, n_tokens, width = windows.shape
        q, k, v = self.qkv(windows).view(n, n_tokens, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(q, k, v, attn_mask=bias)  # (n, heads, tokens, width / heads)
        y: torch.Tensor = self.proj(mixed.transpose(1, 2).reshape(n, n_tokens, width))
        return y


class MLP(nn.Module):
    """Two linear layers with an exact GELU between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(…, width) → the same shape."""
        y: torch.Tensor = self.linear2(nn.functional.gelu(self.linear1(x)))
        return y


class SwinBlock(nn.Module):
    """Attention within windows, shifted or not, then an MLP; both added to their normalised input's source."""

    def __init__(self, width: int, n_heads: int, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, n_heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = MLP(width, 4 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, x, y, z, width) → the same shape."""
        x = x + self._attended(self.norm1(x))
        y: torch.Tensor = x + self.mlp(self.norm2(x))
        return y

    def _attended(self, x: torch.Tensor) -> torch.Tensor:
        nx, ny, nz = x.shape[1:4]
        window, shift = window_and_shift((nx, ny, nz), self.shift)
        px, py, pz = (-(-size // edge) * edge for size, edge in zip((nx, ny, nz), window, strict=True))
        x = pad(x, (0, 0, 0, pz - nz, 0, py - ny, 0, px - nx))
        if not any(shift):
            return _joined(self.attn(_cut(x, window), None), x.shape, window)[:, :nx, :ny, :nz]
        axes = (1, 2, 3)
        regions = shift_regions((px, py, pz), window, shift).to(x.device)
        windows = _cut(torch.roll(x, tuple(-each for each in shift), axes), window)
        return torch.roll(_joined(self.attn(windows, regions), x.shape, window), shift, axes)[:, :nx, :ny, :nz]


class PatchMerging(nn.Module):
    """Halve the grid: the corners of each 2³ cube side by side, normalised, then mixed into twice the channels."""

    def __init__(self, width: int, order: str) -> None:
        super().__init__()
        self.corners = PATCH_MERGINGS[order]
        self.reduction = nn.Linear(8 * width, 2 * width, bias=False)
        self.norm = nn.LayerNorm(8 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, x, y, z, width), even → (n, x/2, y/2, z/2, 2 width)."""
        corners = [x[:, i::2, j::2, k::2] for i, j, k in self.corners]
        y: torch.Tensor = self.reduction(self.norm(torch.cat(corners, dim=-1)))
        return y


class Stage(nn.Module):
    """Pairs of blocks, the second of each shifted by half a window, then merging."""

    def __init__(self, width: int, n_blocks: int, n_heads: int, order: str) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            SwinBlock(width, n_heads, shift=WINDOW // 2 if number % 2 else 0) for number in range(n_blocks)
        )
        self.downsample = PatchMerging(width, order)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, x, y, z, width) → (n, x/2, y/2, z/2, 2 width)."""
        for block in self.blocks:
            x = block(x)
        y: torch.Tensor = self.downsample(x)
        return y


class SwinTransformer(nn.Module):
    """Patch embedding and four stages; what leaves each goes out normalised, what goes on does not."""

    def __init__(self, n_inputs: int, width: int, depths: Sequence[int], n_heads: Sequence[int], order: str) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(n_inputs, width)
        stages = [
            nn.ModuleList([Stage(width * 2**number, depth, heads, order)])
            for number, (depth, heads) in enumerate(zip(depths, n_heads, strict=True))
        ]
        self.layers1, self.layers2, self.layers3, self.layers4 = stages

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(n, n_inputs, x, y, z) → five maps (n, channels, …) of 1, 2, 4, 8, 16 widths on grids halved 1 to 5 times."""
        x = self.patch_embed(x)
        hidden = [_normalised(x)]
        for stage in (self.layers1, self.layers2, self.layers3, self.layers4):
            x = stage[0](x)
            hidden.append(_normalised(x))
        return hidden


def window_and_shift(shape: Triple, shift: int) -> tuple[Triple, Triple]:
    """Return the window and its shift on a grid; an axis no longer than a window is one window, which never shifts."""
    windows = [min(size, WINDOW) for size in shape]
    shifts = [shift if size > WINDOW else 0 for size in shape]
    return (windows[0], windows[1], windows[2]), (shifts[0], shifts[1], shifts[2])


@lru_cache(maxsize=1)
@torch.inference_mode(mode=False)  # or what is kept could not be trained with later
def relative_position_index() -> torch.Tensor:
    """Return the row of the bias table for each pair of tokens in a whole window, (343, 343) int64."""
    ticks = torch.arange(WINDOW, device="cpu")
    places = torch.stack(torch.meshgrid(ticks, ticks, ticks, indexing="ij")).flatten(1)
    offsets = places[:, :, None] - places[:, None, :] + WINDOW - 1
    span = 2 * WINDOW - 1
    return offsets[0] * span**2 + offsets[1] * span + offsets[2]


@lru_cache(maxsize=8)
@torch.inference_mode(mode=False)
def shift_regions(shape: Triple, window: Triple, shift: Triple) -> torch.Tensor:
    """Return a number for each part of a rolled grid that was one before: (windows, tokens) uint8."""
    regions = torch.zeros(shape, dtype=torch.uint8, device="cpu")
    for axis, (size, edge, step) in enumerate(zip(shape, window, shift, strict=True)):
        if step:
            along = torch.zeros(size, dtype=torch.uint8, device="cpu")
            along[size - edge : size - step] = 1
            along[size - step :] = 2
            regions += 3**axis * along.view([-1 if each == axis else 1 for each in range(3)])
    return _cut(regions[None, ..., None], window)[..., 0]


def apart(regions: torch.Tensor) -> torch.Tensor:
    """Return −100 between tokens of different regions, else 0: (windows, tokens) → (windows, tokens, tokens)."""
    return (regions[:, :, None] != regions[:, None, :]).float() * -100


def _cut(x: torch.Tensor, window: Triple) -> torch.Tensor:
    """(n, x, y, z, c) → (windows, tokens, c), sample by sample."""
    a, b, c = window
    n, nx, ny, nz, width = x.shape
    x = x.reshape(n, nx // a, a, ny // b, b, nz // c, c, width)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, a * b * c, width)


def _joined(windows: torch.Tensor, shape: torch.Size, window: Triple) -> torch.Tensor:
    """Undo `_cut`."""
    a, b, c = window
    n, nx, ny, nz, width = shape
    x = windows.reshape(n, nx // a, ny // b, nz // c, a, b, c, width)
    return x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(shape)


def _normalised(x: torch.Tensor) -> torch.Tensor:
    """(n, x, y, z, c) → (n, c, x, y, z), each vector with mean 0 and variance 1."""
    return layer_norm(x, x.shape[-1:]).permute(0, 4, 1, 2, 3)
