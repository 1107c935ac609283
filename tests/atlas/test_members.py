from pathlib import Path

import pytest

from ctatlas.atlas.members import KINDS, members_called, members_to_keep, names_called, runnable, variants
from ctatlas.errors import AtlasError, ModelError
from ctatlas.inference import AS_ITS_CARD_SAYS
from tests.support_models import tiny_model

MIRRORED = "[training]\nmirroring = true"


def test_every_variant_is_another_view_and_says_where_it_is_from() -> None:
    views = [variant.view for variant in variants().values()]
    assert AS_ITS_CARD_SAYS not in views
    assert len(set(views)) == len(views)
    assert all(variant.about and variant.source for variant in variants().values())
    assert {type(kind(0.5)) for kind in KINDS.values()} == {type(AS_ITS_CARD_SAYS)}


def test_a_member_is_called_as_its_card_and_its_variant(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "some where+else", name="test/one")
    plain, shifted = members_called([str(folder), f"{folder}+shift"])
    assert (plain.name, plain.view) == ("test/one", AS_ITS_CARD_SAYS)
    assert (shifted.name, shifted.view) == ("test/one+shift", variants()["shift"].view)
    assert shifted.view.shift == (0.5, 0.5, 0.5)


def test_the_bundled_model_has_variants() -> None:
    names = ["ctatlas/base", "ctatlas/base+shift", "ctatlas/base+fine", "ctatlas/base+coarse"]
    assert [member.name for member in members_called([*names, names[0]])] == names
    spacing = members_called(["ctatlas/base+coarse"])[0]
    assert spacing.view.card(spacing.card).input.spacing_mm == (3.75, 3.75, 3.75)


def test_an_unknown_variant_is_refused_with_those_there_are() -> None:
    with pytest.raises(AtlasError, match="no variant is called 'shft'; did you mean 'shift'\\? known: shift, fine"):
        members_called(["ctatlas/base+shft"])
    with pytest.raises(ModelError, match="no model 'ctatlas/other'"):
        members_called(["ctatlas/other+shift"])


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    folders = [tiny_model(tmp_path / name, name="test/one") for name in ("a", "b")]
    with pytest.raises(AtlasError, match="two members are called test/one"):
        members_called([str(folder) for folder in folders])


def test_only_a_model_of_both_sides_that_was_trained_so_is_mirrored(tmp_path: Path) -> None:
    both = ("kidney_left", "kidney_right", "liver")
    (member,) = members_called([f"{tiny_model(tmp_path / 'both', both, extra=MIRRORED)}+flip"])
    assert member.view.mirrored
    one_side = tiny_model(tmp_path / "one", ("kidney_left", "liver"), extra=MIRRORED)
    with pytest.raises(ModelError, match="finds kidney_left on one side only"):
        members_called([f"{one_side}+flip"])
    with pytest.raises(ModelError, match="does not say that it was trained with such"):
        members_called([f"{tiny_model(tmp_path / 'untrained', both)}+flip"])


def test_what_a_model_in_a_folder_left_bears_the_name_on_its_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_model(tmp_path / "some where+else", name="test/one")
    asked = [str(folder), f"{folder}+shift", "ctatlas/base+fine", "not/installed", "given/average"]
    assert names_called(asked) == ("test/one", "test/one+shift", "ctatlas/base+fine", "not/installed", "given/average")
    monkeypatch.chdir(tmp_path)
    assert names_called([folder.name, f"{folder.name}+shift"]) == ("test/one", "test/one+shift")
    assert members_to_keep([f"{folder.name}+shift", "ctatlas/base"]) == (f"{folder}+shift", "ctatlas/base")


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model '.*gone'"):
        names_called([str(tmp_path / "gone")])


def test_given_predictions_are_nobody_to_run() -> None:
    assert runnable(["given/average", "ctatlas/base"]) == ["ctatlas/base"]
