"""`ctatlas release` as a person calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.atlas.release.small_atlas import LIVER, assemble, revise, small_atlas
from tests.support_command import Terminal


@pytest.fixture
def atlas(tmp_path: Path) -> Path:
    return small_atlas(tmp_path / "atlas").place.root


def test_make_verify_and_diff(ctatlas: Terminal, atlas: Path) -> None:
    made = ctatlas("release", atlas, "1.0")
    assert made.code == 0
    assert "1.0: 3 cases, 10 masks (abdomenatlas, abdomenatlas-1.1)." in made.out
    assert "To be settled: The licence of dataset made is not known" in made.out
    assert "questions are open" in made.out
    again = ctatlas("release", "make", atlas, "1.1", "--json")
    assert again.json["cases"] == 3
    proved = ctatlas("release", "verify", atlas / "releases/1.0")
    assert (proved.code, proved.out) == (0, f"{atlas / 'releases/1.0'}: sound.\n")
    assert "No mask changed" in ctatlas("release", "diff", atlas / "releases/1.0", atlas / "releases/1.1").out


def test_status_names_the_releases_and_what_is_none(ctatlas: Terminal, atlas: Path) -> None:
    assert ctatlas("status", atlas, "--json").json["releases"] == []
    ctatlas("release", atlas, "1.0", "--quiet")
    ctatlas("release", atlas, "1.1", "--masks-only", "--quiet")
    told = ctatlas("status", atlas, "--json").json["releases"]
    assert [(each["version"], each["content"]) for each in told] == [("1.0", "all"), ("1.1", "masks")]
    assert (told[0]["cases"], told[0]["masks"], sum(told[0]["sources"].values())) == (3, 10, 10)
    lines = ctatlas("status", atlas).out.splitlines()
    assert [line.split()[:6] for line in lines if line.startswith("1.")] == [
        ["1.0", "abdomenatlas", "all", "abdomenatlas-1.1", "3", "10"],
        ["1.1", "abdomenatlas", "masks", "abdomenatlas-1.1", "3", "10"],
    ]
    (atlas / "releases/1.0/release.json").write_text("{}")
    (atlas / "releases/notes").mkdir()
    half = ctatlas("status", atlas)
    assert (half.code, len(half.err.splitlines())) == (0, 1)
    assert "releases/1.0/release.json: name: Field required" in half.err


def test_diff_says_what_changed(ctatlas: Terminal, atlas: Path) -> None:
    from ctatlas.atlas import Atlas

    ctatlas("release", atlas, "1.0", "--quiet")
    opened = Atlas.open(atlas)
    revise(opened.place.case("ccc"), "liver", LIVER[::-1, :, :])
    assemble(opened)
    ctatlas("release", atlas, "1.1", "--quiet")
    folders = atlas / "releases/1.0", atlas / "releases/1.1"
    assert "pseudo → revised: 1" in ctatlas("release", "diff", *folders).out
    assert ctatlas("release", "diff", *folders, "--json").json["masks"][0]["case"] == "BDMAP_00000003"


def test_options_may_come_first_and_a_dry_run_writes_nothing(ctatlas: Terminal, atlas: Path) -> None:
    done = ctatlas("release", "--masks-only", "--dry-run", atlas, "1.0")
    assert done.code == 0
    assert "would hold 3 cases, 4 structures" in done.out
    assert not (atlas / "releases").exists()
    assert ctatlas("release", atlas, "1.0", "--dry-run", "--json").json["structures"] == [
        "kidney_left", "kidney_right", "liver", "spleen",
    ]  # fmt: skip


def test_an_unsound_copy_ends_with_2(ctatlas: Terminal, atlas: Path) -> None:
    ctatlas("release", atlas, "1.0", "--masks-only", "--cases-per-shard", 1, "--workers", 1)
    (atlas / "releases/1.0/stray.txt").write_text("x")
    done = ctatlas("release", "verify", atlas / "releases/1.0", "--shallow")
    assert (done.code, done.out.splitlines()[0]) == (2, "stray.txt: is not listed in SHA256SUMS")
    assert ctatlas("release", "verify", atlas / "releases/1.0", "--json").json["sound"] is False


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["1.0", "--images-only", "--masks-only"], "exclude each other"),
        (["1.0", "--shard-size", "big"], "size 'big': expected a number of bytes such as 500MB or 20GB"),
        (["1.0", "--layout", "zip"], "no layout is called 'zip'"),
        (["1.0", "--label-set", "abdomenatlas-1"], "no label set is called 'abdomenatlas-1'; near:"),
        (["1.0", "--case", "nobody"], "has no case 'nobody'"),
        (["../1.0"], "expected letters, digits"),
    ],
)
def test_a_wrong_call_is_refused_in_a_line(ctatlas: Terminal, atlas: Path, words: list[str], complaint: str) -> None:
    done = ctatlas("release", atlas, *words)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert complaint in done.complaint
    assert not list((atlas / "releases").glob("1*"))


def test_no_atlas_and_no_release_are_refused_in_a_line(ctatlas: Terminal, tmp_path: Path) -> None:
    assert "is no atlas" in ctatlas("release", tmp_path, "1.0").complaint
    assert "is no release" in ctatlas("release", "verify", tmp_path).complaint
    assert "is no release" in ctatlas("release", "diff", tmp_path, tmp_path).complaint
