"""Texts from a file become classes of a text-driven network, at the command line too."""

from __future__ import annotations

import hashlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from ctatlas.errors import ModelError  # noqa: E402
from ctatlas.models import Model, load  # noqa: E402
from ctatlas.models.networks.genesis_unet import GenesisUNet  # noqa: E402
from ctatlas.models.networks.text_driven import UniversalModel  # noqa: E402
from ctatlas.models.text import embedded_card, open_encoder, read_embeddings  # noqa: E402
from ctatlas.models.text.embeddings import embedded_model, made_by  # noqa: E402
from ctatlas.volume import write_volume  # noqa: E402
from tests.models.text.encoders import tiny_encoder  # noqa: E402
from tests.reference.golden_fill import entry  # noqa: E402
from tests.support_command import Terminal  # noqa: E402
from tests.support_models import card_text, tiny_model  # noqa: E402
from tests.support_scans import torso  # noqa: E402

CLASSES = ("liver", "spleen", "kidney_left")
CHANNELS = "channels = [{clip = [-175, 250], subtract = -175, divide = 425}]"
TEXTS = ("A computerized tomography of a liver", "A computerized tomography of a gastric band")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model of three classes that texts drive, with weights made from the names of its entries."""
    place = tmp_path_factory.mktemp("universal")
    network = UniversalModel(GenesisUNet(1, None), len(CLASSES))
    state = {
        name: torch.from_numpy(entry(name, tuple(value.shape))).float()
        for name, value in network.state_dict().items()
        if value.is_floating_point()
    }
    torch.save({"net": state}, place / "universal.pth")
    digest = hashlib.sha256((place / "universal.pth").read_bytes()).hexdigest()
    text = card_text(
        CLASSES, digest, name="test/universal", decide="threshold", spacing_mm=[12.0, 12.0, 12.0], overlap=0.0,
        window=[32, 32, 16], extra='[calibrated]\nstructures = ["body"]',
    )  # fmt: skip
    lines = [CHANNELS if line.startswith("channels =") else line for line in text.splitlines()]
    text = "\n".join(lines).replace('file = "tiny.onnx"', 'file = "universal.pth"\nloader = "universal"')
    background = '[[classes]]\nchannel = 0\nname = "background"\nrole = "background"\n'
    text = text.replace(background, "")
    for channel in range(1, len(CLASSES) + 1):
        text = text.replace(f"channel = {channel}\n", f"channel = {channel - 1}\n")
    (place / "card.toml").write_text(text, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("clip") / "clip", n_out=512)


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return load(folder)


def test_known_classes_are_replaced_new_ones_follow_and_the_rest_stays(model: Model, encoder: Path) -> None:
    rows = open_encoder(encoder).embed(TEXTS)
    said = made_by("e", TEXTS, rows)
    card = embedded_card(model.card, said)
    assert [each.name for each in card.classes] == [*CLASSES, "gastric_band"]
    assert card.classes[3].role == "native"
    found = embedded_model(model, card, said)
    windows = np.random.default_rng(0).random((1, 1, 16, 16, 16)).astype(np.float32)
    before, after = model.logits(windows), found.logits(windows)
    assert after.shape == (1, 4, 16, 16, 16)
    np.testing.assert_allclose(after[:, 1:3], before[:, 1:3], rtol=1e-4, atol=1e-4)
    assert np.abs(after[:, 0] - before[:, 0]).max() > 1e-2
    other = UniversalModel(GenesisUNet(1, None), 4).eval()
    embedding = torch.cat((model.backend.network.organ_embedding, torch.from_numpy(rows[1:])))
    embedding[0] = torch.from_numpy(rows[0])
    other.load_state_dict(model.backend.network.state_dict() | {"organ_embedding": embedding}, strict=False)
    with torch.inference_mode():
        expected = other(torch.from_numpy(windows)).numpy()
    np.testing.assert_allclose(after, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(model.logits(windows), before)  # the one that was loaded is as it was


def test_texts_of_another_length_and_models_of_another_kind_are_refused(model: Model, tmp_path: Path) -> None:
    short = made_by("e", ["a liver"], np.zeros((1, 32), np.float32))
    with pytest.raises(ModelError, match="trained with texts of 512 numbers, the file has 32"):
        embedded_model(model, embedded_card(model.card, short), short)
    with pytest.raises(ModelError, match="no text-driven model"):
        embedded_card(load(tiny_model(tmp_path / "tiny")).card, short)


def test_embed_then_segment_at_the_command_line(
    folder: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ctatlas, scan, new = Terminal(capsys), tmp_path / "scan.nii.gz", tmp_path / "new.npz"
    write_volume(torso(), scan)
    done = ctatlas("models", "embed", *TEXTS, "--encoder", encoder, "--out", new)
    assert done.code == 0
    assert "gastric_band" in done.out
    assert read_embeddings(new).names == ("liver", "gastric_band")
    out = tmp_path / "out"
    words = ["segment", scan, out, "--model", folder, "-s", "liver,spleen", "--save-probabilities"]
    assert ctatlas(*words).code == 0
    before = {name: np.asarray(nib.load(out / f"probabilities/{name}.nii.gz").dataobj) for name in ("liver", "spleen")}
    words = ["segment", scan, out, "--model", folder, "--save-probabilities", "--embeddings", new]
    assert ctatlas(*words).code == 0
    assert (out / "segmentations/gastric_band.nii.gz").is_file()
    after = {name: np.asarray(nib.load(out / f"probabilities/{name}.nii.gz").dataobj) for name in ("liver", "spleen")}
    np.testing.assert_allclose(after["spleen"].astype(int), before["spleen"], atol=1)
    assert (after["liver"] != before["liver"]).any()
    assert "there already" in ctatlas(*words).out
    assert ctatlas("models", "embed", "a stent", "--encoder", encoder, "--out", new).code == 0
    assert "there already" not in ctatlas(*words).out  # another file of texts is another result


def test_wrong_calls_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ctatlas = Terminal(capsys)
    done = ctatlas("models", "embed", "a liver", "--encoder", tmp_path, "--out", tmp_path / "x.npz")
    assert done.code == 2
    assert "vocab.json: can't be read" in done.err
    write_volume(torso(), tmp_path / "scan.nii.gz")
    missing = ["segment", tmp_path / "scan.nii.gz", tmp_path / "out", "--embeddings", tmp_path / "none.npz"]
    done = ctatlas(*missing)
    assert done.code == 2
    assert "none.npz: no embeddings as 'ctatlas models embed' writes them" in done.err
