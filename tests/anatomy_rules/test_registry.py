from __future__ import annotations

import re

import pytest

from ctatlas.anatomy_rules import RULES, Rule, rule_table, rules_from, rules_of
from ctatlas.errors import ModelError
from ctatlas.models import ModelCard

ROW = {"kind": "drop_small", "structures": ["colon"], "below_ml": 3, "source": "a test"}


def test_a_row_becomes_a_rule() -> None:
    assert rules_from([ROW]) == (Rule("drop_small", ("colon",), {"below_ml": 3.0}, "a test"),)


def test_one_structure_may_be_named_alone() -> None:
    (rule,) = rules_from([{"kind": "keep_largest", "structure": "liver", "source": "a test"}])

    assert rule.structures == ("liver",)
    assert rule.parameters == {}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"kind": "shrink"}, "unknown kind; known: between, drop_small"),
        ({"below_ml": None}, "below_ml"),
        ({"below_ml": "much"}, "below_ml"),
        ({"above_ml": 4}, "above_ml"),
        ({"structures": []}, "structures"),
        ({"structures": "colon"}, "structures"),
        ({"structures": [3]}, "structures"),
        ({"source": ""}, "source"),
    ],
)
def test_a_wrong_row_is_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(ModelError, match=re.escape(why)):
        rules_from([{**ROW, **change}], "a card")


def test_a_parameter_must_not_be_missing() -> None:
    with pytest.raises(ModelError, match="below_ml: Field required"):
        rules_from([{"kind": "drop_small", "structure": "colon", "source": "a test"}])


def test_every_wrong_row_is_named() -> None:
    with pytest.raises(ModelError, match=r"^a card: rule 1 \(shrink\): .*; rule 3 \(without kind\): "):
        rules_from([{**ROW, "kind": "shrink"}, ROW, {"structures": ["colon"]}], "a card")


def test_a_row_may_stand_for_a_table() -> None:
    rules = rules_from([ROW, {"kind": "table", "name": "torso", "source": "a test"}])

    assert rules[1:] == rule_table("torso")
    assert len(rules) > 30


def test_an_unknown_table_is_refused_and_the_known_are_named() -> None:
    with pytest.raises(ModelError, match=re.escape("'../secrets'; there are abdomenatlas, suprem, torso")):
        rule_table("../secrets")


def test_the_tables_use_every_kind_but_the_one_that_needs_a_card() -> None:
    used = {rule.kind for table in ("torso", "abdomenatlas", "suprem") for rule in rule_table(table)}

    assert used <= RULES.keys()
    assert RULES.keys() - used == {"split_sides"}


def test_classes_of_both_sides_are_split_before_the_rules_of_a_card() -> None:
    card = ModelCard.model_validate_json(
        """{"name": "a/b", "version": "1", "license": "x", "description": "x", "not_for": "x",
        "input": {"spacing_mm": [4, 4, 4], "orientation": "RAS", "channels": [{"clip": [-1, 1]}]},
        "window": {"shape": [16, 16, 16]},
        "weights": {"file": "w.onnx", "sha256": "%s"},
        "classes": [{"channel": 0, "name": "background", "role": "background"},
            {"channel": 1, "name": "hips", "split": {"left": "hip_left", "right": "hip_right"}}],
        "rules": [{"kind": "keep_largest", "structures": ["hip_left"], "count": 2, "source": "a test"}]}"""
        % ("0" * 64)
    )

    split, largest = rules_of(card)

    assert split == Rule("split_sides", ("hips",), {"left": "hip_left", "right": "hip_right"}, "card of a/b")
    assert largest == Rule("keep_largest", ("hip_left",), {"count": 2}, "a test")
