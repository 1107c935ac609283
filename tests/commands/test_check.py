from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ctatlas.commands.app import run
from tests.atlas.by_hand import add_original
from tests.support.atlases import PhantomAtlas, annotated_by, phantom_atlas

if TYPE_CHECKING:
    import numpy as np


@pytest.fixture
def made(tmp_path: Path) -> PhantomAtlas:
    """Make an atlas of two cases: one with its kidneys exchanged, one without masks."""
    made = phantom_atlas(tmp_path / "atlas", 2, sources=(None,), label_set="totalsegmentator-v2")
    truth = made.truth["phantom_0"]
    masks: dict[str, np.ndarray] = annotated_by("btcv", truth)
    masks["kidney_left"], masks["kidney_right"] = masks["kidney_right"], masks["kidney_left"]
    add_original(made.place(), masks, grid=truth.grid, set_name="btcv")
    return made


def test_a_case_is_checked_and_each_finding_told(made: PhantomAtlas, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(made.atlas.place.root), "--case", "phantom_0"]) == 0
    said = capsys.readouterr().out
    assert "side_swapped" in said
    assert "exchange" in said
    assert "revision" not in said
    assert not made.place().revisions()


def test_fixes_are_told_and_kept_as_a_revision(made: PhantomAtlas, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(made.atlas.place.root), "--case", "phantom_0", "--fix"]) == 0
    said = capsys.readouterr().out
    assert "phantom_0: revision 1: kidney_left: exchange with kidney_right" in said
    assert len(made.place().revisions()) == 1
    assert run(["check", str(made.atlas.place.root), "--case", "phantom_0", "--fix"]) == 0
    again = capsys.readouterr().out
    assert "fixed before" in again
    for told in (said, again):  # originals win by default
        assert "revision 1 of kidney_left, kidney_right is kept but not used: original masks come before" in told
    assert len(made.place().revisions()) == 1


def test_a_case_without_masks_fails_alone_and_the_index_knows(
    made: PhantomAtlas, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", str(made.atlas.place.root), "--json"]) == 3
    cases = {case["case"]: case for case in json.loads(capsys.readouterr().out)["cases"]}
    assert cases["phantom_0"]["errors"] == 2
    assert cases["phantom_0"]["checked"] == "original"
    assert cases["phantom_1"]["state"] == "failed"
    assert run(["status", str(made.atlas.place.root), "--json"]) == 0
    assert "side_swapped" in json.dumps(json.loads(capsys.readouterr().out)["findings"])


def test_json_gives_every_finding_with_all_that_its_file_has(
    made: PhantomAtlas, capsys: pytest.CaptureFixture[str]
) -> None:
    for options in (["--fix"], []):
        assert run(["check", str(made.atlas.place.root), "--case", "phantom_0", "--json", *options]) == 0
        (case,) = json.loads(capsys.readouterr().out)["cases"]
        written = json.loads((made.place().checks / "findings.json").read_text())["findings"]
        assert case["findings"] == [{"case": "phantom_0", **each} for each in written]
        first = case["findings"][0]
        assert (first["rule"], first["severity"], first["fix"]) == ("side_swapped", "error", "exchange")
        assert {"structure", "value", "limit", "unit", "lo", "hi", "message"} < first.keys()
    assert len(case["findings"]) == case["errors"] + case["warnings"] + case["notes"]


def test_a_wrong_call_is_refused_in_a_line(made: PhantomAtlas, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(made.atlas.place.root), "--rule", "magic"]) == 2
    assert "no rule is called 'magic'" in capsys.readouterr().err
    assert run(["check", str(made.atlas.place.root), "--case", "phantom_1"]) == 2
    assert "has no masks to check" in capsys.readouterr().err


def test_a_dry_run_writes_nothing(made: PhantomAtlas, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(made.atlas.place.root), "--case", "phantom_0", "--dry-run", "--fix"]) == 0
    assert "check" in capsys.readouterr().out
    assert not made.place().checks.exists()
    assert not made.place().revisions()
