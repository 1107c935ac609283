"""The catalog of an older version is brought up to date after a backup; one of a newer version is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from ctatlas.atlas import Atlas
from ctatlas.atlas.catalog import questions, schema
from ctatlas.atlas.catalog.engines import engine_of
from ctatlas.atlas.catalog.tables import TABLES, VERSION, Table
from ctatlas.errors import AtlasError
from tests.atlas.filled import filled_atlas

BEFORE = Path(__file__).with_name("catalog-0001.sql")  # as ctatlas left it when 0001 was the newest version


@pytest.fixture
def old(tmp_path: Path) -> Atlas:
    """An atlas whose catalog was last opened by the version before."""
    atlas = filled_atlas(tmp_path / "atlas", "one")
    for path in atlas.place.root.glob("catalog.db*"):
        path.unlink()
    with closing(sqlite3.connect(atlas.place.catalog)) as database:
        database.executescript(BEFORE.read_text())
    return atlas


def test_tables_and_migrations_agree(tmp_path: Path, catalog_url: str) -> None:
    atlas = filled_atlas(tmp_path / "atlas", "one", catalog=catalog_url)
    with atlas.catalog() as catalog, catalog.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Table.metadata) == []
        assert schema.version_of(connection) == VERSION
    assert ScriptDirectory.from_config(schema.migrations()).get_current_head() == VERSION
    assert {table.__table__ for table in TABLES} == set(Table.metadata.tables.values())


def test_the_catalog_of_the_version_before_opens_after_a_backup(old: Atlas) -> None:
    with old.catalog() as catalog, catalog.session() as session:
        assert questions.case_count(session) == {"made": 1}
        assert questions.finding_counts(session) == {}
    assert old.synchronise() == ([], [])
    with old.catalog() as catalog, catalog.session() as session:
        assert questions.finding_counts(session) == {"too many parts": {"warning": 1}}
        assert [case for case, _, _ in questions.cases_by_attention(session)] == ["one"]
    backup = old.place.root / f"catalog.before-{VERSION}.db"
    with closing(sqlite3.connect(backup)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        assert database.execute("SELECT phase FROM cases").fetchall() == [("an old word",)]


def test_the_version_before_on_a_server_opens_too(tmp_path: Path, postgres: object) -> None:
    atlas = filled_atlas(tmp_path / "atlas", "one")
    config = atlas.config.model_copy(update={"catalog": postgres.new_place()})  # type: ignore[attr-defined]
    moved = Atlas(atlas.place, config)
    engine = engine_of(moved.place, config)
    with engine.begin() as connection:
        schema.migrate(connection, "0001")
    engine.dispose()
    assert moved.synchronise() == ([], [])
    with moved.catalog() as catalog, catalog.session() as session:
        assert questions.finding_counts(session) == {"too many parts": {"warning": 1}}


def test_a_migration_that_is_cut_off_leaves_the_catalog_as_it_was(old: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = schema.migrate

    def cut_off(connection: object) -> None:
        whole(connection)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "migrate", cut_off)
    with pytest.raises(KeyboardInterrupt), old.catalog():
        pass
    monkeypatch.undo()
    with closing(sqlite3.connect(old.place.catalog)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert "findings" not in tables
    assert old.synchronise() == ([], [])


@pytest.mark.parametrize("version", ["9999", "no version", ""])
def test_a_catalog_from_a_newer_version_is_refused_in_a_line(
    tmp_path: Path, catalog_url: str, version: str, ctatlas: Callable[..., object]
) -> None:
    atlas = filled_atlas(tmp_path / "atlas", "one", catalog=catalog_url)
    with atlas.catalog() as catalog, catalog.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")
    with pytest.raises(AtlasError, match=f"of version {version}, from a newer ctatlas"), atlas.catalog():
        pass
    for words in (["status", tmp_path / "atlas"], ["doctor", tmp_path / "atlas"]):
        done = ctatlas(*words)
        assert done.code == 2  # type: ignore[attr-defined]
        assert len(done.err.splitlines()) == 1  # type: ignore[attr-defined]
        assert "update ctatlas" in done.err  # type: ignore[attr-defined]


def test_two_that_open_an_old_catalog_at_once_migrate_it_once(old: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one is quicker between the look at the version and the migration."""
    look = schema.version_of
    seen: list[str | None] = []

    def first_looks(connection: object) -> str | None:
        seen.append(look(connection))  # type: ignore[arg-type]
        if len(seen) == 1:
            with Atlas.open(old.place.root).catalog():
                pass
        return seen[-1]

    monkeypatch.setattr(schema, "version_of", first_looks)
    with old.catalog() as catalog, catalog.session() as session:
        assert questions.finding_counts(session) == {}
    assert seen == ["0001", "0001", "0001", VERSION]
