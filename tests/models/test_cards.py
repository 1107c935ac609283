from __future__ import annotations

from pathlib import Path

import pytest

from ctatlas.errors import ModelError
from ctatlas.models.cards import ModelCard, read_card
from tests.support_models import card_text

EXTRA = """
[calibrated]
structures = ["lung_left", "lung_right"]

[[rules]]
kind = "keep_largest"
structures = ["liver"]
components = 1
source = "test"

[[evidence]]
structure = "liver"
data = "phantoms"
n = 4
metric = "Dice"
value = 0.9

[[attribution]]
text = "Nobody"

[training]
seed = 1
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "card.toml"
    path.write_text(text, encoding="utf-8")
    return path


def card_with(folder: Path, old: str, new: str) -> ModelCard:
    text = card_text(["liver", "spleen"], "0" * 64, extra=EXTRA)
    assert old in text
    return read_card(written(folder, text.replace(old, new)))


def test_a_card_is_read_with_all_its_tables(tmp_path: Path) -> None:
    card = card_with(tmp_path, "seed = 1", "seed = 2")
    assert card.input.spacing_mm == (4.0, 4.0, 4.0)
    assert card.input.channels[1].clip == (-200, 300)
    assert card.foreground == {1: "liver", 2: "spleen"}
    assert card.structures == dict.fromkeys(("liver", "spleen", "lung_left", "lung_right"), "usable")
    assert card.rules[0].kind == "keep_largest"
    assert card.rules[0].model_extra == {"structures": ["liver"], "components": 1}
    assert card.evidence[0].value == 0.9
    assert card.training == {"seed": 2}


def test_a_class_of_both_sides_gives_two_structures(tmp_path: Path) -> None:
    split = 'name = "hips"\nsplit = {left = "hip_left", right = "hip_right"}\nstatus = "experimental"'
    card = card_with(tmp_path, 'name = "spleen"', split)
    assert card.foreground[2] == "hips"
    assert card.structures["hip_left"] == card.structures["hip_right"] == "experimental"
    assert "hips" not in card.structures


def test_an_auxiliary_class_may_have_any_name_and_is_not_given(tmp_path: Path) -> None:
    card = card_with(tmp_path, 'name = "spleen"\nrole = "structure"', 'name = "other_bone"\nrole = "auxiliary"')
    assert card.foreground[2] == "other_bone"
    assert "other_bone" not in card.structures


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("version = ", "versoin = ", "version: Field required; versoin: Extra inputs are not permitted"),
        ("spacing_mm = [4.0, 4.0, 4.0]", "spacing_mm = [4.0, 0.0, 4.0]", "input.spacing_mm.1: .*greater than 0"),
        ("spacing_mm = [4.0, 4.0, 4.0]", 'spacing_mm = "4"', "input.spacing_mm: .*array"),
        ('orientation = "RAS"', 'orientation = "RAR"', "input.orientation: .*three directions such as RAS"),
        ("clip = [-200, 300]", "clip = [300, -200]", "input.channels.1: .*low < high"),
        ("divide = 100}", "divide = 0}", "input.channels.1: .*divide not 0"),
        ("overlap = 0.5", "overlap = 1.0", "window.overlap: .*less than 1"),
        ("batch = 1", "batch = 0", "window.batch: .*greater than or equal to 1"),
        ("batch = 1", "batch = nan", "window.batch"),
        ('file = "tiny.onnx"', 'file = "../tiny.onnx"', "weights.file: .*without a folder"),
        ('file = "tiny.onnx"', 'file = "/etc/passwd"', "weights.file: .*without a folder"),
        ('sha256 = "0', 'sha256 = "x', "weights.sha256"),
        ('name = "spleen"', 'name = "splen"', "classes.2: .*splen"),
        ('name = "spleen"', 'name = "liver"', "given twice: liver"),
        ('name = "spleen"', 'name = "lung_left"', "given twice: lung_left"),
        ('name = "spleen"', 'name = "x"\nsplit = {left = "hip_left", right = "hipp"}', "classes.2.split.right: .*hipp"),
        ('"lung_left", ', '"lungs_of_steel", ', "calibrated.structures: .*lungs_of_steel"),
        ("channel = 2", "channel = 3", "channels of classes are expected in order"),
        ('role = "background"', 'role = "auxiliary"', "expects channel 0, and no other, to be the background"),
        ('decide = "argmax"', 'decide = "vote"', "decide: .*'argmax' or 'threshold'"),
        ('kind = "keep_largest"', "", "rules.0.kind: Field required"),
        ("n = 4", "n = 0", "evidence.0.n"),
        ('name = "test/tiny"', 'name = "../tiny"', "name: "),
        ("[input]", "[input", "can't be read as a model card"),
    ],
)
def test_a_broken_card_is_refused_in_one_line_that_names_the_fault(
    old: str, new: str, fault: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=fault) as error:
        card_with(tmp_path, old, new)
    assert str(error.value).startswith(f"{tmp_path / 'card.toml'}: ")
    assert "\n" not in str(error.value)


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    text = card_text(["livr"], "0" * 64, overlap=2.0, orientation="XYZ")
    with pytest.raises(ModelError, match=r"input\.orientation.*window\.overlap.*livr"):
        read_card(written(tmp_path, text))


def test_an_alias_is_refused_with_the_name_to_write(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="write 'inferior_vena_cava'"):
        card_with(tmp_path, 'name = "spleen"', 'name = "postcava"')


def test_a_missing_or_unreadable_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="can't be read as a model card"):
        read_card(tmp_path / "card.toml")
    (tmp_path / "card.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="can't be read as a model card"):
        read_card(tmp_path / "card.toml")
