"""What the place of a structure is measured against: levels along the body, its midline, whether it is mirror-wise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage

from ctatlas.anatomy import structures

if TYPE_CHECKING:
    from ctatlas.anatomy_rules.anatomy import Anatomy

Level = Literal["top", "middle", "bottom"]

# A stray voxel must not move a level; 2 % of an organ of 15 cm is less than a centimetre.
_QUANTILE: dict[Level, float] = {"top": 0.98, "middle": 0.5, "bottom": 0.02}
RIGHT, UP = 0, 2  # world axes
BIN_MM = 20.0  # half a vertebra: finer than the spine bends
SPINE_ML = 20.0  # of vertebrae, less than one: no midline from them
MIRRORED_MM, MIRRORED_ML = 20.0, 200.0


@dataclass(frozen=True, slots=True, eq=False)
class Midline:
    """The middle of the body from left to right, as a curve along the body.

    Attributes
    ----------
    z_mm, x_mm : (n,) float64
        World; below the first and above the last point it goes straight on.
    """

    z_mm: np.ndarray
    x_mm: np.ndarray

    def x_at(self, z_mm: np.ndarray) -> np.ndarray:
        """Return its x at heights z, world mm."""
        return np.asarray(np.interp(z_mm, self.z_mm, self.x_mm))

    def to_the_right_mm(self, point_mm: np.ndarray) -> float:
        """Return how far a point (3,) lies on the patient's right of it; negative on the left."""
        return float(point_mm[RIGHT] - self.x_at(point_mm[UP]))


def landmarks(anatomy: Anatomy, references: Sequence[str]) -> tuple[str, ...]:
    """Return the references that others may be measured against: found, and not smaller than they can be.

    A scrap that a network took for a lung may lie anywhere. What the scan may have cut can have any size.
    """
    return tuple(name for name in anatomy.present(references) if _can_be(anatomy, name))


def level_mm(anatomy: Anatomy, references: Sequence[str], level: Level) -> float | None:
    """Return the height (world z) of the top, middle or bottom of structures; None where there are none.

    Of several structures the end that reaches least far counts: a lung that leaks into the stomach's gas pulls nothing
    down with it.
    """
    if level == "middle":
        points = anatomy.points_mm(references)
        return float(np.quantile(points[:, UP], 0.5)) if len(points) else None
    ends = [
        np.quantile(points[:, UP], _QUANTILE[level]) for name in references if len(points := anatomy.points_mm([name]))
    ]
    return float(max(ends) if level == "bottom" else min(ends)) if ends else None


def midline(anatomy: Anatomy) -> Midline | None:
    """Find the midline from the vertebrae, or else from the skin; None where neither is found."""
    spine = anatomy.present(("vertebrae",))
    if sum(anatomy.volume_ml(name) for name in spine) >= SPINE_ML:
        return _curve(anatomy.points_mm(spine), lambda x: float(np.median(x)))
    if anatomy.present(("body",)):
        return _curve(anatomy.points_mm(("body",)), lambda x: float(x.min() + x.max()) / 2)
    return None


def is_mirrored(anatomy: Anatomy) -> bool:
    """Tell whether the organs lie mirror-wise (situs inversus): a sizable liver is on the patient's left."""
    middle = midline(anatomy)
    if middle is None or not anatomy.present(("liver",)):
        return False
    liver = anatomy.components("liver")[0]
    return liver.volume_ml >= MIRRORED_ML and middle.to_the_right_mm(liver.centre_mm) < -MIRRORED_MM


def _can_be(anatomy: Anatomy, name: str) -> bool:
    known, components = structures().get(name), anatomy.components(name)
    at_least_ml = known.at_least_ml if known and known.at_least_ml else 0.0
    return anatomy.volume_ml(name) >= at_least_ml or any(component.at_edge for component in components)


def _curve(points_mm: np.ndarray, middle: Callable[[np.ndarray], float]) -> Midline:
    """Take the middle of the points' x in slices of the body, and smooth it along the body."""
    points_mm = points_mm[np.argsort(points_mm[:, UP], kind="stable")]
    _, starts, counts = np.unique(np.floor(points_mm[:, UP] / BIN_MM), return_index=True, return_counts=True)
    slices = [each for each in np.split(points_mm, starts[1:]) if len(each) >= 0.2 * counts.mean()]
    z_mm = np.array([each[:, UP].mean() for each in slices])  # the thin ends left out: of a spine, they lie askew
    x_mm = np.array([middle(each[:, RIGHT]) for each in slices])
    return Midline(z_mm, np.asarray(ndimage.median_filter(x_mm, size=3, mode="nearest")))
