"""What is wrong with an atlas is found, told in a line, and mended where it can be."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ctatlas.atlas import Atlas
from ctatlas.atlas.doctor import Ailment, examine
from ctatlas.errors import AtlasError
from tests.atlas.filled import add_attention, filled_atlas
from tests.support.postgres import Server
from tests.support_command import Done, Terminal


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    return filled_atlas(tmp_path / "atlas")


def found(atlas: Atlas, **how: bool) -> list[Ailment]:
    return list(examine(atlas, **how))


def texts(ailments: list[Ailment]) -> list[str]:
    return [f"{one.where}: {one.what} → {one.mended or one.remedy}" for one in ailments]


def sole(ailments: list[Ailment]) -> str:
    assert len(ailments) == 1, ailments
    return texts(ailments)[0]


def status(ctatlas: Terminal, atlas: Atlas) -> object:
    return ctatlas("status", atlas.place.root, "--json").json


class TestIndex:
    def test_a_sound_atlas_has_nothing(self, tmp_path: Path, catalog_url: str) -> None:
        atlas = filled_atlas(tmp_path / "atlas", catalog=catalog_url)
        assert found(atlas, deep=True, fix=True) == []

    def test_a_structure_without_hot_spots_is_as_its_files_say(self, tmp_path: Path, catalog_url: str) -> None:
        atlas = filled_atlas(tmp_path / "atlas", catalog=catalog_url)
        add_attention(atlas.place.case("one"), {"spleen": 2.0, "aorta": 0.0})
        atlas.synchronise()
        assert found(atlas) == []

    def test_rows_that_another_tool_left_without_their_case_are_replaced(self, ctatlas: Terminal, atlas: Atlas) -> None:
        """Outside of ctatlas SQLite lets a case's row go and its masks stay."""
        before = status(ctatlas, atlas)
        with closing(sqlite3.connect(atlas.place.catalog)) as connection:
            connection.execute("delete from cases")
            connection.commit()
        assert [one for one in found(atlas) if not one.mended] == []
        assert found(atlas) == []
        assert status(ctatlas, atlas) == before

    def test_a_deleted_catalog_is_made_anew(self, ctatlas: Terminal, atlas: Atlas) -> None:
        before = status(ctatlas, atlas)
        for path in atlas.place.root.glob("catalog.db*"):
            path.unlink()
        assert sole(found(atlas)) == "catalog: is missing → made anew from the files"
        assert status(ctatlas, atlas) == before

    def test_a_deleted_catalog_is_made_anew_by_status_and_by_every_step(self, ctatlas: Terminal, atlas: Atlas) -> None:
        before = status(ctatlas, atlas)
        for words in (["status"], ["assemble", "--case", "one"]):
            for path in atlas.place.root.glob("catalog.db*"):
                path.unlink()
            done = ctatlas(words[0], atlas.place.root, *words[1:])
            assert done.code == 0
            assert ("is missing; made anew" in done.err) is (words == ["status"])
            assert status(ctatlas, atlas) == before

    def test_a_damaged_catalog_is_put_aside_and_made_anew(self, ctatlas: Terminal, atlas: Atlas) -> None:
        before = status(ctatlas, atlas)
        size = atlas.place.catalog.stat().st_size
        for number, damage in enumerate((b"no database at all", b"SQLite format 3\0" + b"\xff" * size), start=1):
            atlas.place.catalog.write_bytes(damage)
            refused = ctatlas("status", atlas.place.root)
            assert (refused.code, len(refused.err.splitlines())) == (2, 1)
            assert "doctor" in refused.err
            assert f"put aside as catalog.damaged-{number}.db" in sole(found(atlas))
            assert (atlas.place.root / f"catalog.damaged-{number}.db").read_bytes() == damage
            assert status(ctatlas, atlas) == before

    def test_pages_overwritten_in_the_middle_are_noticed(self, ctatlas: Terminal, atlas: Atlas) -> None:
        before = status(ctatlas, atlas)
        with closing(sqlite3.connect(atlas.place.catalog)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        content = bytearray(atlas.place.catalog.read_bytes())
        content[3 * 4096 : -4096] = b"\x7f" * (len(content) - 4 * 4096)
        atlas.place.catalog.write_bytes(content)
        assert "is damaged" in sole(found(atlas))
        assert status(ctatlas, atlas) == before

    def test_a_catalog_of_other_tables_than_its_version_says_is_made_anew(
        self, ctatlas: Terminal, atlas: Atlas
    ) -> None:
        before = status(ctatlas, atlas)
        with closing(sqlite3.connect(atlas.place.catalog)) as database:
            database.executescript(
                "DROP INDEX ix_labels_structure_kind; ALTER TABLE labels DROP COLUMN is_first; DROP TABLE findings;"
            )
        refused = ctatlas("status", atlas.place.root)
        assert (refused.code, len(refused.err.splitlines())) == (2, 1)
        assert "no such column: labels.is_first" in refused.err
        assert "doctor" in refused.err
        said = sole(found(atlas))
        assert "labels.is_first, findings.case, findings.number" in said
        assert "put aside as catalog.damaged-1.db, made anew from the files" in said
        assert status(ctatlas, atlas) == before

    def test_a_server_of_other_tables_than_its_version_says_is_not_touched(
        self, tmp_path: Path, postgres: Server
    ) -> None:
        atlas = filled_atlas(tmp_path / "atlas", catalog=postgres.new_place())
        with atlas.catalog() as catalog, catalog.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE runs DROP COLUMN step_version")
        with pytest.raises(AtlasError, match=r"lacks runs\.step_version; empty that database"):
            found(atlas)

    def test_rows_that_lost_their_files_and_files_that_lost_their_rows(self, tmp_path: Path, catalog_url: str) -> None:
        atlas = filled_atlas(tmp_path / "atlas", "one", "two", "three", catalog=catalog_url)
        shutil.rmtree(atlas.place.case("one").folder)
        with atlas.catalog() as catalog, catalog.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM labels WHERE \"case\" = 'two' AND kind = 'revised'")
            connection.exec_driver_sql("DELETE FROM cases WHERE \"case\" = 'three'")
        assert texts(found(atlas)) == [
            "catalog: two: not what its files say → read anew",
            "catalog: one: its folder is gone → taken out of the index",
        ]
        assert found(atlas) == []


