"""CLIP's text encoder: a text's numbers → its embedding.

The attribute names are the keys of published checkpoints, as the transformers package writes them.
Source: Radford et al. 2021, Learning transferable visual models from natural language supervision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

Activation = Callable[[torch.Tensor], torch.Tensor]


def quick_gelu(x: torch.Tensor) -> torch.Tensor:
    """Return x sigmoid(1.702 x), which stood for GELU in the first CLIP."""
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS: dict[str, Activation] = {"quick_gelu": quick_gelu, "gelu": F.gelu}


@dataclass(frozen=True, slots=True)
class TextShape:
    """The sizes of an encoder.

    Attributes
    ----------
    n_words, n_positions, width, n_layers, n_hidden, n_out : int
    n_heads : int
        Not to be seen from weights.
    activation : str
        Key of `ACTIVATIONS`; not to be seen from weights.
    eps : float
    """

    n_words: int
    n_positions: int
    width: int
    n_layers: int
    n_hidden: int
    n_out: int
    n_heads: int
    activation: str = "quick_gelu"
    eps: float = 1e-5


class ClipTextEncoder(nn.Module):
    """Token and position embeddings, blocks with a causal mask, a norm, and a projection at the text's end."""

    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.text_model = _TextModel(shape)
        self.text_projection = nn.Linear(shape.width, shape.n_out, bias=False)

    def forward(self, numbers: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        """(n, length) int64, (n,) int64 place of each text's end → (n, n_out)."""
        states = self.text_model(numbers)  # (n, length, width)
        found: torch.Tensor = self.text_projection(states[torch.arange(len(states)), ends])
        return found


class _TextModel(nn.Module):
    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.embeddings = _Embeddings(shape)
        self.encoder = _Blocks(shape)
        self.final_layer_norm = nn.LayerNorm(shape.width, eps=shape.eps)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.final_layer_norm(self.encoder(self.embeddings(numbers)))
        return found


class _Embeddings(nn.Module):
    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(shape.n_words, shape.width)
        self.position_embedding = nn.Embedding(shape.n_positions, shape.width)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.token_embedding(numbers) + self.position_embedding.weight[: numbers.shape[1]]
        return found


class _Blocks(nn.Module):
    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Block(shape) for _ in range(shape.n_layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class _Block(nn.Module):
    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.self_attn = _Attention(shape)
        self.layer_norm1 = nn.LayerNorm(shape.width, eps=shape.eps)
        self.mlp = _Perceptron(shape)
        self.layer_norm2 = nn.LayerNorm(shape.width, eps=shape.eps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        found: torch.Tensor = x + self.mlp(self.layer_norm2(x))
        return found


class _Attention(nn.Module):
    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.n_heads = shape.n_heads
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (nn.Linear(shape.width, shape.width) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, length, width = x.shape
        q, k, v = (
            each(x).view(n, length, self.n_heads, -1).transpose(1, 2)
            for each in (self.q_proj, self.k_proj, self.v_proj)
        )
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # each word reads those before it
        found: torch.Tensor = self.out_proj(seen.transpose(1, 2).reshape(n, length, width))
        return found


class _Perceptron(nn.Module):
    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[shape.activation]
        self.fc1 = nn.Linear(shape.width, shape.n_hidden)
        self.fc2 = nn.Linear(shape.n_hidden, shape.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.fc2(self.activation(self.fc1(x)))
        return found
