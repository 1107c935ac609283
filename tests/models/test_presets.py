from __future__ import annotations

import pytest

from ctatlas.anatomy_rules import rules_of
from ctatlas.errors import ModelError
from ctatlas.inference.windows import SCHEMES
from ctatlas.models import ModelCard, load, preset_card, presets
from tests.support_models import tiny_model

RULE = '[[rules]]\nkind = "keep_largest"\nstructure = "liver"\nsource = "test"'


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    return load(tiny_model(tmp_path_factory.mktemp("m") / "tiny", decide="threshold", extra=RULE)).card


def test_the_table_is_whole_and_what_it_names_exists(card: ModelCard) -> None:
    assert list(presets()) == ["abdomenatlas", "suprem", "nnunet", "fast"]
    for preset in presets().values():
        applied = preset.applied(card)
        rules_of(applied)  # raises where a table of rules is missing
        ModelCard.model_validate(applied.model_dump())
        assert applied.window.scheme in SCHEMES


def test_a_preset_says_the_published_numbers(card: ModelCard) -> None:
    found = preset_card(card, "abdomenatlas")
    assert (found.window.shape, found.window.overlap, found.window.scheme) == ((96, 96, 96), 0.75, "monai-0.9")
    assert (found.input.sampling, found.threshold) == ("points", 0.5)
    assert {rule.kind for rule in rules_of(found)} == {
        "keep_largest",
        "fill_holes",
        "not_below",
        "inside",
        "drop_small",
    }
    assert [len(rule.structures) for rule in rules_of(preset_card(card, "suprem"))] == [9]


def test_what_a_preset_does_not_say_stays_as_on_the_card(card: ModelCard) -> None:
    fast = preset_card(card, "fast")
    assert fast.window == card.window.model_copy(update={"overlap": 0.25})
    assert (fast.rules, fast.input, fast.threshold) == (card.rules, card.input, card.threshold)
    assert preset_card(card, "nnunet").rules == ()
    assert preset_card(card, None) is card


def test_unknown_presets_and_those_of_other_models_are_refused(card: ModelCard) -> None:
    with pytest.raises(ModelError, match="no preset 'supreme'; known: abdomenatlas, suprem, nnunet, fast"):
        preset_card(card, "supreme")
    folder = card.model_copy(update={"pipeline": "nnunet"})
    assert preset_card(folder, "nnunet").pipeline == "nnunet"
    with pytest.raises(
        ModelError, match="its plans say how a model of nnU-Net is run, not the preset fast; for it there is nnunet"
    ):
        preset_card(folder, "fast")