class TestFiles:
    def test_a_half_result_is_told_and_removed_when_asked(self, ctatlas: Terminal, atlas: Atlas) -> None:
        place = atlas.place.case("one")
        (place.assembled / "combined_labels.nii.gz").write_bytes(b"half")
        (place.prediction("ctatlas/base") / "run.json").unlink()
        said = [
            "one: assembled is not whole → run the step again, or with --fix remove it",
            "one: predictions/ctatlas__base is not whole → run the step again, or with --fix remove it",
        ]
        assert texts(found(atlas)) == said
        assert place.assembled.is_dir()
        mended = texts(found(atlas, fix=True))
        assert [line.split(" → ")[1] for line in mended] == ["removed; the step makes it again"] * 2
        assert not place.assembled.exists()
        assert found(atlas) == []
        assert status(ctatlas, atlas)["steps"]["assemble"] == 1  # type: ignore[index]

    def test_left_overs_are_told_and_removed_when_asked(self, atlas: Atlas) -> None:
        place = atlas.place.case("one")
        left = [place.folder / ".ct.nii.gz.1a2b.part", place.assembled / ".ctatlas-partial" / "content" / "half"]
        left += [atlas.place.root / "releases" / ".manifest.csv.ff.part"]
        for path in left:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("half")
        assert all("run with --fix" in text for text in texts(found(atlas)))
        assert all(path.exists() for path in left)
        assert len(found(atlas, fix=True)) == 3
        assert not any(path.exists() for path in left)
        assert found(atlas) == []

    def test_what_links_lead_to_is_never_removed(self, tmp_path: Path, atlas: Atlas) -> None:
        elsewhere = tmp_path / "elsewhere"
        (elsewhere / ".ctatlas-partial").mkdir(parents=True)
        (elsewhere / "thesis.txt").write_text("mine")
        shutil.rmtree(atlas.place.case("one").checks)
        atlas.place.case("one").checks.symlink_to(elsewhere)
        atlas.place.case("linked").folder.symlink_to(elsewhere)
        for _ in range(2):
            assert {one.where for one in found(atlas, fix=True) if not one.mended} == {"one", "linked"}
        assert (elsewhere / "thesis.txt").read_text() == "mine"
        assert (elsewhere / ".ctatlas-partial").is_dir()

    def test_what_no_step_can_make_again_is_told_and_kept(self, atlas: Atlas) -> None:
        one, two = atlas.place.case("one"), atlas.place.case("two")
        one.ct.unlink()
        (one.original / "liver.nii.gz").unlink()
        (one.revision(1) / "revision.json").write_text("{")
        (two.revision(1) / "run.json").unlink()
        (two.original / "labels.json").unlink()
        lines = texts([ailment for ailment in found(atlas, fix=True) if ailment.where != "catalog"])
        assert [line.partition(" → ")[2] for line in lines] == ["restore it from a backup"] * 5
        assert "one: its ct.nii.gz is missing" in lines[0]
        assert "original/liver.nii.gz is missing" in lines[1]
        assert "revision.json: content: Invalid JSON" in lines[2]
        assert "original/labels.json: is missing" in lines[3]
        assert "does not count" in lines[4]
        assert (two.revision(1) / "revision.json").is_file()

    def test_changed_bytes_of_the_same_size_are_found_by_their_hash(self, atlas: Atlas) -> None:
        place = atlas.place.case("one")
        changed = [place.ct, place.original / "liver.nii.gz", place.revision(1) / "spleen.nii.gz"]
        changed += [place.assembled / "segmentations" / "liver.nii.gz"]
        for path in changed:
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        assert found(atlas) == []
        assert [line.split(" → ")[0] for line in texts(found(atlas, deep=True))] == [
            "one: its ct.nii.gz is not what was added",
            "one: original/liver.nii.gz is not what was stored",
            "one: revisions/0001/spleen.nii.gz is not what was stored",
            "one: assembled/segmentations/liver.nii.gz is not what was stored",
        ]

    @pytest.mark.parametrize("name", [b"red\x1b[31m", b"\xff\xfe", b"two\nlines", b"-rf", b"a" * 255, "é ü".encode()])
    def test_a_hostile_name_is_told_harmlessly(self, ctatlas: Terminal, atlas: Atlas, name: bytes) -> None:
        folder = Path(atlas.place.cases_folder, name.decode(errors="surrogateescape"))
        shutil.copytree(atlas.place.case("one").folder, folder)
        done: Done = ctatlas("doctor", atlas.place.root, "--fix")
        assert done.code == 2
        assert len(done.out.splitlines()) == 2
        assert all(line.isprintable() for line in done.out.splitlines())
        assert "was the folder renamed" in done.out or "can't be printed" in done.out
        assert all(" → " in line for line in done.out.splitlines()[:-1])
        assert ctatlas("doctor", atlas.place.root, "--json").json["sound"] is False
        assert ctatlas("status", atlas.place.root).code == 0

    def test_a_folder_that_was_never_added_to_the_end(self, ctatlas: Terminal, atlas: Atlas) -> None:
        atlas.place.case("new").folder.mkdir()
        done = ctatlas("doctor", atlas.place.root)
        assert done.code == 2
        assert "never added to the end" in done.out
        assert done.out.splitlines()[-1].endswith("1 things to mend.")


def test_a_bad_record_is_told_once_and_nobody_is_sent_where_they_are(ctatlas: Terminal, atlas: Atlas) -> None:
    atlas.place.case("one").record.write_text("{")
    done = ctatlas("doctor", atlas.place.root)
    assert done.code == 2
    assert done.out.count("case.json: content: Invalid JSON") == 1
    assert "ctatlas doctor" not in done.out
    assert "1 things to mend" in done.out
    assert "'ctatlas doctor ATLAS'" in ctatlas("assemble", atlas.place.root).err  # the other commands do
