"""Many scans in one call: what fails is told and does not stop the rest; what is done and whole is not done again."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from ctatlas import pipeline
from ctatlas.models import Model, load
from ctatlas.volume import Volume, write_volume
from tests.support_command import Terminal
from tests.support_scans import torso, torso_model, write_dicom


@pytest.fixture
def scans(tmp_path: Path, volume: Volume) -> Path:
    """Return a folder with a file, a case folder, a DICOM folder, and a broken file."""
    folder = tmp_path / "scans"
    (folder / "case_b").mkdir(parents=True)
    write_volume(volume, folder / "a.nii.gz")
    write_volume(torso(seed=1), folder / "case_b" / "ct.nii.gz")
    write_dicom(volume, folder / "c")
    (folder / "d.nii.gz").write_bytes((folder / "a.nii.gz").read_bytes()[:5000])
    return folder


def failures(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "failures.csv").open(encoding="utf-8")))


def times(out: Path) -> dict[str, int]:
    return {path.relative_to(out).as_posix(): path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}


def states(done: object) -> dict[str, str]:
    return {case["case"]: case["state"] for case in done.json["cases"]}  # type: ignore[attr-defined]


def test_one_broken_scan_is_a_row_and_the_others_are_done(
    ctatlas: Terminal, scans: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = ctatlas("segment", scans, out, "--model", model, "--json")
    assert done.code == 3
    assert states(done) == {"a": "done", "case_b": "done", "c": "done", "d": "failed"}
    assert {path.name for path in out.iterdir()} == {"a", "case_b", "c", "failures.csv"}
    (row,) = failures(out)
    assert (row["case"], row["stage"]) == ("d", "read")
    assert "d.nii.gz" in row["reason"]
    assert "1 of 4 failed" in done.complaint
    assert json.loads((out / "c" / "run.json").read_text())["whole"]


def test_a_second_run_does_only_what_failed_and_forgets_the_table(
    ctatlas: Terminal, scans: Path, model: Path, volume: Volume, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ctatlas("segment", scans, out, "--model", model)
    before = times(out)
    write_volume(volume, scans / "d.nii.gz")
    done = ctatlas("segment", scans, out, "--model", model, "--json")
    assert done.code == 0
    assert states(done) == {"a": "there", "case_b": "there", "c": "there", "d": "done"}
    after = times(out)
    assert not (out / "failures.csv").exists()
    assert {name: after[name] for name in before if name in after} == {
        name: time for name, time in before.items() if name != "failures.csv"
    }


def test_the_summary_of_a_skipped_case_is_that_of_its_run(
    ctatlas: Terminal, scans: Path, model: Path, tmp_path: Path
) -> None:
    (scans / "d.nii.gz").unlink()
    first, second = (ctatlas("segment", scans, tmp_path / "out", "--model", model, "--json") for _ in range(2))
    of_each = [[case["structures"] for case in done.json["cases"]] for done in (first, second)]
    assert of_each[0] == of_each[1]


def test_the_model_is_loaded_once_for_many_scans(
    ctatlas: Terminal, scans: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def counting(name: str, *more: str) -> Model:
        loaded.append(name)
        return load(name, *more)

    monkeypatch.setattr("ctatlas.pipeline.load", counting)
    pipeline._loaded.cache_clear()
    ctatlas("segment", scans, tmp_path / "out", "--model", model)
    assert loaded == [str(model)]


def test_two_workers_write_the_same_bytes(ctatlas: Terminal, scans: Path, model: Path, tmp_path: Path) -> None:
    codes = [ctatlas("segment", scans, tmp_path / f"out{n}", "--model", model, "--workers", n).code for n in (1, 2)]
    assert codes == [3, 3]
    one, two = (
        {path.relative_to(tmp_path / out).as_posix(): path.read_bytes() for path in (tmp_path / out).rglob("*.*")}
        for out in ("out1", "out2")
    )
    assert one == two


def change_input(scan: Path, model: Path) -> list[str]:  # noqa: ARG001
    write_volume(torso(seed=7), scan)
    return []


def change_nothing_but_the_time(scan: Path, model: Path) -> list[str]:  # noqa: ARG001
    os.utime(scan)
    return []


def change_weights(scan: Path, model: Path) -> list[str]:  # noqa: ARG001
    torso_model(model)
    card = model / "card.toml"
    card.write_text(card.read_text().replace('version = "1"', 'version = "2"'))
    return []


def change_output(scan: Path, model: Path) -> list[str]:  # noqa: ARG001
    return ["--statistics"]


def lose_a_mask(scan: Path, model: Path) -> list[str]:  # noqa: ARG001
    (scan.parent / "out" / "segmentations" / "liver.nii.gz").unlink()
    return []


def cut_a_mask(scan: Path, model: Path) -> list[str]:  # noqa: ARG001
    mask = scan.parent / "out" / "segmentations" / "liver.nii.gz"
    mask.write_bytes(mask.read_bytes()[:100])
    return []


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (change_input, "done"),
        (change_weights, "done"),
        (change_output, "done"),
        (lose_a_mask, "done"),
        (cut_a_mask, "done"),
        (change_nothing_but_the_time, "there"),
    ],
)
def test_what_changed_is_done_again(ctatlas: Terminal, scan: Path, tmp_path: Path, change: object, state: str) -> None:
    model = torso_model(tmp_path / "model")
    call = ["segment", scan, tmp_path / "out", "--model", model, "--json"]
    assert states(ctatlas(*call)) == {"scan": "done"}
    more = change(scan, model)  # type: ignore[operator]
    assert states(ctatlas(*call, *more)) == {"scan": state}
    assert states(ctatlas(*call, *more)) == {"scan": "there"}


def test_what_an_older_run_made_and_a_newer_does_not_is_removed(
    ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ctatlas("segment", scan, out, "--model", model, "--statistics", "--preview")
    (out / "notes.txt").write_text("mine")
    ctatlas("segment", scan, out, "--model", model, "-s", "spleen")
    assert set(times(out)) == {"notes.txt", "run.json", "segmentations/spleen.nii.gz"}


def test_masks_of_somebody_else_are_not_replaced(ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "segmentations" / "liver.nii.gz"
    theirs.parent.mkdir()
    theirs.write_bytes(b"drawn by hand")
    done = ctatlas("segment", scan, tmp_path, "--model", model)
    assert done.code == 2
    assert "segmentations stands there already" in done.complaint
    assert theirs.read_bytes() == b"drawn by hand"


def test_one_scan_in_a_folder_needs_no_case_folder(ctatlas: Terminal, scan: Path, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    scan.rename(folder / "scan.nii.gz")
    assert ctatlas("segment", folder, tmp_path / "out", "--model", model).code == 0
    assert (tmp_path / "out" / "segmentations" / "liver.nii.gz").is_file()
