from __future__ import annotations

import pytest

from tests.support_command import Terminal


@pytest.fixture
def ctatlas(capsys: pytest.CaptureFixture[str]) -> Terminal:
    """Call the program: `ctatlas("doctor", "--json")`."""
    return Terminal(capsys)
