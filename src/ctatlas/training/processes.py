"""Processes beside each other, one core each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

# Read when a process starts. More threads of NumPy's than cores wait for one another: drawing took four times as
# long. Memory that the C library gives back after each step comes back page by page: a tenth of the time of training.
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    "MALLOC_TOP_PAD_": "268435456",
}


@contextmanager
def one_core_each() -> Iterator[None]:
    """Let processes that are spawned meanwhile compute on one thread and keep their memory."""
    before = {name: os.environ.get(name) for name in SETTINGS}
    os.environ.update(SETTINGS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
