"""Two label maps in one pass: which label meets which how often, and the box of each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ctatlas.kernels.boxes import Box
from ctatlas.kernels.compiled import has_numba

_NOWHERE = 1 << 40


class Contingency(NamedTuple):
    """What the pass found.

    Attributes
    ----------
    counts : (a, b) int64
        Voxels that bear one number in the first map and another in the second; row and column 0 are the rest.
    boxes_a, boxes_b : tuple of Box or None
        By number; None where there is no voxel, and at 0.
    """

    counts: np.ndarray
    boxes_a: tuple[Box | None, ...]
    boxes_b: tuple[Box | None, ...]


def contingency(a: np.ndarray, b: np.ndarray, index_a: np.ndarray, index_b: np.ndarray) -> Contingency:
    """Count how often labels of two maps meet.

    Parameters
    ----------
    a, b : (x, y, z) uint8 or uint16
        Of one type and shape, in C order.
    index_a, index_b : (256,) or (65536,) int64
        The number under which each label is counted: 0 for label 0 and all that don't matter, each other number at
        most once.
    """
    if a.shape != b.shape or a.dtype != b.dtype or a.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"label maps are {a.dtype} {a.shape} and {b.dtype} {b.shape}; expected one shape and type")
    count = _by_loops if has_numba() else _by_numpy
    return count(a, b, index_a, index_b)


def _by_loops(a: np.ndarray, b: np.ndarray, index_a: np.ndarray, index_b: np.ndarray) -> Contingency:
    from ctatlas.kernels.loops.contingency import count_runs

    n_a, n_b = int(index_a.max()) + 1, int(index_b.max()) + 1
    counts = np.zeros((n_a, n_b), np.int64)
    boxes_a, boxes_b = (np.repeat([[_NOWHERE] * 3 + [-1] * 3], n, axis=0) for n in (n_a, n_b))
    flat_a, flat_b = (np.ascontiguousarray(labels).reshape(-1) for labels in (a, b))
    whole = flat_a.size // (8 // a.itemsize) * (8 // a.itemsize)
    words = flat_a[:whole].view(np.uint64), flat_b[:whole].view(np.uint64)
    if flat_a.size:
        rows = a.shape[1], a.shape[2]
        count_runs((flat_a, flat_b), words, (index_a, index_b), rows, counts, (boxes_a, boxes_b))
    return Contingency(counts, _as_boxes(boxes_a), _as_boxes(boxes_b))


def _as_boxes(rows: np.ndarray) -> tuple[Box | None, ...]:
    return tuple(Box((a, b, c), (d + 1, e + 1, f + 1)) if d >= 0 else None for a, b, c, d, e, f in rows.tolist())


def _by_numpy(a: np.ndarray, b: np.ndarray, index_a: np.ndarray, index_b: np.ndarray) -> Contingency:
    n_a, n_b = int(index_a.max()) + 1, int(index_b.max()) + 1
    counts = np.zeros(n_a * n_b, np.int64)
    for plane_a, plane_b in zip(a, b, strict=True):
        counts += np.bincount((index_a[plane_a] * n_b + index_b[plane_b]).ravel(), minlength=n_a * n_b)
    return Contingency(counts.reshape(n_a, n_b), _found(a, index_a), _found(b, index_b))


def _found(labels: np.ndarray, index: np.ndarray) -> tuple[Box | None, ...]:
    from scipy.ndimage import find_objects

    boxes: list[Box | None] = [None] * (int(index.max()) + 1)
    for label, where in enumerate(find_objects(labels) if labels.size else (), start=1):
        if where is not None and index[label]:
            (a, d), (b, e), (c, f) = ((each.start, each.stop) for each in where)
            boxes[index[label]] = Box((a, b, c), (d, e, f))
    return tuple(boxes)
