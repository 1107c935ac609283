"""Opening, locking and sharing an atlas; where its files lie, and what the records refuse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.atlas import Atlas, AtlasConfig
from ctatlas.atlas.layout import AtlasPlace, CasePlace
from ctatlas.atlas.records import CaseRecord, MaskRecord, RevisionRecord, read_record, write_record
from ctatlas.atlas.shards import Shard
from ctatlas.errors import AtlasError, OutputError
from tests.atlas.by_hand import new_atlas, new_case
from tests.atlas.filled import filled_atlas

# Holds an atlas (argument 1) until its standard input ends; argument 2: beside others, or alone
HOLDING = """
import sys
from ctatlas.atlas import Atlas
with Atlas.open(sys.argv[1]).writing(shared=sys.argv[2] == "shared"):
    print("held", flush=True)
    sys.stdin.read()
"""


class TestCreate:
    def test_what_is_there_stays_and_is_refused(self, tmp_path: Path) -> None:
        new_atlas(tmp_path / "atlas")
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "thesis.txt").write_text("mine")
        with pytest.raises(AtlasError, match="is an atlas already"):
            new_atlas(tmp_path / "atlas")
        with pytest.raises(AtlasError, match="is not empty"):
            new_atlas(tmp_path / "full")
        assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.txt"]
        with pytest.raises(OutputError, match="can't be made"):
            new_atlas(tmp_path / "full" / "thesis.txt")

    def test_one_that_fails_leaves_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(AtlasError):
            new_atlas(tmp_path / "new" / "atlas", catalog="sqlite://")
        assert list(tmp_path.iterdir()) == []


class TestCases:
    def test_only_folders_with_a_record_are_cases_in_the_order_of_their_names(self, tmp_path: Path) -> None:
        atlas = new_atlas(tmp_path / "atlas")
        for case in ("b", "a", "c"):
            new_case(atlas, case)
        (atlas.place.case("half").folder).mkdir()
        (atlas.place.cases_folder / "note.txt").touch()
        assert [place.case for place in atlas.cases()] == ["a", "b", "c"]
        assert [place.case for place in atlas.cases(["c", "a", "c"])] == ["c", "a"]

    @pytest.mark.parametrize("case", ["../../etc", "half", "", ".", "a\x1b[31m"])
    def test_one_that_is_not_there_is_refused_in_a_line(self, tmp_path: Path, case: str) -> None:
        atlas = new_atlas(tmp_path / "atlas")
        new_case(atlas, "a")
        with pytest.raises(AtlasError, match="has no case") as refused:
            atlas.cases([case])
        assert str(refused.value).isprintable()

    def test_places_of_predictions_and_revisions(self, tmp_path: Path) -> None:
        place = CasePlace(tmp_path / "one")
        assert place.prediction("ctatlas/base+shift").name == "ctatlas__base+shift"
        assert place.revisions() == place.predictions() == []
        for folder in (place.revision(10), place.revision(2), place.prediction("b"), place.prediction("a")):
            folder.mkdir(parents=True)
            (folder / "run.json").touch()
        place.revision(3).mkdir()
        assert place.revisions() == [place.revision(2), place.revision(10)]
        assert place.predictions() == [place.prediction("a"), place.prediction("b")]


class TestShards:
    @given(n=st.integers(0, 40), total=st.integers(1, 9))
    def test_every_case_is_in_one_shard(self, n: int, total: int) -> None:
        parts = [Shard.of(f"{number}/{total}").part_of(range(n)) for number in range(1, total + 1)]
        assert sorted(item for part in parts for item in part) == list(range(n))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1

    @pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "-1/3", "1/0", "a/b", "1/3/5", "1.0/3", "²/3"])
    def test_what_is_no_share_is_refused(self, text: str) -> None:
        with pytest.raises(AtlasError, match="expected NUMBER/TOTAL"):
            Shard.of(text)


class TestLock:
    @pytest.fixture
    def atlas(self, tmp_path: Path) -> Atlas:
        return new_atlas(tmp_path / "atlas")

    def hold(self, atlas: Atlas, how: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLDING, str(atlas.place.root), how]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        return process

    def test_a_second_process_is_refused_until_the_first_is_gone(self, atlas: Atlas) -> None:
        first = self.hold(atlas, "alone")
        for shared in (False, True):
            with pytest.raises(AtlasError, match="another ctatlas is writing here"), atlas.writing(shared=shared):
                pass
        first.kill()
        first.communicate()
        with atlas.writing():
            pass

    def test_shards_write_beside_each_other_and_keep_others_out(self, atlas: Atlas) -> None:
        shard = self.hold(atlas, "shared")
        with atlas.writing(shared=True):
            pass
        with pytest.raises(AtlasError, match="--shard"), atlas.writing():
            pass
        shard.communicate("")


class TestRecords:
    def test_the_same_record_gives_the_same_bytes_and_comes_back(self, tmp_path: Path) -> None:
        atlas = filled_atlas(tmp_path / "atlas", "one")
        record = atlas.record("one")
        write_record(record, tmp_path / "again.json")
        assert (tmp_path / "again.json").read_bytes() == atlas.place.case("one").record.read_bytes()
        assert read_record(CaseRecord, tmp_path / "again.json") == record
        assert record.grid.grid().shape == record.grid.shape

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "Invalid JSON"),
            ("{", "Invalid JSON"),
            ("[" * 100_000, "Invalid JSON"),
            ("\udcff", "Invalid JSON"),
            ('{"sha256": "0", "volume_ml": 1}', "n_voxels: Field required"),
            ('{"sha256": "0", "volume_ml": NaN, "n_voxels": 1}', "volume_ml: Input should be a finite number"),
            ('{"sha256": "0", "volume_ml": 1, "n_voxels": 1.5}', "n_voxels: Input should be a valid integer"),
            ('{"sha256": "0", "volume_ml": 1, "n_voxels": 1, "x": 1}', "x: Extra inputs are not permitted"),
        ],
        ids=range(8),
    )
    def test_what_is_no_record_is_one_line_that_names_the_file(self, tmp_path: Path, text: str, said: str) -> None:
        path = tmp_path / "mask.json"
        path.write_text(text, errors="surrogateescape")
        with pytest.raises(AtlasError) as refused:
            read_record(MaskRecord, path)
        assert str(refused.value).startswith(f"{path}: ")
        assert said in str(refused.value)
        assert "doctor" in str(refused.value)

    def test_missing_huge_and_unreadable_files(self, tmp_path: Path) -> None:
        with pytest.raises(AtlasError, match="is missing"):
            read_record(RevisionRecord, tmp_path / "none.json")
        with pytest.raises(AtlasError, match="Is a directory"):
            read_record(RevisionRecord, tmp_path)
        with (tmp_path / "huge.json").open("wb") as file:
            file.truncate(2**40)
        with pytest.raises(AtlasError, match="which no record is"):
            read_record(RevisionRecord, tmp_path / "huge.json")


def test_an_atlas_knows_its_structures_and_its_folder(tmp_path: Path) -> None:
    Atlas.create(tmp_path / "atlas", AtlasConfig(name="a", label_set="kits"))
    atlas = Atlas.open(tmp_path / "atlas")
    assert atlas.place == AtlasPlace(tmp_path / "atlas")
    assert {"kidney_tumor", "kidney_cyst"} <= set(atlas.config.structures)
    assert atlas.cases() == []
