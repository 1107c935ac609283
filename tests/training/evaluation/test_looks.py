"""What was seen holds for the model that it was seen of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ctatlas.anatomy import structures
from ctatlas.training.evaluation import looks as module
from ctatlas.training.evaluation.cases import REAL
from ctatlas.training.evaluation.looks import PARTLY, RIGHT, WRONG, Look, looks, looks_wrong
from ctatlas.training.scans import UNLABELLED

if TYPE_CHECKING:
    import pytest


def test_every_row_names_weights_a_structure_and_a_scan() -> None:
    for look in looks():
        assert re.fullmatch("[0-9a-f]{8,64}", look.weights)
        assert look.structure in structures()
        assert look.torso in (*REAL, *UNLABELLED)
        assert look.looks in (RIGHT, PARTLY, WRONG)


def test_only_the_models_own_faults_count(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (
        Look("aa11", "liver", "crlm-1004", WRONG, ""),
        Look("aa11", "spleen", "crlm-1004", RIGHT, ""),
        Look("aa11", "heart", "crlm-1004", PARTLY, ""),
        Look("bb22", "stomach", "crlm-1004", WRONG, ""),
    )
    monkeypatch.setattr(module, "looks", lambda: rows)
    assert looks_wrong("aa1100") == {"liver"}
    assert looks_wrong("cc") == set()
