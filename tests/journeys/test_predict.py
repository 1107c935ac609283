"""`ctatlas predict` as a person runs it: several members, again, killed, split among jobs, without room."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from ctatlas.atlas import Atlas
from tests.atlas.by_hand import everything_in, new_atlas
from tests.atlas.test_predict import add_torso
from tests.journeys.test_interrupted import start
from tests.support_command import Terminal
from tests.support_scans import torso, torso_model

N_CASES = 4


@pytest.fixture
def members(model: Path) -> list[str]:
    return [f"{word}" for name in (model, f"{model}+shift") for word in ("--member", name)]


def filled(folder: Path, model: Path) -> Atlas:
    atlas = new_atlas(folder, members=[str(model)])
    for number in range(N_CASES):
        add_torso(atlas, f"case_{number}", torso(seed=number))
    return atlas


def results(atlas: Atlas) -> dict[str, bytes]:
    return everything_in(atlas.place.cases_folder)


def test_members_are_named_remarks_are_said_once_and_the_room_first(
    ctatlas: Terminal, tmp_path: Path, model: Path, members: list[str]
) -> None:
    atlas = filled(tmp_path / "atlas", model)
    done = ctatlas("predict", atlas.place.root, *members)
    assert done.code == 0
    assert done.out.count("test/torso+shift") == N_CASES
    lines = done.err.splitlines()
    assert sum("can't give" in line and "adrenal_gland_left" in line for line in lines) == 1
    assert sum("marked experimental on the card of test/torso: small_bowel" in line for line in lines) == 1
    assert any("8 results to make, about" in line and "are free" in line for line in lines)
    assert any("now among the members in atlas.toml" in line and line.endswith(f": {model}+shift") for line in lines)


def test_a_second_run_skips_all_and_says_so(ctatlas: Terminal, tmp_path: Path, model: Path, members: list[str]) -> None:
    atlas = filled(tmp_path / "atlas", model)
    first = ctatlas("predict", atlas.place.root, *members, "--json")
    before = results(atlas)
    again = ctatlas("predict", atlas.place.root, *members, "--json")
    assert {case["state"] for case in first.json["cases"]} == {"done"}
    assert {case["state"] for case in again.json["cases"]} == {"there"}
    assert "results to make" not in again.err
    assert results(atlas) == before
    assert ctatlas("status", atlas.place.root, "--json").json["steps"]["predict"] == N_CASES


def test_killed_and_started_again_the_bytes_are_the_same(
    ctatlas: Terminal, tmp_path: Path, model: Path, members: list[str]
) -> None:
    undisturbed, killed = filled(tmp_path / "undisturbed", model), filled(tmp_path / "killed", model)
    process = start("predict", killed.place.root, *members, "--workers", 2)
    deadline = time.monotonic() + 60
    while not any(killed.place.cases_folder.glob("*/predictions/*/run.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for atlas in (killed, undisturbed):  # at once: its workers are gone with it
        assert ctatlas("predict", atlas.place.root, *members, "--quiet").code == 0
    assert results(killed) == results(undisturbed)


def test_jobs_share_the_cases_and_status_gathers_them(ctatlas: Terminal, tmp_path: Path, model: Path) -> None:
    atlas = filled(tmp_path / "atlas", model)
    for number in (1, 2, 3):
        assert ctatlas("predict", atlas.place.root, "--shard", f"{number}/3").code == 0
    assert len(list(atlas.place.cases_folder.glob("*/predictions/*/run.json"))) == N_CASES
    assert ctatlas("status", atlas.place.root, "--sync", "--json").json["steps"]["predict"] == N_CASES


def test_a_dry_run_writes_nothing_and_says_what_it_takes(ctatlas: Terminal, tmp_path: Path, model: Path) -> None:
    atlas = filled(tmp_path / "atlas", model)
    before = results(atlas)
    done = ctatlas("predict", atlas.place.root, "--dry-run", "--json", "--case", "case_1")
    (row,) = done.json["cases"]
    assert (row["case"], row["would"]) == ("case_1", "predict")
    assert row["writes_bytes_about"] > 0
    assert "1 results to make" in done.err
    assert results(atlas) == before


def test_without_room_nothing_starts(
    ctatlas: Terminal, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atlas = filled(tmp_path / "atlas", model)
    before = results(atlas)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    done = ctatlas("predict", atlas.place.root)
    assert done.code == 2
    assert "4 results need about" in done.complaint
    assert "are free; make room" in done.complaint
    assert results(atlas) == before


@pytest.mark.parametrize(
    ("member", "says"),
    [
        ("ctatlas/base+shft", "no variant is called 'shft'; did you mean 'shift'?"),
        ("ctatlas/base+flip", "does not say that it was trained with such"),
        ("ctatlas/none", "no model 'ctatlas/none'"),
    ],
)
def test_a_member_that_cannot_be_is_refused_in_a_line(
    ctatlas: Terminal, tmp_path: Path, model: Path, member: str, says: str
) -> None:
    atlas = filled(tmp_path / "atlas", model)
    done = ctatlas("predict", atlas.place.root, "--member", member)
    assert done.code == 2
    assert says in done.complaint


def test_a_model_that_changed_is_asked_again(ctatlas: Terminal, tmp_path: Path) -> None:
    folder = torso_model(tmp_path / "model")
    atlas = filled(tmp_path / "atlas", folder)
    assert ctatlas("predict", atlas.place.root).code == 0
    card = folder / "card.toml"
    card.write_text(card.read_text().replace("[4.0, 4.0, 4.0]", "[5.0, 5.0, 5.0]"))
    states = {case["state"] for case in ctatlas("predict", atlas.place.root, "--json").json["cases"]}
    assert states == {"done"}


def test_models_in_folders_are_members_for_every_step(ctatlas: Terminal, tmp_path: Path, model: Path) -> None:
    asked = [word for name in (model, f"{model}+shift") for word in ("--member", name)]
    atlas = tmp_path / "atlas"
    assert ctatlas("init", atlas, *asked).code == 0
    add_torso(Atlas.open(atlas), "case_0", torso())
    for step in ("predict", "check", "attend", "assemble"):
        assert ctatlas(step, atlas, "--quiet").code == 0, step
    case = atlas / "cases" / "case_0"
    assert {path.name for path in (case / "predictions").iterdir()} == {"test__torso", "test__torso+shift"}
    details = {
        mask["detail"] for mask in json.loads((case / "assembled" / "provenance.json").read_text())["masks"].values()
    }
    assert details == {"test/torso, test/torso+shift"}
    again = ctatlas("check", atlas, "--of", model, "--quiet")
    assert (again.code, again.err) == (0, "")


def test_a_models_folder_may_lie_in_the_atlas(ctatlas: Terminal, tmp_path: Path) -> None:
    atlas = filled(tmp_path / "atlas", Path("models/mine+1"))
    torso_model(atlas.place.root / "models" / "mine+1")
    for step in ("predict", "assemble"):
        assert ctatlas(step, atlas.place.root, "--case", "case_0", "--quiet").code == 0
    atlas.place.root.rename(tmp_path / "moved")
    assert ctatlas("assemble", tmp_path / "moved", "--case", "case_0", "--json").json["cases"][0]["state"] == "there"


def test_a_model_that_is_asked_for_joins_the_members(ctatlas: Terminal, tmp_path: Path, model: Path) -> None:
    atlas = new_atlas(tmp_path / "atlas")
    add_torso(atlas, "case_0", torso())
    config = atlas.place.root / "atlas.toml"
    config.write_text("# mine\n" + config.read_text())
    before = config.read_text()
    ctatlas("predict", atlas.place.root, "--model", model, "--dry-run")
    assert config.read_text() == before
    asked = ["--model", model, "--model", f"{model}+shift"]
    assert ctatlas("predict", atlas.place.root, *asked, "--shard", "1/1", "--quiet").code == 0
    members = ("ctatlas/base", str(model), f"{model}+shift")
    assert Atlas.open(atlas.place.root).config == atlas.config.model_copy(update={"members": members})
    assert config.read_text().startswith("# mine\n")
    for step in ("check", "attend", "assemble"):
        assert ctatlas(step, atlas.place.root, "--quiet").code == 0, step
    found = json.loads((atlas.place.case("case_0").attention / "hotspots.json").read_text())
    assert found["members"] == ["test/torso", "test/torso+shift"]
    again = ctatlas("predict", atlas.place.root, *asked)
    assert "among the members" not in again.err
    states = [case["state"] for case in ctatlas("predict", atlas.place.root, *asked, "--json").json["cases"]]
    assert states == ["there", "there"]


@pytest.mark.parametrize("step", ["check", "attend", "assemble"])
def test_predictions_that_nobody_asks_for_are_named_with_the_remedy(
    ctatlas: Terminal, tmp_path: Path, model: Path, step: str
) -> None:
    atlas = new_atlas(tmp_path / "atlas")
    add_torso(atlas, "case_0", torso())
    told = ctatlas("predict", atlas.place.root, "--model", model, "--apart").err
    assert f"so that other steps leave it out until you add: {model}" in told
    done = ctatlas(step, atlas.place.root)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "add test/torso, whose predictions it has, to the members in atlas.toml" in done.err
