"""A throw-away PostgreSQL of the distribution, reached through a socket in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

_NOT_ROOT = ("postgres", "nobody")  # its programs refuse to run as root


@dataclass(frozen=True)
class Server:
    """A running server; each test gets an empty place of its own."""

    socket: Path
    user: str
    numbers: Iterator[int] = field(default_factory=count)

    def new_place(self) -> str:
        """Make a place without tables and return its URL: a schema, which is made a hundred times quicker."""
        import psycopg

        name = f"atlas{next(self.numbers)}"
        with psycopg.connect(host=str(self.socket), user=self.user, dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"postgresql://{self.user}@/postgres?host={self.socket}&options=-csearch_path%3D{name}"


@contextmanager
def running_server() -> Iterator[Server]:
    """Start a server and stop it in the end, or skip."""
    pytest.importorskip("psycopg", reason="no PostgreSQL driver: pip install 'ctatlas[postgres]'")
    programs = _programs()
    user = pwd.getpwuid(os.geteuid()).pw_name if os.geteuid() else _somebody()
    folder = Path(tempfile.mkdtemp(prefix="ctatlas-pg-"))  # a path of a socket may have 107 letters
    shutil.chown(folder, user)
    data, log = folder / "data", folder / "log"
    settings = f"-k {folder} -c listen_addresses='' -c fsync=off -c full_page_writes=off"

    def do(*words: object) -> None:
        command = [str(word) for word in words]
        if os.geteuid() == 0:
            subprocess.run(command, check=True, capture_output=True, user=user, cwd=folder, env={"LC_ALL": "C.UTF-8"})
        else:
            subprocess.run(command, check=True, capture_output=True, cwd=folder)

    try:
        do(programs / "initdb", "-D", data, "-U", user, "--auth=trust", "--no-sync", "--encoding=UTF8")
        do(programs / "pg_ctl", "-D", data, "-l", log, "-w", "-o", settings, "start")
        try:
            yield Server(folder, user)
        finally:
            do(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    on_path = shutil.which("initdb")
    places = [Path(on_path).parent] if on_path else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)  # Debian's are not on the PATH
    for place in places:
        if (place / "initdb").is_file():
            return place
    pytest.skip("no PostgreSQL server: apt-get install postgresql")


def _somebody() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in _NOT_ROOT if name in known), None) or pytest.skip("nobody else to run PostgreSQL as")
