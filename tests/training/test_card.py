"""The card is written from tables and figures, and judges by them."""

import shutil
from importlib.resources import files
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs the extra 'torch'")

from ctatlas.models import read_card
from ctatlas.training.card import card_text, statuses
from ctatlas.training.classes import trained_classes


def figure(
    structure: str, dice: float, prior: float, invented: float = 0.0, sort: str = "phantom"
) -> dict[str, object]:
    return {
        "structure": structure,
        "sort": sort,
        "mean_dice": dice,
        "prior_dice": prior,
        "n": 3,
        "largest_invented_ml": invented,
    }


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([figure("liver", 0.9, 0.6)], "usable"),
        ([figure("liver", 0.9, 0.6), figure("liver", 0.4, 0.2, sort="real")], "experimental"),
        ([figure("liver", 0.9, 0.6, invented=7.0)], "experimental"),
        ([figure("liver", 0.5, 0.6)], "not_usable"),
        ([figure("liver", 0.9, 0.6), figure("liver", 0.8, 0.85, sort="real")], "not_usable"),
    ],
)
def test_a_structure_is_judged_by_its_worst_figure(rows: list[dict[str, object]], status: str) -> None:
    assert statuses(rows) == {"liver": status}


def test_a_written_card_is_valid_and_has_every_class(tmp_path: Path) -> None:
    weights = files("ctatlas.models") / "data" / "base" / "base.onnx"
    shutil.copy(str(weights), tmp_path / "base.onnx")
    text = card_text(tmp_path, [figure("liver", 0.9, 0.6), figure("pancreas", 0.3, 0.1)], {"seed": 1}, "0.1")
    (tmp_path / "card.toml").write_text(text, encoding="utf-8")
    card = read_card(tmp_path / "card.toml")
    assert [each.name for each in card.classes] == [each.name for each in trained_classes()]
    assert card.structures["liver"] == "usable"
    assert card.structures["pancreas"] == "experimental"
    assert card.evidence[0].value == 0.9
