"""The catalog: opened, brought up to date, and filled from the files of the cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection, Engine, delete, func, insert, select, update
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from ctatlas.atlas.catalog.engines import WRITES, catalog_file, engine_of, first_line, said_in_a_line
from ctatlas.atlas.catalog.schema import bring_up_to_date
from ctatlas.atlas.catalog.tables import TABLES, Case
from ctatlas.atlas.config import AtlasConfig
from ctatlas.atlas.layout import AtlasPlace, CasePlace
from ctatlas.errors import AtlasError

if TYPE_CHECKING:
    from ctatlas.atlas.catalog.rows import Row

Item = TypeVar("Item")

_AT_ONCE = 500  # cases in one transaction


class Catalog:
    """The index of an atlas, as a database.

    What it says is what the files said when they were last synchronised.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writing = engine.execution_options(**{WRITES: True})

    def session(self) -> Session:
        """Open a session for questions."""
        return Session(self.engine)

    def is_empty(self) -> bool:
        """Tell whether it knows no case."""
        with self.session() as session:
            return session.execute(select(func.count()).select_from(Case)).scalar_one() == 0

    def synchronise(self, cases: Sequence[CasePlace]) -> list[str]:
        """Read the files of cases whose index is not up to date.

        Returns
        -------
        list of str
            What could not be read, one line each; such a case keeps the rows it had.
        """
        from ctatlas.atlas.catalog.rows import rows_of, stamp_of  # here and below: who only asks reads no files

        faults: list[str] = []
        for some in _batches(cases):
            sound = [place for place in some if not _fault(place, faults)]
            with self._writing.begin() as connection:
                known = _stamps(connection, sound)
                changed: dict[str, list[Row]] = {}
                for place in sound:
                    try:
                        stamp = stamp_of(place)
                        if known.get(place.case) != stamp:
                            changed[place.case] = rows_of(place, stamp)
                    except AtlasError as fault:
                        faults.append(str(fault))
                faults += _replace(connection, changed)
        return faults

    def forget_what_differs(self, cases: Sequence[CasePlace]) -> list[str]:
        """Find cases whose rows are not what their files say, though nothing changed since; they are read again next.

        Returns
        -------
        list of str
            Their ids.
        """
        found: list[str] = []
        for some in _batches([place for place in cases if not _fault(place, [])]):
            with self._writing.begin() as connection:
                known = _stamps(connection, some)
                kept = _rows(connection, some)
                differ = [place.case for place in some if _differs(place, known.get(place.case), kept)]
                connection.execute(update(Case).where(Case.case.in_(differ)).values(stamp=""))
                found += differ
        return found

    def forget_all_but(self, cases: Sequence[str]) -> list[str]:
        """Remove the rows of cases that have no files any more; return their ids."""
        kept = set(cases)
        with self._writing.begin() as connection:
            gone = [case for case in connection.scalars(select(Case.case).order_by(Case.case)) if case not in kept]
            for some in _batches(gone):
                connection.execute(delete(Case).where(Case.case.in_(some)))
        return gone


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
    engine = engine_of(place, config)
    try:
        with said_in_a_line(place, config):
            bring_up_to_date(engine, catalog_file(place, config))
            yield Catalog(engine)
    finally:
        engine.dispose()


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[first : first + _AT_ONCE] for first in range(0, len(items), _AT_ONCE))


def _fault(place: CasePlace, faults: list[str]) -> bool:
    """Tell whether a case's very name can't be in a database, and note why."""
    from ctatlas.atlas.catalog.rows import refuse_unsound_name

    try:
        refuse_unsound_name(place)
    except AtlasError as fault:
        faults.append(str(fault))
        return True
    return False


def _stamps(connection: Connection, cases: Sequence[CasePlace]) -> dict[str, str]:
    asked = select(Case.case, Case.stamp).where(Case.case.in_([place.case for place in cases]))
    return {case: stamp for case, stamp in connection.execute(asked)}  # noqa: C416 - a Row is no pair


def _rows(connection: Connection, cases: Sequence[CasePlace]) -> dict[str, list[Row]]:
    """Return all that the tables say of cases, as `rows_of` says it."""
    ids = [place.case for place in cases]
    found: dict[str, list[Row]] = {case: [] for case in ids}
    for table in TABLES:
        asked = select(table.__table__).where(table.__table__.c.case.in_(ids))
        for row in connection.execute(asked).mappings():
            found[row["case"]].append((table, dict(row)))
    return found


def _differs(place: CasePlace, known: str | None, kept: Mapping[str, list[Row]]) -> bool:
    from ctatlas.atlas.catalog.rows import rows_of, stamp_of

    try:
        stamp = stamp_of(place)
        return known == stamp and _by_key(rows_of(place, stamp)) != _by_key(kept[place.case])
    except AtlasError:  # synchronise says it
        return False


def _by_key(rows: Sequence[Row]) -> dict[tuple[object, ...], dict[str, object]]:
    """Return rows so that they compare as values: a database gives 0.0 back where it was given 0."""
    keys = {table: [column.name for column in table.__table__.primary_key] for table in TABLES}
    return {(table.__tablename__, *(row[name] for name in keys[table])): row for table, row in rows}


def _replace(connection: Connection, cases: Mapping[str, Sequence[Row]]) -> list[str]:
    """Put rows in the place of all that cases had; of those that the database refuses say why and keep what it had."""
    try:
        with connection.begin_nested():
            for table in reversed(TABLES):  # not by the case's own row alone: other tools may have left rows without it
                connection.execute(delete(table).where(table.__table__.c.case.in_(list(cases))))
            for table in TABLES:
                if some := [row for rows in cases.values() for kind, row in rows if kind is table]:
                    connection.execute(insert(table), some)
    except (DataError, IntegrityError, UnicodeError, OverflowError) as error:
        if len(cases) == 1:
            return [f"{case}: its files say what no catalog can hold ({first_line(error)})" for case in cases]
        return [fault for case, rows in cases.items() for fault in _replace(connection, {case: rows})]
    return []
