from __future__ import annotations

from ctatlas.progress import SILENT


def test_silent_says_nothing(capfd):
    SILENT.stage("windows", 12)
    SILENT.advance()
    SILENT.advance(3)
    assert capfd.readouterr() == ("", "")
