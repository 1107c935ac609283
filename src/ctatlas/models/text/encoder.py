"""A CLIP text encoder in a folder of the user's: `model.safetensors` or an ONNX file, with its tokenizer's tables."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.errors import InstallError, ModelError
from ctatlas.hashing import sha256_file
from ctatlas.models.text.tokenizer import Tokenizer, read_tokenizer

if TYPE_CHECKING:
    import torch

    from ctatlas.models.networks.clip_text import TextShape

    State = dict[str, torch.Tensor]

SAFETENSORS = "model.safetensors"
ONNX_FILES = ("text_model.onnx", "model.onnx", "onnx/text_model.onnx")
_N_POSITIONS = 77  # of every published CLIP; an ONNX file does not say
_HEAD_WIDTH = 64
# Names of OpenAI's and open_clip's files → those of transformers
_OTHER_NAMES = (
    (r"^(text\.|model\.)", ""),
    (r"^token_embedding\.weight$", "text_model.embeddings.token_embedding.weight"),
    (r"^positional_embedding$", "text_model.embeddings.position_embedding.weight"),
    (r"^ln_final\.", "text_model.final_layer_norm."),
    (r"^transformer\.resblocks\.(\d+)\.", r"text_model.encoder.layers.\1."),
    (r"\.attn\.out_proj\.", ".self_attn.out_proj."),
    (r"\.ln_([12])\.", r".layer_norm\1."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
)


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """An encoder ready to run.

    Attributes
    ----------
    path : Path
        Of its weights.
    sha256 : str
    tokenizer : Tokenizer
    n_positions : int
        The longest text, in pieces of words.
    encode : callable
        (n, length) int64 numbers, (n,) int64 places of the texts' ends -> (n, m) float32.
    """

    path: Path
    sha256: str
    tokenizer: Tokenizer
    n_positions: int
    encode: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Embed texts, (n, m) float32; as they come out of the projection, not normalised.

        Raises
        ------
        ModelError
            When a text is empty or too long, or the encoder fails.
        """
        rows = [self.tokenizer.numbers(text, self.n_positions) for text in texts]
        numbers = np.full((len(rows), self.n_positions), self.tokenizer.end, np.int64)
        for line, row in zip(numbers, rows, strict=True):
            line[: len(row)] = row
        found = self.encode(numbers, np.array([len(row) - 1 for row in rows]))
        if found.ndim != 2 or len(found) != len(texts) or not np.isfinite(found).all():
            raise ModelError(
                f"{self.path}: gave {found.dtype} {found.shape}; expected one finite embedding for each text"
            )
        return found


def open_encoder(folder: Path) -> TextEncoder:
    """Open the text encoder in a folder.

    Raises
    ------
    ModelError
        When the folder has no weights or no tokenizer, or they are no CLIP text encoder's.
    InstallError
        When torch or safetensors is not installed.
    """
    if not folder.is_dir():
        raise ModelError(
            f"{folder}: no folder with a text encoder; expected {SAFETENSORS} or an ONNX file, with vocab.json"
        )
    tokenizer = read_tokenizer(folder)
    if (folder / SAFETENSORS).is_file():
        n_positions, encode = _torch(folder / SAFETENSORS, folder / "config.json")
        return TextEncoder(folder / SAFETENSORS, sha256_file(folder / SAFETENSORS), tokenizer, n_positions, encode)
    for name in ONNX_FILES:
        if (folder / name).is_file():
            path = folder / name
            return TextEncoder(path, sha256_file(path), tokenizer, _N_POSITIONS, _onnx(path))
    raise ModelError(f"{folder}: no weights in it; expected {SAFETENSORS}, {', '.join(ONNX_FILES)}")


