from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.postgres import Server, running_server
from tests.support_command import Terminal


@pytest.fixture
def ctatlas(capsys: pytest.CaptureFixture[str]) -> Terminal:
    """Call the program: `ctatlas("status", atlas)`."""
    return Terminal(capsys)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog_url(request: pytest.FixtureRequest) -> str:
    """What `atlas.toml` says of the catalog: nothing for SQLite, or the URL of an empty place on a server."""
    if request.param == "sqlite":
        return ""
    server: Server = request.getfixturevalue("postgres")
    return server.new_place()
