"""The catalog's database: opened, brought up to date, and filled from the files of the cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, delete, event, insert, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from ctatlas.atlas.catalog.filesystems import refuse_network_disk
from ctatlas.atlas.catalog.rows import Row, rows_of, stamp_of
from ctatlas.atlas.catalog.schema import bring_up_to_date
from ctatlas.atlas.catalog.tables import Case, Table
from ctatlas.atlas.config import AtlasConfig
from ctatlas.atlas.layout import AtlasPlace, CasePlace
from ctatlas.errors import AtlasError, InstallError

_AT_ONCE = 500  # cases indexed in one transaction
_WAIT_S = 30  # for another process that writes


class Catalog:
    """The index of an atlas, as a database.

    Every method is one transaction. What it says is what the files said when they were last synchronised.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def session(self) -> Session:
        """Open a session for questions."""
        return Session(self.engine)

    def synchronise(self, cases: Sequence[CasePlace]) -> list[str]:
        """Read the files of cases whose index is not up to date.

        Returns
        -------
        list of str
            What could not be read, one line each; such a case keeps the rows it had.
        """
        faults: list[str] = []
        for first in range(0, len(cases), _AT_ONCE):
            some = cases[first : first + _AT_ONCE]
            with self.engine.begin() as connection:
                ids = [place.case for place in some]
                asked = select(Case.case, Case.stamp).where(Case.case.in_(ids))
                known = {case: stamp for case, stamp in connection.execute(asked)}  # noqa: C416 - a Row is no pair
                changed: list[list[Row]] = []
                for place in some:
                    try:
                        stamp = stamp_of(place)
                        changed += [] if known.get(place.case) == stamp else [rows_of(place, stamp)]
                    except AtlasError as fault:
                        faults.append(str(fault))
                _replace(connection, changed)
        return faults

    def forget_all_but(self, cases: Sequence[str]) -> list[str]:
        """Remove the rows of cases that have no files any more; return their ids."""
        kept = set(cases)
        with Session(self.engine) as session, session.begin():
            gone = [case for case in session.scalars(select(Case.case).order_by(Case.case)) if case not in kept]
            for case in gone:
                session.execute(delete(Case).where(Case.case == case))
        return gone

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()


@contextmanager
def opened_catalog(place: AtlasPlace, config: AtlasConfig) -> Iterator[Catalog]:
    """Open an atlas's catalog; make it where there is none, and bring an older one up to date after a backup.

    Raises
    ------
    AtlasError
        When it was written by a newer ctatlas, is damaged, can't be reached, or lies on a network disk.
    InstallError
        When a PostgreSQL catalog is asked for and its driver is missing.
    """
    where = config.catalog or str(place.catalog)
    engine = _server(config.catalog) if config.catalog else _file(place.catalog)
    try:
        with said_in_a_line(where):
            is_new = not inspect(engine).get_table_names()
            bring_up_to_date(engine, None if config.catalog or is_new else place.catalog)
            yield Catalog(engine)
    finally:
        engine.dispose()


@contextmanager
def said_in_a_line(where: str) -> Iterator[None]:
    """Turn what the database refuses into an `AtlasError`."""
    try:
        yield
    except OperationalError as error:
        raise AtlasError(f"{_without_password(where)}: {_first_line(error)}; 'ctatlas doctor ATLAS' helps") from error
    except SQLAlchemyError as error:
        raise AtlasError(
            f"{_without_password(where)}: is no sound catalog ({_first_line(error)}); "
            "'ctatlas doctor ATLAS' makes it anew"
        ) from error


def _replace(connection: Connection, cases: Sequence[Sequence[Row]]) -> None:
    """Put rows in the place of all that cases had; each case's own row comes first in it."""
    by_table: dict[type[Table], list[dict[str, Any]]] = {}
    for rows in cases:
        for table, row in rows:
            by_table.setdefault(table, []).append(row)
    ids = [row["case"] for row in by_table.get(Case, ())]
    connection.execute(delete(Case).where(Case.case.in_(ids)))  # what belongs to it goes with it
    for table, some in by_table.items():
        connection.execute(insert(table), some)


def _file(path: Path) -> Engine:
    refuse_network_disk(path)
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _WAIT_S})

    @event.listens_for(engine, "connect")
    def _prepare(connection: object, _: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _server(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() != "postgresql":
            raise AtlasError(
                f"{_without_password(url)}: expected postgresql://user@host/database, or nothing for SQLite"
            )
        return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    except ArgumentError:
        raise AtlasError(
            "catalog: is no URL; expected postgresql://user@host/database, or nothing for SQLite"
        ) from None
    except ModuleNotFoundError:
        raise InstallError("a PostgreSQL catalog needs its driver: pip install 'ctatlas[postgres]'") from None


def _without_password(where: str) -> str:
    try:
        return make_url(where).render_as_string() if "://" in where else where
    except ArgumentError:
        return "catalog"


def _first_line(error: SQLAlchemyError) -> str:
    original = getattr(error, "orig", None)
    return str(original or error).strip().split("\n")[0]
