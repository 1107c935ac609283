"""The catalog's version: made new, or brought up to date step by step, after a backup."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from ctatlas.errors import AtlasError

if TYPE_CHECKING:
    from sqlalchemy import Engine


def bring_up_to_date(engine: Engine, backed_up: Path | None = None) -> None:
    """Migrate a catalog to this version's tables.

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
    config = Config()
    config.set_main_option("script_location", "ctatlas.atlas.catalog:migrations")
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_current_head()
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current == head:
        return
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise AtlasError(
            f"the catalog is of version {current}, from a newer ctatlas; this one knows {head}: update ctatlas, or "
            "delete the catalog and let 'ctatlas doctor ATLAS' make it anew from the files"
        )
    if backed_up is not None and current is not None:
        _copy(backed_up, backed_up.with_name(f"{backed_up.stem}.before-{head}{backed_up.suffix}"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _copy(path: Path, target: Path) -> None:
    """Copy a database as it is at this instant, what its log holds included."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
