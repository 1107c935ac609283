"""Make the golden vectors of tests/models/text: what transformers' CLIP gives of a tiny encoder with known weights.

    python -m tests.reference.clip_golden FOLDER

needs `transformers` and `tokenizers`, which nothing else here does. Pieces of words are learned from the texts below,
so that the tables are small.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np

from ctatlas.models.text.tokenizer import _LETTER_OF, END, START, words_of
from tests.reference.golden_fill import entry

TEXTS = (
    "A computerized tomography of a liver",
    "A computerized tomography of a Portal Vein and Splenic Vein",
    "A computerized tomography of a Kidney  Tumor, left; the patient's 2nd (12 mm)",
    "Wirbelkörper — ünïcode: 肝臓",
    "Celiac Truck",
)
UNSEEN = ("a gastric band of 3cm²; naïve Ωμέγα don't_know", "x")  # words of which no whole was learned
SIZES = {
    "hidden_size": 48,
    "intermediate_size": 80,
    "projection_dim": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 77,
    "layer_norm_eps": 1e-5,
}


def tables(n_merges: int = 150) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Learn a vocabulary and its merges, the most frequent pair first."""
    words = Counter(word for text in TEXTS for word in words_of(text))
    split = {word: [*(_LETTER_OF[b] for b in word.encode())] for word in words}
    split = {word: [*letters[:-1], letters[-1] + "</w>"] for word, letters in split.items()}
    merges: list[tuple[str, str]] = []
    while len(merges) < n_merges:
        pairs = Counter(pair for word, parts in split.items() for pair in pairwise(parts) for _ in range(words[word]))
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        split = {word: joined(parts, best) for word, parts in split.items()}
    letters = [_LETTER_OF[byte] for byte in range(256)]
    pieces = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges), START, END]
    return {piece: number for number, piece in enumerate(pieces)}, merges


def joined(parts: list[str], pair: tuple[str, str]) -> list[str]:
    """Join a pair wherever it stands."""
    found: list[str] = []
    for part in parts:
        if found and (found[-1], part) == pair:
            found[-1] += part
        else:
            found.append(part)
    return found


def main(folder: Path) -> None:
    """Write tables, weights, numbers and embeddings."""
    import torch
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, merges = tables()
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    found = tokenizer([*TEXTS, *UNSEEN], padding="max_length", max_length=77, return_tensors="pt")
    said: dict[str, np.ndarray] = {"input_ids": found["input_ids"].numpy().astype(np.int32)}
    for activation in ("quick_gelu", "gelu"):
        special = {"eos_token_id": vocabulary[END], "bos_token_id": vocabulary[START]}
        config = CLIPTextConfig(vocab_size=len(vocabulary), hidden_act=activation, **special, **SIZES)
        model = CLIPTextModelWithProjection(config).eval()
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(torch.from_numpy(entry(name, tuple(value.shape))))
            said[activation] = model(input_ids=found["input_ids"]).text_embeds.numpy()
    np.savez_compressed(folder / "embeddings.npz", **said)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
