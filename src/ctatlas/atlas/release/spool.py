"""What a release has by the hundred thousand, kept in a temporary file instead of in memory."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from typing import Any

from ctatlas.errors import OutputError


class Hashes:
    """The hash of each file by its path; a later one replaces an earlier one."""

    def __init__(self) -> None:
        self._spool = _Spool("CREATE TABLE files (name TEXT PRIMARY KEY, sha256 TEXT) WITHOUT ROWID")

    def __setitem__(self, name: str, sha256: str) -> None:
        """Note a file's hash."""
        self._spool.put("INSERT OR REPLACE INTO files VALUES (?, ?)", name, sha256)

    def __len__(self) -> int:
        """Count the files."""
        return self._spool.count("files")

    def get(self, name: str) -> str | None:
        """Return a file's hash, if there is one."""
        return next((str(row[0]) for row in self._spool.ask("SELECT sha256 FROM files WHERE name = ?", name)), None)

    def __iter__(self) -> Iterator[str]:
        """Yield the paths in their order."""
        return (str(row[0]) for row in self._spool.ask("SELECT name FROM files ORDER BY name"))

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield paths and hashes, in the order of the paths."""
        return ((str(row[0]), str(row[1])) for row in self._spool.ask("SELECT name, sha256 FROM files ORDER BY name"))


class Lines:
    """The lines of a table by two keys, in words of JSON."""

    def __init__(self) -> None:
        self._spool = _Spool(
            "CREATE TABLE lines (number INTEGER PRIMARY KEY, one TEXT, other TEXT, content TEXT)",
            "CREATE INDEX keys ON lines (one, other)",
        )

    def add(self, one: str, other: str, content: object) -> None:
        """Append a line."""
        self._spool.put("INSERT INTO lines (one, other, content) VALUES (?, ?, ?)", one, other, json.dumps(content))

    def __len__(self) -> int:
        """Count the lines."""
        return self._spool.count("lines")

    def __iter__(self) -> Iterator[object]:
        """Yield all lines in their order."""
        return (json.loads(row[0]) for row in self._spool.ask("SELECT content FROM lines ORDER BY number"))

    def of(self, one: str) -> Iterator[object]:
        """Yield the lines of a first key in their order."""
        rows = self._spool.ask("SELECT content FROM lines WHERE one = ? ORDER BY number", one)
        return (json.loads(row[0]) for row in rows)

    def repeated(self) -> Iterator[tuple[str, str, int]]:
        """Yield the keys of several lines, and how many, in the order of their first lines."""
        asked = "SELECT one, other, count(*) FROM lines GROUP BY one, other HAVING count(*) > 1 ORDER BY min(number)"
        return ((str(row[0]), str(row[1]), int(row[2])) for row in self._spool.ask(asked))


class _Spool:
    """A database without a name: SQLite removes its file by itself. Source: sqlite.org/inmemorydb.html, §3."""

    def __init__(self, *tables: str) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        for words in ("PRAGMA journal_mode = OFF", "BEGIN", *tables):
            self._database.execute(words)

    def put(self, words: str, *values: str) -> None:
        try:
            self._database.execute(words, values)
        except sqlite3.Error as error:
            raise self._refusal(error) from None

    def ask(self, words: str, *values: str) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._database.execute(words, values)
        except sqlite3.Error as error:
            raise self._refusal(error) from None

    def count(self, table: str) -> int:
        return int(next(self.ask(f"SELECT count(*) FROM {table}"))[0])

    def _refusal(self, error: sqlite3.Error) -> OutputError:
        return OutputError(f"{tempfile.gettempdir()}: can't hold temporary files ({error}); make room there")
