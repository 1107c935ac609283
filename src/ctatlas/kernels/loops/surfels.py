"""The corners at which labels meet, row by row."""

from __future__ import annotations

import numpy as np

from ctatlas.kernels.compiled import compiled


@compiled
def walk_corners(
    labels: np.ndarray,
    index: np.ndarray,
    extent: tuple[int, int],
    row: tuple[np.ndarray, np.ndarray, np.ndarray],
    free: np.ndarray,
    keys: np.ndarray,
    codes: np.ndarray,
) -> None:
    """Visit every corner of voxels that touches a structure without lying inside of it, plane by plane.

    Parameters
    ----------
    labels : (x, y, z) uint8 or uint16
    index : (labels,) int64
        Structure of each label; 0 is none, and that of label 0 is 0.
    extent : (2,) int
        Planes of corners along x, and the code of a corner that lies inside.
    row : (z + some,), (z + some,) of the labels' type, and the latter's memory as uint64
        Room to work in, zeros.
    free : (structures + 1,) int64
        Where each structure's next surfel goes; moved on.
    keys : (n,) int64, codes : (n,) uint8
        What is found: flat index among the (x + 1, y + 1, z + 1) corners, and neighbour code. When empty, surfels are
        only counted.
    """
    n_y, n_z = labels.shape[1], labels.shape[2]
    differs, changes, words = row
    nothing = np.zeros(n_z, labels.dtype)
    near = np.zeros(8, np.int64)
    in_word = 8 // labels.itemsize
    for x in range(extent[0]):
        for y in range(n_y + 1):
            r0 = labels[x - 1, y - 1] if x > 0 and y > 0 else nothing
            r1 = labels[x - 1, y] if x > 0 and y < n_y else nothing
            r2 = labels[x, y - 1] if x < labels.shape[0] and y > 0 else nothing
            r3 = labels[x, y] if x < labels.shape[0] and y < n_y else nothing
            for z in range(n_z):
                differs[z] = (r0[z] ^ r1[z]) | (r0[z] ^ r2[z]) | (r0[z] ^ r3[z])
            changes[0] = differs[0] | r0[0]
            for z in range(1, n_z):
                changes[z] = differs[z - 1] | differs[z] | (r0[z - 1] ^ r0[z])
            changes[n_z] = differs[n_z - 1] | r0[n_z - 1]
            line = (x * (n_y + 1) + y) * (n_z + 1)
            for word in range(words.size):
                if words[word] == 0:
                    continue
                for z in range(word * in_word, (word + 1) * in_word):
                    if changes[z] == 0:
                        continue
                    if z > 0:
                        near[0], near[2], near[4], near[6] = (
                            index[r0[z - 1]],
                            index[r1[z - 1]],
                            index[r2[z - 1]],
                            index[r3[z - 1]],
                        )
                    else:
                        near[0] = near[2] = near[4] = near[6] = 0
                    if z < n_z:
                        near[1], near[3], near[5], near[7] = index[r0[z]], index[r1[z]], index[r2[z]], index[r3[z]]
                    else:
                        near[1] = near[3] = near[5] = near[7] = 0
                    _take_down(near, line + z, extent[1], free, keys, codes)


@compiled
def _take_down(near: np.ndarray, key: int, inside: int, free: np.ndarray, keys: np.ndarray, codes: np.ndarray) -> None:
    """Note a corner for every structure among its eight voxels, unless it lies inside of it."""
    for first in range(8):
        structure = near[first]
        if structure == 0:
            continue
        code = 0
        for other in range(8):
            if near[other] == structure:
                if other < first:
                    code = 0
                    break
                code |= 128 >> other
        if code in (0, inside):
            continue
        if keys.size:
            keys[free[structure]] = key
            codes[free[structure]] = code
        free[structure] += 1
