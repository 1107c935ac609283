from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctatlas.benchmark.scores import Scores, known_metric
from tests.support.results_tables import Generated, generate


@pytest.fixture(scope="session")
def vectors(shared_data: Path) -> dict[str, Any]:
    """Return the published numbers of statistics."""
    stored = json.loads((shared_data.parent / "reference" / "vectors" / "statistics.json").read_text(encoding="utf-8"))
    assert isinstance(stored, dict)
    return stored


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """Return small generated results: four models, the last but one on fewer cases."""
    return generate(tmp_path_factory.mktemp("generated"), 4, 90, short=(2,), n_short=15)


def scores_of(fractions: list[list[list[float]]], metric: str = "dsc", structures: tuple[str, ...] = ()) -> Scores:
    """Return scores of models m0, m1, … of (models, cases, structures) values as written."""
    known = known_metric(metric)
    values = np.array(fractions, float) * known.from_fraction
    n_models, n_cases, n_structures = values.shape
    return Scores(
        known,
        tuple(f"m{m}" for m in range(n_models)),
        tuple(f"c{c}" for c in range(n_cases)),
        structures or ("liver", "spleen", "aorta")[:n_structures],
        values,
        np.ones((n_models, n_cases), bool),
        np.ones((n_models, n_structures), bool),
    )
