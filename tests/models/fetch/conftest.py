from __future__ import annotations

from collections.abc import Iterator

import pytest

from ctatlas.models.fetch import downloads as module
from tests.support.file_server import Site, serving


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask no proxy, know no token, wait for nothing."""
    for name in ("CTATLAS_OFFLINE", "CTATLAS_HF_MIRROR", "CTATLAS_HF_TOKEN", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(module, "WAIT_S", 0.001)
