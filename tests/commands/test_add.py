"""`ctatlas add` from the terminal: what it says, what it leaves, how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.atlas.add.sources import write_msd, write_nnunet, write_numbers, write_scan
from tests.support_command import Terminal


@pytest.fixture
def atlas(tmp_path: Path, ctatlas: Terminal, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CTATLAS_HOME", str(tmp_path / "home"))
    assert ctatlas("init", tmp_path / "atlas").code == 0
    return tmp_path / "atlas"


def test_adding_says_the_layout_and_what_came_of_it(tmp_path: Path, atlas: Path, ctatlas: Terminal) -> None:
    source = write_nnunet(tmp_path / "Dataset777_Mine")
    done = ctatlas("add", atlas, source, "--licence", "CC BY 4.0")
    assert done.code == 0
    assert "layout nnunet, 3 cases" in done.err
    assert "added" in done.out
    again = ctatlas("add", atlas, source, "--json")
    assert {case["state"] for case in again.json["cases"]} == {"known"}
    assert ctatlas("status", atlas, "--json").json["cases"] == {"Dataset777_Mine": 3}
    assert "CC BY 4.0" in (atlas / "datasets" / "Dataset777_Mine.json").read_text()


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(tmp_path: Path, atlas: Path, ctatlas: Terminal) -> None:
    source = write_msd(tmp_path / "Task09_Spleen")
    before = sorted(path for path in tmp_path.rglob("*") if ".db" not in path.name)
    done = ctatlas("add", atlas, source, "--dry-run", "--json")
    assert [one["case"] for one in done.json["would_read"]] == ["Task09_Spleen_spleen_2", "Task09_Spleen_spleen_7"]
    assert done.json["bytes_about"] == sum(path.stat().st_size for path in source.rglob("spleen*.nii.gz"))
    assert "would read 2 cases" in ctatlas("add", atlas, source, "--dry-run").out
    assert sorted(path for path in tmp_path.rglob("*") if ".db" not in path.name) == before


def test_what_fails_is_a_row_and_goes_when_it_is_mended(tmp_path: Path, atlas: Path, ctatlas: Terminal) -> None:
    source = write_nnunet(tmp_path / "Dataset777_Mine")
    label = source / "labelsTr" / "case_2.nii.gz"
    write_numbers(label, {"liver": 7})
    done = ctatlas("add", atlas, source)
    assert done.code == 3
    rows = (atlas / "failures.csv").read_text().splitlines()
    assert rows[0] == "case,stage,reason"
    assert rows[1].startswith("case_2,write,")
    assert "holds number 7" in rows[1]
    write_numbers(label, {"liver": 1})
    assert ctatlas("add", atlas, source).code == 0
    assert not (atlas / "failures.csv").exists()


def test_a_single_case_that_fails_is_one_line_and_exit_2(tmp_path: Path, atlas: Path, ctatlas: Terminal) -> None:
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"\x1f\x8b\x08\x00 no")
    done = ctatlas("add", atlas, broken)
    assert (done.code, done.complaint.count("\n")) == (2, 0)
    assert "broken.nii.gz" in done.complaint
    assert len([line for line in done.err.splitlines() if "broken.nii.gz: " in line and "layout" not in line]) == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("nothing",), "no such file"),
        (("scan.nii.gz", "--layout", "bids"), "--layout bids: is not known"),
        (("scan.nii.gz", "--shard", "3/2"), "expected NUMBER/TOTAL"),
        (("atlas/cases",), "lies in the atlas"),
        ((".",), "or the atlas in it"),
    ],
)
def test_wrong_calls_are_refused_in_a_line(
    tmp_path: Path, atlas: Path, ctatlas: Terminal, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_scan(tmp_path / "scan.nii.gz")
    done = ctatlas("add", atlas, *words)
    assert done.code == 2
    assert why in done.complaint


def test_hidden_names_and_a_chosen_key(tmp_path: Path, atlas: Path, ctatlas: Terminal) -> None:
    write_scan(tmp_path / "in" / "Mueller.nii.gz")
    key = tmp_path / "my.key"
    done = ctatlas("add", atlas, tmp_path / "in", "--hide-names", "--key", key, "--dataset", "clinic")
    assert done.code == 0
    assert key.is_file()
    (case,) = (atlas / "cases").iterdir()
    assert case.name.startswith("scan-")
    assert b"Mueller" not in b"".join(path.read_bytes() for path in atlas.rglob("*") if path.is_file())


def test_shards_leave_the_index_to_a_later_sync(tmp_path: Path, atlas: Path, ctatlas: Terminal) -> None:
    source = write_nnunet(tmp_path / "Dataset777_Mine")
    for shard in ("1/2", "2/2"):
        assert ctatlas("add", atlas, source, "--shard", shard).code == 0
    assert ctatlas("status", atlas, "--json").json["cases"] == {}
    assert ctatlas("status", atlas, "--sync", "--json").json["cases"] == {"Dataset777_Mine": 3}