def _torch(path: Path, config: Path) -> tuple[int, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    try:
        import torch

        from ctatlas.models.loaders.matching import fill
        from ctatlas.models.networks.clip_text import ClipTextEncoder
    except ModuleNotFoundError as error:
        raise InstallError(f"a text encoder in {path.name} needs {error.name}: pip install 'ctatlas[torch]'") from None
    state = _text_part(path, _read(path))
    shape = _shape(path, state, _said(config))
    with torch.device("meta"):
        network = ClipTextEncoder(shape)
    try:
        fill(network, state)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None

    def encode(numbers: np.ndarray, ends: np.ndarray) -> np.ndarray:
        if numbers.max(initial=0) >= shape.n_words:
            raise ModelError(
                f"{path}: knows {shape.n_words} words, its vocab.json has more: they don't belong together"
            )
        with torch.inference_mode():
            found: np.ndarray = network(torch.from_numpy(numbers), torch.from_numpy(ends)).float().numpy()
        return found

    return shape.n_positions, encode


def _onnx(path: Path) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  the runtime's own kinds of errors share no parent
        raise ModelError(f"{path}: no ONNX file that can be run: {' '.join(str(error).split())[:160]}") from None
    inputs = [each.name for each in session.get_inputs()]
    outputs = [each.name for each in session.get_outputs()]
    name = next((each for each in ("text_embeds", "text_features", "embeddings") if each in outputs), outputs[0])
    if "input_ids" not in inputs or set(inputs) - {"input_ids", "attention_mask"}:
        raise ModelError(
            f"{path}: takes {', '.join(inputs)}; expected input_ids (and attention_mask), as of a text encoder"
        )

    def encode(numbers: np.ndarray, ends: np.ndarray) -> np.ndarray:
        reads = (np.arange(numbers.shape[1]) <= ends[:, None]).astype(np.int64)
        given = {"input_ids": numbers, "attention_mask": reads}
        try:
            (found,) = session.run([name], {each: given[each] for each in inputs})
        except Exception as error:  # noqa: BLE001  as above
            raise ModelError(f"{path}: the encoder failed: {' '.join(str(error).split())[:160]}") from None
        return np.asarray(found, np.float32)

    return encode


def _read(path: Path) -> State:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise InstallError(f"{path.name} needs {error.name}: pip install 'ctatlas[torch]'") from None
    try:
        return {name: tensor.float() for name, tensor in load_file(path).items() if tensor.is_floating_point()}
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            f"{path}: no whole safetensors file ({' '.join(str(error).split())[:120]}); get it again"
        ) from None


def _text_part(path: Path, state: State) -> State:
    """Take the text encoder out of a whole CLIP, under the names of transformers."""
    import torch

    found: State = {}
    for name, tensor in state.items():
        for pattern, other in _OTHER_NAMES:
            name = re.sub(pattern, other, name)  # noqa: PLW2901
        if fused := re.fullmatch(r"(.*)\.attn\.in_proj_(weight|bias)", name):
            parts = zip(("q", "k", "v"), torch.chunk(tensor, 3), strict=True)
            found |= {f"{fused[1]}.self_attn.{each}_proj.{fused[2]}": part for each, part in parts}
        elif name == "text_projection":  # stored the other way round there
            found["text_projection.weight"] = tensor.T
        else:
            found[name] = tensor
    kept = {name: each for name, each in found.items() if name.startswith(("text_model.", "text_projection."))}
    if "text_projection.weight" not in kept or "text_model.embeddings.token_embedding.weight" not in kept:
        raise ModelError(
            f"{path}: no CLIP text encoder with its projection; its first entry is {next(iter(state), 'none')}"
        )
    return kept


def _said(config: Path) -> Mapping[str, object]:
    """Read what weights don't show."""
    if not config.is_file():
        return {}
    try:
        table = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{config}: can't be read: {error}") from None
    inner = table.get("text_config", table) if isinstance(table, dict) else None
    if not isinstance(inner, dict):
        raise ModelError(f"{config}: expected a table")
    return inner


def _shape(path: Path, state: State, said: Mapping[str, object]) -> TextShape:
    from ctatlas.models.networks.clip_text import ACTIVATIONS, TextShape

    words = state["text_model.embeddings.token_embedding.weight"]
    layers = {found[1] for name in state if (found := re.match(r"text_model\.encoder\.layers\.(\d+)\.", name))}
    width = words.shape[1]
    n_heads = said.get("num_attention_heads", max(1, width // _HEAD_WIDTH))
    activation = str(said.get("hidden_act", "quick_gelu"))
    eps = said.get("layer_norm_eps", 1e-5)
    if not isinstance(n_heads, int) or n_heads < 1 or width % n_heads or activation not in ACTIVATIONS:
        raise ModelError(
            f"{path}: can't be {n_heads} heads of {width} with {activation}; known: {', '.join(ACTIVATIONS)}; "
            "see text_config in its config.json"
        )
    if not isinstance(eps, float) or not 0 < eps < 1 or not layers:
        raise ModelError(f"{path}: {len(layers)} layers, layer_norm_eps {eps!r}: no CLIP text encoder")
    try:
        return TextShape(
            n_words=words.shape[0],
            n_positions=state["text_model.embeddings.position_embedding.weight"].shape[0],
            width=width,
            n_layers=len(layers),
            n_hidden=state["text_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
            n_out=state["text_projection.weight"].shape[0],
            n_heads=n_heads,
            activation=activation,
            eps=eps,
        )
    except KeyError as error:
        raise ModelError(f"{path}: has no {error.args[0]}: no CLIP text encoder") from None
