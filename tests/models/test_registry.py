from __future__ import annotations

from pathlib import Path

import pytest

from ctatlas.errors import ModelError
from ctatlas.models import card, load, model_names, registry
from tests.support_models import tiny_model


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a user's folder, and let the package bring one model."""
    monkeypatch.setenv("CTATLAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(registry, "_BUNDLED", tmp_path / "bundled")
    tiny_model(tmp_path / "bundled" / "base", name="ctatlas/bundled")
    return tmp_path / "home"


def test_models_are_found_in_the_package_and_in_the_users_folder(home: Path) -> None:
    tiny_model(home / "models" / "own", name="own")
    tiny_model(home / "models" / "lab" / "ours", name="lab/ours")
    assert model_names() == ("ctatlas/bundled", "own", "lab/ours")
    assert [card(name).name for name in model_names()] == ["ctatlas/bundled", "own", "lab/ours"]


def test_a_folder_is_a_model_too(home: Path, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "elsewhere", name="other")
    assert load(folder).card.name == load(str(folder)).card.name == "other"
    assert model_names() == ("ctatlas/bundled",)
    assert not home.exists()


def test_a_bundled_model_cannot_be_replaced(home: Path) -> None:
    tiny_model(home / "models" / "evil", name="ctatlas/bundled", version="2")
    assert card("ctatlas/bundled").version == "1"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("name", ["ctatlas/bas", "", "no/such/folder", "\0", "x" * 5000])
def test_an_unknown_name_lists_the_known(name: str) -> None:
    with pytest.raises(ModelError, match=r"known: ctatlas/bundled; or give a folder with a card\.toml"):
        load(name)


def test_a_broken_card_breaks_no_other_and_tells_its_fault_when_asked(home: Path) -> None:
    tiny_model(home / "models" / "broken", overlap=7)
    assert model_names() == ("ctatlas/bundled", "broken")
    with pytest.raises(ModelError, match=r"window\.overlap"):
        card("broken")


def test_every_bundled_model_has_a_sound_card() -> None:
    for name in model_names():
        assert card(name).name == name
