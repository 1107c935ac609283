"""How every step runs over an atlas: shares of array jobs, what is told, a full disk, a second process."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctatlas.atlas import Atlas
from ctatlas.atlas.doctor import examine
from tests.atlas.by_hand import add_prediction, box, everything_in, new_atlas, new_case
from tests.atlas.filled import filled_atlas
from tests.support_command import Terminal

CASES = ("a", "b", "c")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An atlas that is predicted and not yet assembled."""
    atlas = new_atlas(tmp_path_factory.mktemp("template") / "atlas")
    for case in CASES:
        add_prediction(new_case(atlas, case), "ctatlas/base", {"liver": box((0, 7)), "spleen": box((7, 10), (0, 4))})
    atlas.synchronise()
    return atlas.place.root


@pytest.fixture
def atlas(tmp_path: Path, template: Path) -> Atlas:
    return Atlas.open(shutil.copytree(template, tmp_path / "atlas"))


def assembled(atlas: Atlas) -> dict[str, dict[str, bytes]]:
    return {place.case: everything_in(place.assembled) for place in atlas.cases() if place.assembled.exists()}


class TestShards:
    def test_together_they_write_the_bytes_of_one_whole_run(
        self, ctatlas: Terminal, atlas: Atlas, template: Path, tmp_path: Path
    ) -> None:
        whole = Atlas.open(shutil.copytree(template, tmp_path / "whole"))
        assert ctatlas("assemble", whole.place.root, "--quiet").code == 0
        for shard in ("2/2", "1/2"):
            assert ctatlas("assemble", atlas.place.root, "--shard", shard, "--quiet").code == 0
        assert sorted(assembled(atlas)) == list(CASES)
        assert assembled(atlas) == assembled(whole)

    def test_they_leave_the_index_alone_until_it_is_synchronised(self, ctatlas: Terminal, atlas: Atlas) -> None:
        ctatlas("status", atlas.place.root, "--sync")
        assert ctatlas("assemble", atlas.place.root, "--shard", "1/2", "--quiet").code == 0
        assert ctatlas("status", atlas.place.root, "--json").json["steps"] == {"predict": 3}
        found = ctatlas("status", atlas.place.root, "--sync", "--json").json
        assert found["steps"] == {"predict": 3, "assemble": 2}
        assert found["labels"]["liver"] == {"pseudo": 3, "assembled": 2}

    def test_they_need_no_index_and_make_none(self, ctatlas: Terminal, atlas: Atlas) -> None:
        for path in atlas.place.root.glob("catalog.db*"):
            path.unlink()
        assert ctatlas("assemble", atlas.place.root, "--shard", "1/2", "--quiet").code == 0
        assert not atlas.place.catalog.exists()

    def test_more_shares_than_cases_are_fine(self, ctatlas: Terminal, atlas: Atlas) -> None:
        assert ctatlas("assemble", atlas.place.root, "--shard", "9/9").code == 0
        assert assembled(atlas) == {}

    def test_failures_of_each_have_a_table_of_their_own(self, ctatlas: Terminal, atlas: Atlas) -> None:
        for case in ("a", "c"):
            (atlas.place.case(case).prediction("ctatlas/base") / "labels.nii.gz").write_bytes(b"cut off")
        done = ctatlas("assemble", atlas.place.root, "--shard", "1/2")
        assert done.code == 3
        table = (atlas.place.root / "failures-1-of-2.csv").read_text().splitlines()
        assert [row.split(",")[0] for row in table] == ["case", "a", "c"]
        assert not (atlas.place.root / "failures.csv").exists()

    def test_the_failures_of_all_are_gathered_when_the_index_is(self, ctatlas: Terminal, atlas: Atlas) -> None:
        """A job with a single case has its row in a table, too, and none when the case is mended."""
        labels = [atlas.place.case(case).prediction("ctatlas/base") / "labels.nii.gz" for case in ("a", "b")]
        sound = [path.read_bytes() for path in labels]
        for path in labels:
            path.write_bytes(b"cut off")
        for shard in ("1/2", "2/2"):  # the second has b alone
            assert ctatlas("assemble", atlas.place.root, "--shard", shard).code == 3
        (atlas.place.root / "failures-3-of-3.csv").write_text("mine\n")
        assert "2 failed in jobs with --shard" in ctatlas("status", atlas.place.root, "--sync").err
        table = (atlas.place.root / "failures.csv").read_text().splitlines()
        assert [row.split(",")[0] for row in table] == ["case", "a", "b"]
        assert [path.name for path in atlas.place.root.glob("failures-*")] == ["failures-3-of-3.csv"]
        assert ctatlas("assemble", atlas.place.root, "--shard", "2/2").code == 3
        for path, content in zip(labels, sound, strict=True):
            path.write_bytes(content)
        for shard in ("1/2", "2/2"):
            assert ctatlas("assemble", atlas.place.root, "--shard", shard).code == 0
        assert (atlas.place.root / "failures.csv").exists()  # jobs leave it alone
        assert ctatlas("status", atlas.place.root, "--sync").code == 0
        assert [path.name for path in atlas.place.root.glob("failures*")] == ["failures-3-of-3.csv"]

    def test_what_failed_before_stays_told_until_jobs_ran(self, ctatlas: Terminal, atlas: Atlas) -> None:
        (atlas.place.root / "failures.csv").write_text("case,stage,reason\na,read,cut off\n")
        assert ctatlas("status", atlas.place.root, "--sync").code == 0
        assert (atlas.place.root / "failures.csv").exists()


