"""The index says what the files say, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from ctatlas.atlas import Atlas
from ctatlas.atlas.catalog import questions
from ctatlas.atlas.catalog.engines import WRITES
from ctatlas.atlas.catalog.tables import Case, Finding, Label
from ctatlas.errors import AtlasError
from tests.atlas.by_hand import add_prediction, box, new_atlas, new_case
from tests.atlas.filled import add_finding, fill, filled_atlas


@pytest.fixture
def atlas(tmp_path: Path, catalog_url: str) -> Atlas:
    return filled_atlas(tmp_path / "atlas", catalog=catalog_url)


def answers(atlas: Atlas) -> dict[str, object]:
    with atlas.catalog() as catalog, catalog.session() as session:
        return {
            "cases": questions.case_count(session),
            "labels": questions.label_counts(session),
            "steps": questions.step_counts(session),
            "revisions": questions.revision_totals(session),
            "findings": questions.finding_counts(session),
            "ranked": questions.cases_by_attention(session),
            "structures": questions.structures_by_attention(session),
        }


def alter(atlas: Atlas, *statements: object) -> None:
    """Change rows behind the back of the files."""
    with atlas.catalog() as catalog, catalog.engine.execution_options(**{WRITES: True}).begin() as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def test_every_question_is_answered_from_the_files(atlas: Atlas) -> None:
    assert answers(atlas) == {
        "cases": {"made": 2},
        "labels": {
            "aorta": {"assembled": 2, "original": 2},
            "liver": {"assembled": 2, "original": 2, "pseudo": 2},
            "spleen": {"assembled": 2, "pseudo": 2, "revised": 2},
        },
        "steps": {"predict": 2, "attend": 2, "check": 2, "assemble": 2},
        "revisions": (2, 2, 5.0),
        "findings": {"too many parts": {"warning": 2}},
        "ranked": [("two", 5.0, 3.0), ("one", 4.0, 3.0)],
        "structures": [("spleen", 7.0, 14.0, 2), ("pancreas", 2.0, 4.0, 2)],
    }


def test_ties_are_ranked_by_name_and_a_limit_is_kept(atlas: Atlas) -> None:
    for case in ("zero", "alpha"):
        fill(atlas, case, 1)
    atlas.synchronise()
    with atlas.catalog() as catalog, catalog.session() as session:
        assert [case for case, _, _ in questions.cases_by_attention(session, 3)] == ["alpha", "two", "zero"]


def test_a_case_is_read_again_only_when_its_files_changed(atlas: Atlas) -> None:
    alter(atlas, update(Case).where(Case.case == "one").values(phase="kept as nothing changed"))
    alter(atlas, update(Case).where(Case.case == "two").values(phase="gone as a file changed"))
    add_finding(atlas.place.case("two"), "another rule")
    assert atlas.synchronise() == ([], [])
    with atlas.catalog() as catalog, catalog.session() as session:
        assert session.get_one(Case, "one").phase == "kept as nothing changed"
        assert session.get_one(Case, "two").phase is None
        assert questions.finding_counts(session) == {"another rule": {"warning": 1}, "too many parts": {"warning": 1}}


def test_what_was_altered_in_the_database_alone_is_found(atlas: Atlas) -> None:
    before = answers(atlas)
    alter(atlas, delete(Label).where(Label.case == "one", Label.structure == "spleen"))
    assert answers(atlas) != before
    with atlas.catalog() as catalog:
        assert catalog.forget_what_differs(atlas.cases()) == ["one"]
    atlas.synchronise()
    assert answers(atlas) == before


def test_a_case_without_files_leaves_with_all_its_rows(atlas: Atlas) -> None:
    (atlas.place.case("one").record).unlink()
    assert atlas.synchronise() == ([], ["one"])
    assert answers(atlas)["cases"] == {"made": 1}
    with atlas.catalog() as catalog, catalog.session() as session:
        assert session.query(Label).filter_by(case="one").count() == 0
        assert session.query(Finding).filter_by(case="one").count() == 0


def test_a_file_that_is_no_record_costs_its_case_alone(atlas: Atlas) -> None:
    fill(atlas, "three")
    path = atlas.place.case("two").checks / "findings.json"
    path.write_bytes(b"[" * path.stat().st_size)
    (atlas.place.case("two").checks / "run.json").touch()
    faults, _ = atlas.synchronise()
    assert len(faults) == 1
    assert str(path) in faults[0]
    assert answers(atlas)["steps"] == {"predict": 3, "attend": 3, "check": 3, "assemble": 3}


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"liver": {"sha256": "0", "volume_ml": "much", "n_voxels": 1}}, "valid number"),
        ({"liver": 3}, "valid dictionary or instance"),
        ([1, 2], "valid dictionary"),
    ],
)
def test_a_summary_that_says_no_masks_costs_its_case_alone(atlas: Atlas, what: object, said: str) -> None:
    path = atlas.place.case("two").prediction("ctatlas/base") / "run.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "summary": {"masks": what}}))
    faults, _ = atlas.synchronise()
    assert len(faults) == 1
    assert str(path) in faults[0]
    assert said in faults[0]


def test_what_no_database_can_hold_costs_its_case_alone(atlas: Atlas) -> None:
    """Two revisions of one number; a NUL, which PostgreSQL refuses and SQLite takes."""
    fill(atlas, "three")
    for case, change in (("two", {"number": 1}), ("one", {"tool": "\0"})):
        folder = atlas.place.case(case).revision(1)
        record = json.loads((folder / "revision.json").read_text())
        other = atlas.place.case(case).revision(2)
        other.mkdir()
        (other / "revision.json").write_text(json.dumps({**record, "number": 2, **change}))
        (other / "run.json").write_text('{"whole": true, "files": {}}')
    faults, _ = atlas.synchronise()
    nul_is_refused = bool(atlas.config.catalog)
    assert [fault.split(":")[0] for fault in sorted(faults)] == ["one", "two"][0 if nul_is_refused else 1 :]
    assert all("no catalog can hold" in fault and "\n" not in fault for fault in faults)
    assert answers(atlas)["steps"] == {"predict": 3, "attend": 3, "check": 3, "assemble": 3}


def test_a_folder_whose_name_is_no_text_costs_itself_alone(atlas: Atlas) -> None:
    good = atlas.place.case("one").record.read_bytes()
    for name in (b"\xff\xfe", b"red \x1b[31m", b"two\nlines"):
        folder = Path(atlas.place.cases_folder, name.decode(errors="surrogateescape"))
        folder.mkdir()
        (folder / "case.json").write_bytes(good)
    faults, gone = atlas.synchronise()
    assert gone == []
    assert len(faults) == 3
    assert all("can't be printed" in fault and fault.isprintable() for fault in faults)
    assert answers(atlas)["cases"] == {"made": 2}


def test_a_renamed_case_is_told(atlas: Atlas) -> None:
    atlas.place.case("one").folder.rename(atlas.place.case("other").folder)
    faults, gone = atlas.synchronise()
    assert gone == ["one"]
    assert len(faults) == 1
    assert "was the folder renamed" in faults[0]


def test_many_cases_take_several_transactions(tmp_path: Path, catalog_url: str) -> None:
    atlas = new_atlas(tmp_path / "atlas", catalog=catalog_url)
    record = new_case(atlas, "c0000").record.read_text()
    for number in range(1, 520):
        place = atlas.place.case(f"c{number:04d}")
        place.folder.mkdir()
        place.record.write_text(record.replace("c0000", place.case))
    assert atlas.synchronise() == ([], [])
    assert answers(atlas)["cases"] == {"made": 520}


def test_an_atlas_refuses_the_database_of_another(tmp_path: Path, postgres: object) -> None:
    url = postgres.new_place()  # type: ignore[attr-defined]
    filled_atlas(tmp_path / "first", "one", catalog=url)
    with pytest.raises(AtlasError, match="another atlas's catalog"):
        new_atlas(tmp_path / "second", catalog=url)
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://ann:secret@/none?host=/nowhere", "postgresql://ann:***@/none"),
        ("mysql://ann:secret@host/base", "expected postgresql://"),
        ("no url", "is no URL"),
        ("postgresql://", "doctor"),
    ],
)
def test_a_catalog_that_cannot_be_reached_is_one_line_without_the_password(tmp_path: Path, url: str, said: str) -> None:
    with pytest.raises(AtlasError) as refused:
        new_atlas(tmp_path / "atlas", catalog=url)
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)
    assert not (tmp_path / "atlas").exists()


def test_letters_that_mean_something_in_a_url_mean_nothing_in_a_folder(tmp_path: Path) -> None:
    atlas = filled_atlas(tmp_path / "50% a?b#c=d&é atlas", "one")
    assert atlas.place.catalog.is_file()
    assert sqlite3.connect(atlas.place.catalog).execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_member_is_known_by_its_name(atlas: Atlas) -> None:
    add_prediction(atlas.place.case("one"), "ctatlas/base+shift", {"liver": box((0, 3))})
    atlas.synchronise()
    with atlas.catalog() as catalog, catalog.session() as session:
        origins = {label.origin for label in session.query(Label).filter_by(case="one", kind="pseudo")}
    assert origins == {"ctatlas/base", "ctatlas/base+shift"}
