"""The catalog's version: made new, or brought up to date step by step, after a backup."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from ctatlas.atlas.catalog.engines import WRITES
from ctatlas.atlas.catalog.tables import TABLES, VERSION
from ctatlas.errors import AtlasError

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection, Engine


def bring_up_to_date(engine: Engine, backed_up: Path | None = None) -> None:
    """Migrate a catalog to this version's tables: all of the way or not at all.

    Parameters
    ----------
    engine : Engine
    backed_up : Path or None
        An SQLite file to copy before it is altered, to `<name>.before-<version>.db` beside it.

    Raises
    ------
    AtlasError
        When it was written by a newer ctatlas.
    """
    with engine.connect() as connection:
        current = version_of(connection)
    if current == VERSION:
        return
    if current is not None and current not in _known():
        raise AtlasError(
            f"the catalog is of version {current}, from a newer ctatlas; this one knows {VERSION}: update ctatlas, or "
            "move the catalog away and let 'ctatlas doctor ATLAS' make it anew from the files"
        )
    if backed_up is not None and current is not None:
        _copy(backed_up, backed_up.with_name(f"{backed_up.stem}.before-{VERSION}{backed_up.suffix}"))
    with engine.execution_options(**{WRITES: True}).begin() as connection:
        if version_of(connection) == current:  # else another process was quicker
            migrate(connection)


def version_of(connection: Connection) -> str | None:
    """Return the version of the tables that are there; None where there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return None if found is None else str(found)


def lacking(connection: Connection) -> list[str]:
    """Return the columns that this version's tables have and the database has not, whatever version it claims to be.

    Such a one was altered by hand, or made by a ctatlas from between two versions.
    """
    there = inspect(connection)
    found = []
    for table in TABLES:
        name = table.__tablename__
        columns = {column["name"] for column in there.get_columns(name)} if there.has_table(name) else set()
        found += [f"{name}.{column.name}" for column in table.__table__.columns if column.name not in columns]
    return found


def migrate(connection: Connection, to: str = VERSION) -> None:
    """Run the migrations that are missing up to a version, in the transaction that is open."""
    from alembic import command

    config = migrations()
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def migrations() -> Config:
    """Tell Alembic where the migrations lie."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "ctatlas.atlas.catalog:migrations")
    return config


def _known() -> set[str]:
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(migrations()).walk_revisions()}


def _copy(path: Path, target: Path) -> None:
    """Copy a database as it is at this instant, what its log holds included."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