class TestOneAfterTheOther:
    def test_the_index_knows_at_once(self, ctatlas: Terminal, atlas: Atlas) -> None:
        assert ctatlas("assemble", atlas.place.root, "--case", "b").code == 0
        assert ctatlas("status", atlas.place.root, "--json").json["steps"] == {"predict": 3, "assemble": 1}

    def test_a_second_process_is_refused_in_a_line(self, ctatlas: Terminal, atlas: Atlas) -> None:
        with Atlas.open(atlas.place.root).writing():
            for words in (["assemble"], ["assemble", "--shard", "1/2"], ["status", "--sync"], ["doctor"]):
                done = ctatlas(words[0], atlas.place.root, *words[1:])
                assert (done.code, len(done.err.splitlines())) == (2, 1)
                assert "another ctatlas is writing here" in done.err
            assert ctatlas("status", atlas.place.root).code == 0
        assert assembled(atlas) == {}

    def test_a_catalog_on_a_network_disk_is_refused_before_any_work(
        self, ctatlas: Terminal, atlas: Atlas, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ctatlas.atlas.catalog.filesystems.disk_kind", lambda *_: "nfs4")
        done = ctatlas("assemble", atlas.place.root)
        assert (done.code, len(done.err.splitlines())) == (2, 1)
        assert "network disk (nfs4)" in done.err
        assert assembled(atlas) == {}
        assert ctatlas("assemble", atlas.place.root, "--shard", "1/1", "--quiet").code == 0
        assert sorted(assembled(atlas)) == list(CASES)

    def test_an_atlas_without_cases_says_what_to_do(self, ctatlas: Terminal, tmp_path: Path) -> None:
        assert ctatlas("init", tmp_path / "new").code == 0
        done = ctatlas("assemble", tmp_path / "new")
        assert done.code == 2
        assert "ctatlas add" in done.complaint


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 640 kB, or skip where mounting is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=640k", "tmpfs", folder], capture_output=True).returncode:  # noqa: PLW1510
        pytest.skip("mounting a disk is not allowed here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_one_line_and_loses_nothing(ctatlas: Terminal, atlas: Atlas, small_disk: Path) -> None:
    moved = Atlas.open(shutil.copytree(atlas.place.root, small_disk / "atlas"))
    filler = small_disk / "filler"
    with filler.open("wb") as file:
        free = shutil.disk_usage(small_disk).free
        file.write(bytes(max(0, free - 24 * 1024)))
    before = everything_in(moved.place.cases_folder)
    done = ctatlas("assemble", moved.place.root)
    assert done.code == 2
    assert "o space left" in done.complaint or "full" in done.complaint
    after = everything_in(moved.place.cases_folder)
    assert {name: after[name] for name in before} == before
    assert all(whole for whole in assembled(moved).values())
    filler.unlink()
    assert ctatlas("assemble", moved.place.root, "--quiet").code == 0
    assert sorted(assembled(moved)) == list(CASES)
    assert list(examine(moved)) == []


class TestStatus:
    def test_says_what_there_is_in_compact_tables(self, ctatlas: Terminal, tmp_path: Path) -> None:
        filled_atlas(tmp_path / "atlas")
        done = ctatlas("status", tmp_path / "atlas", "--top", 1)
        assert done.code == 0
        lines = [" ".join(line.split()) for line in done.out.splitlines()]
        assert lines[0] == "test: 2 cases, label set abdomenatlas-1.1"
        for line in ("made 2", "assemble 2", "liver 2 2 0 2", "spleen 0 2 2 2", "too many parts 0 2 0", "two 5.00 3.0"):
            assert line in lines
        assert "one 4.00 3.0" not in lines

    def test_an_empty_atlas_has_a_status(self, ctatlas: Terminal, tmp_path: Path) -> None:
        made = ctatlas("init", tmp_path / "new", "--name", "mine", "--label-set", "kits", "--json")
        assert made.json["name"] == "mine"
        done = ctatlas("status", tmp_path / "new")
        assert (done.code, done.out.splitlines()[0]) == (0, "mine: 0 cases, label set kits")

    @pytest.mark.parametrize("words", [["status"], ["doctor"], ["assemble"]])
    def test_a_folder_that_is_no_atlas_is_refused_in_a_line(
        self, ctatlas: Terminal, tmp_path: Path, words: list[str]
    ) -> None:
        for folder in (tmp_path, tmp_path / "none", Path(__file__)):
            done = ctatlas(*words, folder)
            assert (done.code, len(done.err.splitlines())) == (2, 1)
            assert str(folder) in done.err

    def test_the_manual_names_every_key_of_the_json(self, ctatlas: Terminal, tmp_path: Path) -> None:
        filled_atlas(tmp_path / "atlas")
        page = (Path(__file__).parents[2] / "docs" / "atlas.md").read_text(encoding="utf-8")
        found = ctatlas("status", tmp_path / "atlas", "--json").json
        keys = {*found, *found["revisions"], *found["look_first"][0], *found["structures_by_attention"][0]}
        assert {key for key in keys if f"`{key}`" not in page} == set()
