"""A tiny CLIP text encoder in a folder, filled with numbers made from the names of its entries."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from ctatlas.models.networks.clip_text import ClipTextEncoder, TextShape
from tests.reference.clip_golden import SIZES
from tests.reference.golden_fill import entry

GOLDEN = Path(__file__).parent / "golden"


def tiny_shape(activation: str = "quick_gelu", n_out: int = SIZES["projection_dim"]) -> TextShape:
    return TextShape(
        n_words=len(json.loads((GOLDEN / "vocab.json").read_text(encoding="utf-8"))),
        n_positions=SIZES["max_position_embeddings"],
        width=SIZES["hidden_size"],
        n_layers=SIZES["num_hidden_layers"],
        n_hidden=SIZES["intermediate_size"],
        n_out=n_out,
        n_heads=SIZES["num_attention_heads"],
        activation=activation,
    )


def tiny_state(n_out: int = SIZES["projection_dim"]) -> dict[str, torch.Tensor]:
    """Return the weights under the names of transformers."""
    with torch.device("meta"):
        shapes = {
            name: tuple(each.shape) for name, each in ClipTextEncoder(tiny_shape(n_out=n_out)).state_dict().items()
        }
    return {name: torch.from_numpy(entry(name, shape)).float() for name, shape in shapes.items()}


def with_tables(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(GOLDEN / name, folder / name)
    return folder


def tiny_encoder(folder: Path, activation: str = "quick_gelu", n_out: int = SIZES["projection_dim"]) -> Path:
    """Write `model.safetensors`, `config.json` and the tokenizer's tables; return their folder."""
    save_file(tiny_state(n_out), with_tables(folder) / "model.safetensors")
    config = {"text_config": {"num_attention_heads": SIZES["num_attention_heads"], "hidden_act": activation}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
