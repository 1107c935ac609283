"""Where the body is in a scan, found on a coarse copy: its middle tells sides, its outline frames pictures."""

from __future__ import annotations

import numpy as np

from ctatlas.volume import Volume

_COARSE_MM = 4.0


def coarse_body(upright: Volume) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Find the body inside its skin, without the table.

    Parameters
    ----------
    upright : Volume
        In the order RAS.

    Returns
    -------
    body : (i, j, k) bool
        Of every so manieth voxel along each axis.
    steps : (3,) int
        How many.
    """
    from ctatlas.inference.skin import body_inside_skin  # heavy, and of no use to who finds nothing new

    i, j, k = (max(1, round(_COARSE_MM / mm)) for mm in upright.grid.spacing_mm)
    x_mm, y_mm, z_mm = upright.grid.spacing_mm
    coarse = upright.array[::i, ::j, ::k].astype(np.float32)
    return body_inside_skin(coarse, (x_mm * i, y_mm * j, z_mm * k)), (i, j, k)


def repeated(coarse: np.ndarray, steps: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Return a coarse array on a finer grid: each voxel repeated along each axis, cut to a shape."""
    for axis, (step, n) in enumerate(zip(steps, shape, strict=True)):
        coarse = coarse.repeat(step, axis).take(range(n), axis)
    return coarse
