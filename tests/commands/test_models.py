from __future__ import annotations

from pathlib import Path

import pytest

from ctatlas.models import card
from tests.support_command import Terminal
from tests.support_models import tiny_model

EVIDENCE = """
[[evidence]]
structure = "liver"
data = "unseen phantoms"
n = 20
metric = "Dice"
value = 0.9134

[[attribution]]
text = "Somebody's data, CC BY 4.0."
"""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a person's own models, with one in it."""
    monkeypatch.setenv("CTATLAS_HOME", str(tmp_path))
    tiny_model(tmp_path / "models" / "tiny", extra=EVIDENCE)
    return tmp_path / "models"


def test_the_list_holds_bundled_and_own_models(ctatlas: Terminal, models: Path) -> None:
    listed = {row["name"]: row for row in ctatlas("models", "list", "--here", "--json").json}
    assert list(listed) == ["ctatlas/base", "ctatlas/base-b", "ctatlas/base-c", "test/tiny"]
    assert listed["test/tiny"]["usable"] == 3
    assert "test/tiny" in ctatlas("models", "list").out
    assert models.is_dir()


def test_a_broken_card_does_not_hide_the_others(ctatlas: Terminal, models: Path) -> None:
    (models / "broken").mkdir()
    (models / "broken" / "card.toml").write_text("name = 3")
    done = ctatlas("models", "list")
    assert done.code == 0
    assert "test/tiny" in done.out
    assert "broken: broken: " in done.out


@pytest.mark.usefixtures("models")
def test_info_shows_structures_evidence_and_sources(ctatlas: Terminal) -> None:
    out = ctatlas("models", "info", "test/tiny").out
    lines = [line.split() for line in out.splitlines()]
    assert ["liver", "usable", "0.913", "(20)"] in lines
    assert ["spleen", "usable"] in lines
    assert "A: Dice on unseen phantoms; n cases in brackets" in out
    assert "Somebody's data, CC BY 4.0." in out
    assert "Not for anything but tests" in out


def test_info_of_a_folder_as_json_is_the_card(ctatlas: Terminal, models: Path) -> None:
    told = ctatlas("models", "info", models / "tiny", "--json").json
    assert told["structures"] == {"liver": "usable", "spleen": "usable", "aorta": "usable"}
    assert told["weights"]["sha256"] == card(models / "tiny").weights.sha256
