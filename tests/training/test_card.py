"""The card is written from tables and figures."""

import shutil
from importlib.resources import files
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs the extra 'torch'")

from ctatlas.models import read_card
from ctatlas.training.card import card_text
from ctatlas.training.classes import trained_classes


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
