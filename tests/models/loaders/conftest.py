from __future__ import annotations

from tests.models.networks.conftest import one_thread

__all__ = ["one_thread"]
