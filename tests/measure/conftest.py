"""The vectors: masks, and what other tools measured on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="session")
def vectors(shared_data: Path) -> Path:
    """Return the folder of the vectors, which lies beside the shared data, or skip."""
    folder = shared_data.parent / "reference" / "vectors"
    if not folder.is_dir():
        pytest.skip(f"no vectors at {folder}")
    return folder


@pytest.fixture(scope="session")
def binary_pairs(vectors: Path) -> dict[str, dict[str, Any]]:
    """Return name -> the record of a pair, with its masks as `gt` and `pred`."""
    records = json.loads((vectors / "binary_pairs.json").read_text(encoding="utf-8"))
    with np.load(vectors / "binary_pairs.npz") as masks:
        return {
            name: record | {side: masks[f"{name}__{side}"].astype(bool) for side in ("gt", "pred")}
            for name, record in records.items()
            if not name.startswith("_")
        }
