"""Processes beside each other, one core each."""

from __future__ import annotations

import os

# Read by libraries of linear algebra when they are loaded.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def keep_to_one_core() -> None:
    """Let processes that are spawned from now on calculate with one thread.

    NumPy's products would otherwise start a thread a core in every process, which then wait for one another: drawing a
    patch took four times as long on two busy cores.
    """
    for name in THREADS:
        os.environ.setdefault(name, "1")
