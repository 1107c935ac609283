"""From closed lines to a mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ctatlas.errors import ScanError

_AT_MOST_CROSSINGS = 50_000_000  # of lines and rows in one image; a drawn organ has some thousands


def filled(lines: Sequence[np.ndarray], shape: tuple[int, int], where: str) -> np.ndarray:
    """Fill lines by the even-odd rule: a pixel whose centre an odd number of them encloses is in.

    So a line within another is a hole, and a channel walked to and fro leaves no trace.

    Parameters
    ----------
    lines : sequence of (n, 2) float
        Column and row of points in pixels; each line is closed by its first point.
    shape : (2,) int
        Rows, columns.
    where : str
        Name of the file, for the message.

    Returns
    -------
    (rows, columns) bool
    """
    rows, columns = shape
    starts = np.concatenate([*lines, np.zeros((0, 2))])
    ends = np.concatenate([*(np.roll(line, -1, axis=0) for line in lines), np.zeros((0, 2))])
    down = starts[:, 1] <= ends[:, 1]  # the same from both ends, so that ways to and fro cancel to the last digit
    upper, lower = np.where(down[:, None], starts, ends), np.where(down[:, None], ends, starts)
    first, behind = (np.clip(np.ceil(point[:, 1]), 0, rows).astype(np.int64) for point in (upper, lower))
    n = behind - first
    if n.sum() > _AT_MOST_CROSSINGS:
        raise ScanError(
            f"{where}: has contours with {n.sum():.1e} crossings in one image; expected drawings of organs."
        )
    edge = np.repeat(np.arange(len(n)), n)
    row = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n) + first[edge]
    across, height = lower[edge, 0] - upper[edge, 0], lower[edge, 1] - upper[edge, 1]
    crossing = upper[edge, 0] + (row - upper[edge, 1]) * (across / height)
    column = np.clip(np.ceil(crossing), 0, columns).astype(np.int64)
    counts = np.bincount(row * (columns + 1) + column, minlength=rows * (columns + 1)).reshape(rows, columns + 1)
    inside: np.ndarray = np.cumsum(counts, axis=1)[:, :columns] % 2 == 1
    return inside
