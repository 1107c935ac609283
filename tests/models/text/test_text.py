from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from safetensors.torch import save_file  # noqa: E402

from ctatlas.errors import ModelError  # noqa: E402
from ctatlas.models.networks.clip_text import ClipTextEncoder  # noqa: E402
from ctatlas.models.text import open_encoder, read_embeddings, write_embeddings  # noqa: E402
from ctatlas.models.text.embeddings import class_name, made_by  # noqa: E402
from ctatlas.models.text.tokenizer import END, START, read_tokenizer, words_of  # noqa: E402
from tests.models.text.encoders import GOLDEN, tiny_encoder, tiny_shape, tiny_state, with_tables  # noqa: E402
from tests.reference.clip_golden import TEXTS, UNSEEN  # noqa: E402

ALL = [*TEXTS, *UNSEEN]


@pytest.mark.parametrize("number", range(len(ALL)))
def test_numbers_of_a_text_are_those_of_the_published_tokenizer(number: int) -> None:
    expected = np.load(GOLDEN / "embeddings.npz")["input_ids"][number].tolist()
    found = read_tokenizer(GOLDEN).numbers(ALL[number], 77)
    assert found == expected[: len(found)]
    assert set(expected[len(found) :]) <= {read_tokenizer(GOLDEN).end}


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_embeddings_are_those_of_the_published_encoder(activation: str, tmp_path: Path) -> None:
    expected = np.load(GOLDEN / "embeddings.npz")[activation]
    found = open_encoder(tiny_encoder(tmp_path / "clip", activation)).embed(ALL)
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.std())
    assert found.std() > 0.1


def test_other_texts_in_a_call_and_padding_change_nothing(tmp_path: Path) -> None:
    encoder = open_encoder(tiny_encoder(tmp_path / "clip"))
    np.testing.assert_allclose(encoder.embed(ALL)[2], encoder.embed(ALL[2:3])[0], atol=1e-5)
    assert np.abs(encoder.embed(["a liver"]) - encoder.embed(["a spleen"])).max() > 1e-3


def test_openais_names_and_whole_clips_are_read_too(tmp_path: Path) -> None:
    other: dict[str, object] = {"visual.conv1.weight": torch.zeros(3, 3), "logit_scale": torch.zeros(1)}
    state = tiny_state()
    for name, value in state.items():
        short = name.removeprefix("text_model.")
        layer = short.replace("encoder.layers.", "transformer.resblocks.")
        if ".k_proj" in name or ".v_proj" in name:
            continue
        if ".q_proj." in name:
            parts = [state[name.replace(".q_proj", f".{each}_proj")] for each in "qkv"]
            other[layer.replace("self_attn.q_proj.", "attn.in_proj_")] = torch.cat(parts)
        elif short.startswith("encoder"):
            for ours, theirs in (
                ("self_attn.out_proj", "attn.out_proj"),
                ("layer_norm", "ln_"),
                ("mlp.fc1", "mlp.c_fc"),
                ("mlp.fc2", "mlp.c_proj"),
            ):
                layer = layer.replace(ours, theirs)
            other[layer] = value
        elif short == "text_projection.weight":
            other["text_projection"] = value.T.contiguous()
        else:
            renamed = short.replace("embeddings.token_embedding", "token_embedding").replace(
                "final_layer_norm", "ln_final"
            )
            other[renamed.replace("embeddings.position_embedding.weight", "positional_embedding")] = value
    folder = tiny_encoder(tmp_path / "clip")
    expected = open_encoder(folder).embed(ALL)
    save_file(other, folder / "model.safetensors")
    np.testing.assert_array_equal(open_encoder(folder).embed(ALL), expected)


@pytest.mark.filterwarnings("ignore")  # of the exporter
def test_an_onnx_encoder_gives_the_same(tmp_path: Path) -> None:
    class AsExported(torch.nn.Module):
        def __init__(self, network: ClipTextEncoder) -> None:
            super().__init__()
            self.network = network

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            return self.network(input_ids, input_ids.argmax(dim=1))

    expected = open_encoder(tiny_encoder(tmp_path / "clip")).embed(ALL[:1])
    network = ClipTextEncoder(tiny_shape()).eval()
    network.load_state_dict(tiny_state())
    folder = with_tables(tmp_path / "onnx")
    torch.onnx.export(
        AsExported(network),
        (torch.zeros(1, 77, dtype=torch.int64),),
        folder / "model.onnx",
        input_names=["input_ids"],
        output_names=["text_embeds"],
        dynamo=False,
    )
    np.testing.assert_allclose(open_encoder(folder).embed(ALL[:1]), expected, atol=1e-4)


