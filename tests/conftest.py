"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

# Quick and the same on every machine by default; `make soak` draws many more, anew each time.
settings.register_profile("quick", max_examples=25, deadline=None, derandomize=True)
settings.register_profile("soak", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
# The same voxels on every machine, whatever engines are installed there.
os.environ.setdefault("CTATLAS_BACKEND", "onnxruntime")
# Tests run side by side; torch with a thread a core in each of them would wait for itself most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real CTs and label maps that lies beside a developer's checkout, or skip."""
    told = os.environ.get("CTATLAS_SHARED_DATA")
    folder = Path(told) if told else ROOT.parent / "shared" / "data"
    if not (folder / "label_names.json").is_file():
        pytest.skip(f"no development data at {folder}; name its folder in CTATLAS_SHARED_DATA")
    return folder
