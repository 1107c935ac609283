"""UNETR: a vision transformer over cubes of 16³ voxels, and convolutions that bring its maps back to the full grid.

The attribute names are the keys of MONAI's checkpoints.
Source: Hatamizadeh et al., UNETR, WACV 2022; MONAI networks/nets/unetr.py and vit.py.
"""

from __future__ import annotations

from math import prod

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from ctatlas.models.networks.residual import DecoderBlock, Doubling, EncoderBlock, OutputBlock, ResidualBlock
from ctatlas.models.networks.swin import MLP, Triple

PATCH = 16
_N_BLOCKS = 12
_SKIPS = (3, 6, 9)  # the blocks whose output the decoder sees


class Cubes(nn.Module):
    """Cut a window into cubes, one row of numbers each: voxel by voxel, its channels together."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, c, x, y, z) → (n, cubes, 16³ c)."""
        n, c, *shape = x.shape
        i, j, k = (size // PATCH for size in shape)
        x = x.reshape(n, c, i, PATCH, j, PATCH, k, PATCH)
        return x.permute(0, 2, 4, 6, 3, 5, 7, 1).reshape(n, i * j * k, -1)


class PatchEmbedding(nn.Module):
    """One vector a cube, and a learnt one for its place."""

    def __init__(self, n_inputs: int, grid: Triple, hidden: int, projection: str) -> None:
        super().__init__()
        self.position_embeddings = nn.Parameter(torch.zeros(1, prod(grid), hidden))
        self.patch_embeddings: nn.Module
        if projection == "conv":
            self.patch_embeddings = nn.Conv3d(n_inputs, hidden, PATCH, stride=PATCH)
        else:
            self.patch_embeddings = nn.Sequential(Cubes(), nn.Linear(n_inputs * PATCH**3, hidden))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_inputs, x, y, z) → (n, cubes, hidden)."""
        x = self.patch_embeddings(x)
        if x.ndim == 5:
            x = x.flatten(2).transpose(1, 2)
        return x + self.position_embeddings


class SelfAttention(nn.Module):
    """Attention of every cube to every other."""

    def __init__(self, hidden: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.out_proj = nn.Linear(hidden, hidden)
        self.qkv = nn.Linear(hidden, 3 * hidden, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, cubes, hidden) → the same shape."""
        n, n_cubes, hidden = x.shape
        q, k, v = self.qkv(x).view(n, n_cubes, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(q, k, v)  # (n, heads, cubes, hidden / heads)
        y: torch.Tensor = self.out_proj(mixed.transpose(1, 2).reshape(n, n_cubes, hidden))
        return y


class TransformerBlock(nn.Module):
    """Attention, then an MLP, each added to what came in."""

    def __init__(self, hidden: int, n_mlp: int, n_heads: int) -> None:
        super().__init__()
        self.mlp = MLP(hidden, n_mlp)
        self.norm1 = nn.LayerNorm(hidden)
        self.attn = SelfAttention(hidden, n_heads)
        self.norm2 = nn.LayerNorm(hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, cubes, hidden) → the same shape."""
        x = x + self.attn(self.norm1(x))
        y: torch.Tensor = x + self.mlp(self.norm2(x))
        return y


class VisionTransformer(nn.Module):
    """Twelve blocks; the decoder sees what leaves some of them, and the last, normalised."""

    def __init__(self, embedding: PatchEmbedding, hidden: int, n_mlp: int, n_heads: int) -> None:
        super().__init__()
        self.patch_embedding = embedding
        self.blocks = nn.ModuleList(TransformerBlock(hidden, n_mlp, n_heads) for _ in range(_N_BLOCKS))
        self.norm = nn.LayerNorm(hidden)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(n, n_inputs, x, y, z) → four times (n, cubes, hidden): blocks 3, 6 and 9 counted from 0, and the end."""
        x = self.patch_embedding(x)
        seen: list[torch.Tensor] = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in _SKIPS:
                seen.append(x)
        return [*seen, self.norm(x)]


class Ladder(nn.Module):
    """From the transformer's grid to a finer one: double, then some times double and convolve."""

    def __init__(self, hidden: int, n_out: int, n_more: int) -> None:
        super().__init__()
        self.transp_conv_init = Doubling(hidden, n_out)
        self.blocks = nn.ModuleList(
            nn.Sequential(Doubling(n_out, n_out), ResidualBlock(n_out, n_out)) for _ in range(n_more)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, hidden, x, y, z) → (n, n_out, 2^(n_more + 1) x, …)."""
        x = self.transp_conv_init(x)
        for block in self.blocks:
            x = block(x)
        return x


class UNETR(nn.Module):
    """A network for windows of one shape: its places are learnt.

    Parameters
    ----------
    n_inputs, n_classes : int
        Channels in and out.
    window : three int
        The shape of a window, multiples of 16.
    width : int
        Channels of the finest maps; MONAI's feature_size.
    hidden, n_mlp, n_heads : int
        Length of a cube's vector, of the MLP's inner one, and attention heads.
    projection : {"conv", "perceptron"}
        How cubes become vectors; MONAI's proj_type (pos_embed before 1.4).
    """

    multiple_of = PATCH

    def __init__(
        self,
        n_inputs: int = 1,
        n_classes: int = 2,
        *,
        window: Triple = (96, 96, 96),
        width: int = 16,
        hidden: int = 768,
        n_mlp: int = 3072,
        n_heads: int = 12,
        projection: str = "conv",
    ) -> None:
        super().__init__()
        x, y, z = window
        self.grid = (x // PATCH, y // PATCH, z // PATCH)
        embedding = PatchEmbedding(n_inputs, self.grid, hidden, projection)
        self.vit = VisionTransformer(embedding, hidden, n_mlp, n_heads)
        self.encoder1 = EncoderBlock(n_inputs, width)
        self.encoder2 = Ladder(hidden, 2 * width, 2)
        self.encoder3 = Ladder(hidden, 4 * width, 1)
        self.encoder4 = Ladder(hidden, 8 * width, 0)
        self.decoder5 = DecoderBlock(hidden, 8 * width)
        self.decoder4 = DecoderBlock(8 * width, 4 * width)
        self.decoder3 = DecoderBlock(4 * width, 2 * width)
        self.decoder2 = DecoderBlock(2 * width, width)
        self.out = OutputBlock(width, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, n_inputs, x, y, z) of the shape said at first → logits (n, n_classes, x, y, z)."""
        early, middle, late, last = (_maps(seen, self.grid) for seen in self.vit(x))
        y = self.decoder5(last, self.encoder4(late))
        y = self.decoder4(y, self.encoder3(middle))
        y = self.decoder3(y, self.encoder2(early))
        logits: torch.Tensor = self.out(self.decoder2(y, self.encoder1(x)))
        return logits


def _maps(x: torch.Tensor, grid: Triple) -> torch.Tensor:
    """(n, cubes, hidden) → (n, hidden, x, y, z)."""
    n, _, hidden = x.shape
    return x.transpose(1, 2).reshape(n, hidden, *grid)