def broken(folder: Path, file: str, content: str | bytes) -> Path:
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("model.safetensors", b"\x00" * 40, "no whole safetensors file"),
        ("model.safetensors", b"<html>", "no whole safetensors file"),
        ("vocab.json", "[]", "expected a table of pieces"),
        ("vocab.json", '{"a": 1}', r"has no <\|startoftext\|>: not the vocabulary of a CLIP"),
        ("vocab.json", "{", "no JSON"),
        ("merges.txt", "a b c\n", "expected two pieces a line"),
        ("config.json", '{"text_config": {"num_attention_heads": 7}}', "can't be 7 heads of 48"),
        ("config.json", '{"text_config": {"hidden_act": "silu"}}', "with silu; known: quick_gelu, gelu"),
        ("config.json", "{", "can't be read"),
    ],
)
def test_a_broken_encoder_is_refused_in_a_line(tmp_path: Path, file: str, content: str | bytes, says: str) -> None:
    folder = broken(tiny_encoder(tmp_path / "clip"), file, content)
    with pytest.raises(ModelError, match=says) as refusal:
        open_encoder(folder)
    assert str(tmp_path / "clip") in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_is_no_encoder_is_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no folder with a text encoder"):
        open_encoder(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="no weights in it"):
        open_encoder(with_tables(tmp_path / "tables"))
    folder = with_tables(tmp_path / "other")
    save_file({"conv.weight": torch.zeros(2, 2)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"no CLIP text encoder with its projection; its first entry is conv\.weight"):
        open_encoder(folder)
    state = tiny_state()
    state.pop("text_model.encoder.layers.1.mlp.fc1.bias")
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"num_attention_heads": 4}))
    with pytest.raises(ModelError, match=r"1 missing: text_model\.encoder\.layers\.1\.mlp\.fc1\.bias"):
        open_encoder(folder)


@pytest.mark.parametrize(
    ("text", "says"), [("", "no text to embed"), (" \n ", "no text"), ("x " * 200, "say it shorter")]
)
def test_texts_that_cannot_be_read_are_refused(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=says):
        open_encoder(tiny_encoder(tmp_path / "clip")).embed([text])


def test_words_keep_signs_numbers_and_contractions_apart() -> None:
    assert list(words_of("It's  L5/S1 — 12mm")) == ["it", "'s", "l", "5", "/", "s", "1", "—", "1", "2", "mm"]
    tokenizer = read_tokenizer(GOLDEN)
    assert tokenizer.numbers("liver", 77)[:: len(tokenizer.numbers("liver", 77)) - 1] == [
        tokenizer.vocabulary[START],
        tokenizer.vocabulary[END],
    ]


def test_a_class_is_named_by_its_text_or_as_told() -> None:
    assert class_name("A computerized tomography of a Postcava") == "inferior_vena_cava"
    assert class_name("liver") == "liver"
    assert class_name("a CT of the gastric band.") == "gastric_band"
    rows = np.zeros((2, 4), np.float32)
    assert made_by("e", ["a", "b"], rows, ["Left Kidney", "stent"]).names == ("kidney_left", "stent")
    with pytest.raises(ModelError, match="both be called liver"):
        made_by("e", ["a liver", "CT of a Liver"], rows, ["liver", "Liver"])
    with pytest.raises(ModelError, match="1 names for 2 texts"):
        made_by("e", ["a", "b"], rows, ["one"])
    with pytest.raises(ModelError, match="no name that a file can bear"):
        made_by("e", ["a", "b"], rows, ["../x", "y"])


def test_a_file_of_embeddings_comes_back_as_it_went(tmp_path: Path) -> None:
    said = made_by("abc", ["a liver", "Ünïcode thing"], np.arange(8, dtype=np.float32).reshape(2, 4))
    write_embeddings(tmp_path / "new.npz", said)
    found = read_embeddings(tmp_path / "new.npz")
    assert (found.names, found.texts, found.encoder) == (said.names, said.texts, "abc")
    np.testing.assert_array_equal(found.rows, said.rows)


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + b"\0" * 18, b"\x80\x04N.", b"<html>"])
def test_what_is_no_file_of_embeddings_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "new.npz").write_bytes(content)
    with pytest.raises(ModelError, match="no embeddings as 'ctatlas models embed' writes them"):
        read_embeddings(tmp_path / "new.npz")


def test_rows_and_names_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    good = {"embedding": np.zeros((2, 4), np.float32), "names": ["a", "b"], "texts": ["a", "b"], "encoder": "e"}
    for wrong in ({"names": ["a", "a"]}, {"texts": ["a"]}, {"embedding": np.full((2, 4), np.nan, np.float32)}):
        np.savez(tmp_path / "new.npz", **(good | wrong))
        with pytest.raises(ModelError, match="expected"):
            read_embeddings(tmp_path / "new.npz")
