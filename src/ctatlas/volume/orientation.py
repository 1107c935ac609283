"""Which way the voxel axes run in the patient, and turning arrays between two such orders without touching a value.

A code such as ``"RAS"`` names, for each array axis in turn, the side of the patient toward which the index grows
(right or left, anterior or posterior, superior or inferior), as NIfTI readers do.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

_POSITIVE = "RAS"
_NEGATIVE = "LPI"
_WORLD_AXIS = {letter: axis for letters in (_POSITIVE, _NEGATIVE) for axis, letter in enumerate(letters)}


@dataclass(frozen=True, slots=True)
class Turn:
    """A permutation and flips of array axes; no interpolation.

    Attributes
    ----------
    axes : (3,) int
        Axis of the old array that becomes each axis of the new one.
    flips : (3,) bool
        Whether the new axis runs against the old one.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def array(self, array: np.ndarray) -> np.ndarray:
        """Return a view of an (i, j, k) array in the new order."""
        steps = tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flips)
        return array.transpose(self.axes)[steps]

    def matrix(self, shape: tuple[int, int, int]) -> np.ndarray:
        """Return the (4, 4) matrix old index = matrix @ new index, for an old array of this shape."""
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for new, (old, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            matrix[old, new] = -1 if flip else 1
            matrix[old, 3] = shape[old] - 1 if flip else 0
        return matrix


def orientation_of(affine: np.ndarray) -> str:
    """Name the side of the patient toward which each voxel axis grows most, each world axis once.

    Notes
    -----
    Of the six assignments the one with the largest sum of |cosines| is taken. At an exact tie (45 degrees) the
    directions themselves decide, never the order of the array axes, so that turning a grid back and forth gives the
    same names.
    """
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)

    def rank(order: tuple[int, ...]) -> tuple[float, ...]:
        """Compare the directions in world order, each turned to its axis' positive side."""
        picked = directions[:, np.argsort(order)]
        signed = picked * np.where(np.diagonal(picked) < 0, -1.0, 1.0)
        return (float(round(np.trace(signed), 9)), *signed.ravel().tolist())

    best = max(permutations(range(3)), key=rank)
    return "".join((_POSITIVE if directions[world, axis] >= 0 else _NEGATIVE)[world] for axis, world in enumerate(best))


def turn_between(old: str, new: str) -> Turn:
    """Return how an array in the old orientation becomes one in the new.

    Raises
    ------
    ValueError
        When a code does not name each of the three directions once.
    """
    axis_of_world = {_world_axes(old)[axis]: axis for axis in range(3)}
    axes = [axis_of_world[world] for world in _world_axes(new)]
    i, j, k = axes
    a, b, c = (old[axis].upper() != letter for axis, letter in zip(axes, new.upper(), strict=True))
    return Turn((i, j, k), (a, b, c))


def _world_axes(code: str) -> list[int]:
    """Return which world axis each letter of a code belongs to."""
    world = [_WORLD_AXIS.get(letter, -1) for letter in code.upper()]
    if sorted(world) != [0, 1, 2]:
        raise ValueError(f"orientation {code!r} is not a code; expected three letters, one each of R/L, A/P, S/I")
    return world
