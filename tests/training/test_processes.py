"""Settings for processes that share a machine."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

from ctatlas.training.processes import SETTINGS, one_core_each

if TYPE_CHECKING:
    import pytest


def test_processes_begun_meanwhile_have_the_settings_and_ours_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MALLOC_TOP_PAD_", raising=False)
    with one_core_each(), ProcessPoolExecutor(1, get_context("spawn")) as executor:
        assert [executor.submit(os.getenv, name).result() for name in SETTINGS] == list(SETTINGS.values())
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MALLOC_TOP_PAD_" not in os.environ
