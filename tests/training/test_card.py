"""The card is written from tables and figures."""

import json
import shutil
from dataclasses import asdict, replace
from importlib.resources import files
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs the extra 'torch'")

from ctatlas.models import read_card
from ctatlas.training.card import card_text, main
from ctatlas.training.classes import trained_classes
from ctatlas.training.loop import config_told
from ctatlas.training.members import member


def figure(structure: str, dice: float, prior: float) -> dict[str, object]:
    return {
        "structure": structure,
        "sort": "phantom",
        "mean_dice": dice,
        "prior_dice": prior,
        "n": 3,
        "largest_invented_ml": 0.0,
    }


def test_a_written_card_is_valid_and_has_every_class(tmp_path: Path) -> None:
    weights = files("ctatlas.models") / "data" / "base" / "network.onnx"
    shutil.copy(str(weights), tmp_path / "network.onnx")
    text = card_text(tmp_path, [figure("liver", 0.9, 0.6), figure("pancreas", 0.3, 0.1)], {"seed": 1}, "0.1")
    (tmp_path / "card.toml").write_text(text, encoding="utf-8")
    card = read_card(tmp_path / "card.toml")
    assert [each.name for each in card.classes] == [each.name for each in trained_classes()]
    assert card.structures["liver"] == "usable"
    assert card.structures["pancreas"] == "experimental"
    assert card.evidence[0].value == 0.9


def test_a_card_tells_the_voxels_and_windows_that_its_network_was_trained_on(tmp_path: Path) -> None:
    config = replace(member("base")[0], grid_mm=3.0, large_patch=80)
    (tmp_path / "config.json").write_text(json.dumps(asdict(config)), encoding="utf-8")
    (tmp_path / "network.onnx").write_bytes(b"weights")
    main(tmp_path, tmp_path, overlap=0.4)
    card = read_card(tmp_path / "card.toml")
    assert card.input.spacing_mm == (3.0, 3.0, 3.0)
    assert (card.window.shape, card.window.overlap) == ((80, 80, 80), 0.4)
    assert card.training["script"].endswith(f"--set grid_mm=3.0 --set large_patch=80 --steps {config.steps}")
    assert config_told(card.training) == replace(config_told(card.training), grid_mm=3.0, large_patch=80)
    assert "at 3 mm" in card.description


def test_the_card_of_a_smaller_network_says_which_patients_it_saw(tmp_path: Path) -> None:
    run = tmp_path / "base-c"
    run.mkdir()
    (run / "config.json").write_text(json.dumps(asdict(member("base-c")[0])), encoding="utf-8")
    (tmp_path / "network.onnx").write_bytes(b"weights")
    main(tmp_path, run, name="base-c", commit="0" * 40)
    card = read_card(tmp_path / "card.toml")
    assert card.name == "ctatlas/base-c"
    assert card.training["seed"] == 3
    assert card.training["widths"] == [16, 32, 48, 64, 96]
    assert "SPL" in card.training["patient_data"]
    assert "ts-example" not in card.training["patient_data"]
    assert card.training["without"] == ["ts-example"]
    assert not any("TotalSegmentator" in each.text for each in card.attribution)
    assert any("SPL" in each.text for each in card.attribution)


def test_the_card_of_a_self_trained_network_says_who_taught_it(tmp_path: Path) -> None:
    run = tmp_path / "round-1"
    run.mkdir()
    config = replace(member("base")[-1], steps=8000, begun_from="base (40000 steps)", taught_by=("one", "other"))
    (run / "config.json").write_text(json.dumps(asdict(config)), encoding="utf-8")
    (tmp_path / "network.onnx").write_bytes(b"weights")
    main(tmp_path, run)
    told = read_card(tmp_path / "card.toml").training
    assert told["taught_by"] == ["one", "other"]
    assert told["begun_from"] == "base (40000 steps)"
    assert "training.self_training FOLDER DATA --teacher MODEL --teacher MODEL --steps 8000" in str(told["script"])


def test_the_card_of_a_network_begun_from_another_says_how(tmp_path: Path) -> None:
    run = tmp_path / "base-c"
    run.mkdir()
    config = replace(member("base-c")[-1], steps=20_000, begun_from="ctatlas/base-c 0.2 (12000 steps)")
    (run / "config.json").write_text(json.dumps(asdict(config)), encoding="utf-8")
    (tmp_path / "network.onnx").write_bytes(b"weights")
    main(tmp_path, run, name="base-c")
    told = read_card(tmp_path / "card.toml").training
    assert str(told["script"]).endswith("--member base-c --begin-from MODEL --steps 20000")
    assert told["begun_from"] == "ctatlas/base-c 0.2 (12000 steps)"
