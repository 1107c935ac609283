"""How the catalog's database is reached: an SQLite file, or a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from ctatlas.atlas.catalog.filesystems import refuse_network_disk
from ctatlas.atlas.config import AtlasConfig
from ctatlas.atlas.layout import AtlasPlace
from ctatlas.errors import AtlasError, InstallError

WRITES = "ctatlas_writes"  # execution option: the transaction will write
_WAIT_S = 30  # for another process that writes
_EXPECTED = "expected postgresql://user@host/database, or nothing for a file in the atlas"


def catalog_file(place: AtlasPlace, config: AtlasConfig) -> Path | None:
    """Return the SQLite file that holds an atlas's catalog; None when a server does."""
    return None if config.catalog else place.catalog


def engine_of(place: AtlasPlace, config: AtlasConfig) -> Engine:
    """Return the way to an atlas's catalog; nothing is opened yet.

    Raises
    ------
    AtlasError
        When the URL is none, or the file would lie on a network disk.
    InstallError
        When a PostgreSQL catalog is asked for and its driver is missing.
    """
    path = catalog_file(place, config)
    return _server(config.catalog) if path is None else _file(path)


@contextmanager
def said_in_a_line(place: AtlasPlace, config: AtlasConfig) -> Iterator[None]:
    """Turn what the database refuses into an `AtlasError`."""
    where = without_password(config.catalog) or str(place.catalog)
    try:
        yield
    except OperationalError as error:
        raise AtlasError(f"{where}: {first_line(error)}; 'ctatlas doctor {place.root}' helps") from error
    except SQLAlchemyError as error:
        fault = first_line(error)
        raise AtlasError(
            f"{where}: is no sound catalog ({fault}); 'ctatlas doctor {place.root}' makes it anew"
        ) from error


def without_password(url: str) -> str:
    """Return a URL as it may be said aloud."""
    try:
        return make_url(url).render_as_string() if url else ""
    except ArgumentError:
        return "catalog"


def first_line(error: Exception) -> str:
    """Return what a database complains of, without the statement it was told."""
    return str(getattr(error, "orig", None) or error).strip().split("\n")[0]


def _file(path: Path) -> Engine:
    refuse_network_disk(path)
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, connect_args={"timeout": _WAIT_S})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _: object) -> None:
    """Leave transactions to SQLAlchemy: by default Python's driver would begin none before a table is altered."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    """Wait for other writers now: a transaction that has read already would be refused instead of waiting."""
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _server(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise AtlasError(f"catalog: is no URL; {_EXPECTED}") from None
    if parsed.get_backend_name() != "postgresql":
        raise AtlasError(f"{without_password(url)}: {_EXPECTED}")
    try:
        return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    except ModuleNotFoundError:
        raise InstallError("a PostgreSQL catalog needs its driver: pip install 'ctatlas[postgres]'") from None
