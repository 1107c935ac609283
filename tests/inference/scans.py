"""Scans of any axis order, oblique, anisotropic and odd-sized, for the stages' tests."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from ctatlas.volume.grid import Grid
from ctatlas.volume.scan import Volume

ALL_ORDERS = ["".join(letters) for axes in permutations(("RL", "AP", "SI")) for letters in product(*axes)]


def blobs(shape: tuple[int, int, int], seed: int) -> np.ndarray:
    """Return smooth noise from -200 to 700 HU, so that classes at 0, 150, 300, … meet along curved faces."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2.5)
    return np.asfortranarray(np.rint(250 + 230 * noise / noise.std()).clip(-200, 700), np.int16)


@st.composite
def scans(draw: st.DrawFn) -> Volume:
    """Draw a scan of 9 to 29 voxels a side, 1 to 5 mm, in any order of axes, turned and tilted by up to 30 degrees."""
    shape = draw(st.tuples(*[st.integers(9, 29)] * 3))
    spacing = draw(st.tuples(*[st.floats(1, 5)] * 3))
    turned = Rotation.from_euler("xyz", draw(st.tuples(*[st.floats(-30, 30)] * 3)), degrees=True).as_matrix()
    affine = np.eye(4)
    tilted = np.eye(3)
    tilted[1, 2] = np.tan(np.deg2rad(draw(st.floats(-30, 30))))  # slices shifted against each other, as by a gantry
    affine[:3, :3] = turned @ tilted * spacing
    affine[:3, 3] = draw(st.tuples(*[st.floats(-200, 200)] * 3))
    volume = Volume(blobs(shape, draw(st.integers(0, 99))), Grid(shape, affine))
    return volume.reoriented(draw(st.sampled_from(ALL_ORDERS)))


@st.composite
def bodies(draw: st.DrawFn, shape: tuple[int, int, int]) -> np.ndarray:
    """Draw a solid block of body somewhere in a scan."""
    ends = [sorted(draw(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)))) for n in shape]
    body = np.zeros(shape, np.bool_, order="F")
    body[tuple(slice(lo, hi + 1) for lo, hi in ends)] = True
    return body
