from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ctatlas.benchmark.evaluate import Evaluation
from ctatlas.measure.records import Measurement
from tests.benchmark.evaluate.bodies import body, case_folder


@pytest.fixture
def two_cases(tmp_path: Path) -> tuple[Path, Path]:
    """Write two references, a perfect prediction of the first and one of the second that is off by a voxel."""
    for case, moved in (("a", (0, 0, 0)), ("b", (1, 0, 0))):
        case_folder(tmp_path / "gt", case, body())
        case_folder(tmp_path / "pred", case, body(moved))
    return tmp_path / "gt", tmp_path / "pred"


@pytest.fixture
def row_of() -> Callable[..., Measurement]:
    """Find the one row of a case, structure and metric."""

    def find(found: Evaluation, case: str, structure: str, metric: str = "dsc") -> Measurement:
        rows = [row for row in found.measurements if (row.case, row.structure, row.metric) == (case, structure, metric)]
        assert len(rows) == 1
        return rows[0]

    return find
