from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import ctatlas.models.catalogue.public as module
from ctatlas.anatomy import label_set
from ctatlas.errors import ModelError
from ctatlas.models.catalogue import entries, entry_of_file
from ctatlas.models.fetch import resolve
from ctatlas.models.presets import preset_card

CARDED = [name for name, entry in entries().items() if entry.use == "card"]


@pytest.mark.parametrize("name", entries())
def test_every_checkpoint_can_be_asked_for_and_says_its_terms(name: str) -> None:
    entry = entries()[name]
    assert [resolve(source).file for source in entry.sources] == [entry.file] * len(entry.sources)
    assert entry.license
    assert entry.license_url.startswith("https://")
    assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256 or "0" * 64)
    assert entry.description
    assert entry.source or entry.card_file
    assert (entry.structures > 0) == (entry.use in {"card", "nnunet"})


def test_files_tell_their_checkpoints_apart() -> None:
    files = [entry.file for entry in entries().values()]
    assert len(files) == len(set(files))
    found = entry_of_file("supervised_suprem_unet_2100.pth")
    assert found
    assert found.name == "suprem/unet"
    assert entry_of_file("weights.pth") is None


def test_all_families_of_the_references_are_there() -> None:
    families = {name.partition("/")[0] for name in entries()}
    assert families >= {"universal", "suprem", "atlasnet", "totalsegmentator", "self-supervised", "unimiss", "med3d"}


@pytest.mark.parametrize("name", CARDED)
def test_a_card_prepares_scans_as_they_were_published(name: str) -> None:
    card = entries()[name].card
    assert card
    assert card.input.spacing_mm == (1.5, 1.5, 1.5)
    assert card.input.orientation == "RAS"
    (channel,) = card.input.channels
    low, high = channel.clip
    assert [(hu - channel.subtract) / channel.divide for hu in (low, high)] == [0.0, 1.0]
    assert card.input.padding_hu == low  # 0 once normalised, with which the published windows pad
    assert card.window.shape == (96, 96, 96)
    assert card.weights.loader == "universal"


@pytest.mark.parametrize("name", [name for name in CARDED if name != "suprem/vertebrae"])
def test_a_card_has_what_its_preset_says(name: str) -> None:
    card = entries()[name].card
    assert card
    assert card.preset
    assert preset_card(card, card.preset) == card
    assert [each.name for each in card.classes] == list(label_set("universal-32").labels.values())


def test_the_vertebrae_run_from_the_lowest_to_the_highest() -> None:
    card = entries()["suprem/vertebrae"].card
    assert card
    assert card.decide == "argmax"
    names = list(card.foreground.values())
    assert (names[0], names[4], names[5], names[16], names[17], names[-1]) == (
        "vertebrae_L5", "vertebrae_L1", "vertebrae_T12", "vertebrae_T1", "vertebrae_C7", "vertebrae_C1",
    )  # fmt: skip
    assert len(names) == 24


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "cards").mkdir()
    monkeypatch.setattr(module, "_HERE", tmp_path)
    module.entries.cache_clear()
    yield tmp_path
    module.entries.cache_clear()


ROW = """[[checkpoint]]
name = "a/b"
use = "start"
license = "x"
commercial_use = "no"
description = "x"
structures = 0
file = "w.pt"
sources = ["https://x.example/w.pt"]
"""


@pytest.mark.parametrize(
    ("table", "said"), [(ROW + ROW, "named twice"), (ROW.replace('"no"', '"maybe"'), "a/b: Input should be")]
)
def test_a_table_that_contradicts_itself_is_refused(broken: Path, table: str, said: str) -> None:
    (broken / "checkpoints.toml").write_text(table, encoding="utf-8")
    with pytest.raises(ModelError, match=said):
        entries()
