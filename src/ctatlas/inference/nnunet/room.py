"""Refuse what would not fit in memory, before any of it is made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import prod

from ctatlas.errors import ScanError

_BYTES_IN, _BYTES_OUT = 4, 2  # of a voxel in each channel, and of a logit in half precision
_GB = 10**9


def refuse_what_does_not_fit(shape: Sequence[int], patch: Sequence[int], n_channels: int, n_classes: int) -> None:
    """Compare the inputs and logits of a scan on the network's grid, at least a window large, with the memory there is.

    Raises
    ------
    ScanError
        When the machine has less.
    """
    least = (1,) * (len(shape) - len(patch)) + tuple(patch)
    voxels = prod(max(size, length) for size, length in zip(shape, least, strict=True))
    needed = voxels * (_BYTES_IN * n_channels + _BYTES_OUT * n_classes)
    if needed > (there := memory()):
        z, y, x = shape
        raise ScanError(
            f"on the model's grid the scan has {z} x {y} x {x} voxels; they and {n_classes} classes take "
            f"{needed / _GB:,.1f} GB, and this machine has {there / _GB:,.1f}: cut the scan, or use a coarser model"
        )


def memory() -> int:
    """Return how many bytes of memory the machine has; more than any where it doesn't say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on Windows
        return 2**62
