"""Two label maps, run by run."""

from __future__ import annotations

import numpy as np

from ctatlas.kernels.compiled import compiled


@compiled
def count_runs(
    flat: tuple[np.ndarray, np.ndarray],
    words: tuple[np.ndarray, np.ndarray],
    index: tuple[np.ndarray, np.ndarray],
    rows: tuple[int, int],
    counts: np.ndarray,
    boxes: tuple[np.ndarray, np.ndarray],
) -> None:
    """Count pairs of labels and stretch the boxes of each, one run of equal pairs after the other.

    Parameters
    ----------
    flat : two of (n,) uint8 or uint16
        Rows of `rows[1]` voxels, `rows[0]` rows a plane.
    words : two of (n // voxels of a word,) uint64
        The same voxels, eight bytes at a time.
    index : two of (labels,) int64
        Row and column of `counts` for each label; that of label 0 is 0.
    counts : (a, b) int64
        Added to.
    boxes : (a, 6), (b, 6) int64
        Stretched: the lowest and the highest index along the three axes.
    """
    flat_a, flat_b = flat
    words_a, words_b = words
    n, length = flat_a.size, rows[1]
    in_word = 8 // flat_a.itemsize
    ones = np.uint64(0x0101010101010101 if in_word == 8 else 0x0001000100010001)
    start = 0
    while start < n:
        a, b = flat_a[start], flat_b[start]
        row = start // length
        limit = n if a == 0 and b == 0 else (row + 1) * length
        repeated_a, repeated_b = np.uint64(a) * ones, np.uint64(b) * ones
        stop = start + 1
        while stop < limit:
            if stop % in_word == 0:
                word = stop // in_word
                while stop + in_word <= limit and words_a[word] == repeated_a and words_b[word] == repeated_b:
                    word += 1
                    stop += in_word
                if stop >= limit:
                    break
            if flat_a[stop] != a or flat_b[stop] != b:
                break
            stop += 1
        i, j = index[0][a], index[1][b]
        counts[i, j] += stop - start
        if i or j:
            x, y, z = row // rows[0], row % rows[0], start - row * length
            last = z + stop - start - 1
            if i:
                _stretch(boxes[0][i], x, y, z, last)
            if j:
                _stretch(boxes[1][j], x, y, z, last)
        start = stop


@compiled
def _stretch(box: np.ndarray, x: int, y: int, first: int, last: int) -> None:
    box[0], box[3] = min(box[0], x), max(box[3], x)
    box[1], box[4] = min(box[1], y), max(box[4], y)
    box[2], box[5] = min(box[2], first), max(box[5], last)
