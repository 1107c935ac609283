"""What the rules measure against: the structures as they stand, the midline of the body, levels along it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage

from ctatlas.anatomy import smallest_parts, structures
from ctatlas.anatomy_rules.components import Box, Parts

if TYPE_CHECKING:
    from ctatlas.volume import Segmentation

Level = Literal["top", "middle", "bottom"]

# A stray voxel must not move a level; 2 % of an organ of 15 cm is less than a centimetre.
_QUANTILE: dict[Level, float] = {"top": 0.98, "middle": 0.5, "bottom": 0.02}
RIGHT, UP = 0, 2            # world axes
BIN_MM = 20.0               # half a vertebra: finer than the spine bends
SPINE_ML = 20.0             # of vertebrae, less than one: no midline from them
MIRRORED_MM, MIRRORED_ML = 20.0, 200.0


@dataclass(frozen=True, slots=True)
class Midline:
    """The middle of the body from left to right, as a curve along the body.

    Attributes
    ----------
    z_mm, x_mm : (n,) float64
        World; below the first and above the last point it goes straight on.
    """

    z_mm: np.ndarray
    x_mm: np.ndarray

    def to_the_right_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """Return how far points (..., 3) lie on the patient's right of it; negative on the left."""
        return np.asarray(points_mm[..., RIGHT] - np.interp(points_mm[..., UP], self.z_mm, self.x_mm))


@dataclass(slots=True)
class Anatomy:
    """A segmentation while rules work on it: structures are taken apart when first asked for, and only once.

    A reference such as `hips` or `vertebrae` means the structure of that name or, where the segmentation has none,
    those of its parts that it has.
    """

    segmentation: Segmentation
    changed: dict[str, Parts] = field(default_factory=dict)   # what rules made, to be written back
    _seen: dict[str, Parts] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Structures of the segmentation and those that rules added."""
        return tuple(dict.fromkeys((*self.segmentation.names, *self.changed)))

    def parts(self, name: str) -> Parts:
        """Return a structure as it stands."""
        if name not in self._seen:
            self._seen[name] = Parts.of(self.segmentation.mask(name), self.segmentation.grid)
        return self._seen[name]

    def put(self, name: str, parts: Parts) -> None:
        """Set a structure's new state."""
        self._seen[name] = self.changed[name] = parts

    def present(self, references: Sequence[str]) -> tuple[str, ...]:
        """Return the structures that references mean and that have voxels."""
        wanted: list[str] = []
        for reference in references:
            known = reference in self.names or reference not in structures()
            wanted += [reference] if known else sorted(smallest_parts(reference))
        return tuple(name for name in wanted if name in self.names and self.parts(name).components)

    def points_mm(self, references: Sequence[str]) -> np.ndarray:
        """Return voxel centres taken evenly from each structure that the references mean, (n, 3) world mm."""
        points = [self.parts(name).points_mm() for name in self.present(references)]
        return np.concatenate(points) if points else np.zeros((0, 3))

    def level_mm(self, references: Sequence[str], level: Level) -> float | None:
        """Return the height (world z) of the top, middle or bottom of structures; None where there are none."""
        points = self.points_mm(references)
        return float(np.quantile(points[:, UP], _QUANTILE[level])) if len(points) else None

    def cut_at(self, references: Sequence[str], *, upper: bool) -> bool:
        """Tell whether the upper or lower end of the scan cuts any of the structures."""
        return any(self.parts(name).cut_at(UP, upper=upper) for name in self.present(references))

    def within(self, name: str, box: Box) -> np.ndarray:
        """Return a structure's voxels in a box of the grid, bool."""
        if name not in self.changed:
            place = self.segmentation.places[name]
            return np.asarray(self.segmentation.layers[place.layer][box] == place.value)
        parts = self.changed[name]
        found = np.zeros([side.stop - side.start for side in box], dtype=bool)
        both = [slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(box, parts.box, strict=True)]
        if all(side.start < side.stop for side in both):
            there, here = (
                tuple(slice(s.start - b.start, s.stop - b.start) for s, b in zip(both, outer, strict=True))
                for outer in (box, parts.box)
            )
            found[there] = parts.mask()[here]
        return found

    def midline(self) -> Midline | None:
        """Return the body's midline, from the vertebrae or else from the skin; None where neither is found."""
        spine = self.present(("vertebrae",))
        if sum(self.parts(name).volume_ml for name in spine) >= SPINE_ML:
            return _curve(self.points_mm(("vertebrae",)), lambda x: float(np.median(x)))
        if self.present(("body",)):
            return _curve(self.points_mm(("body",)), lambda x: float(x.min() + x.max()) / 2)
        return None

    def mirrored(self) -> bool:
        """Tell whether the organs lie mirror-wise (situs inversus): a sizable liver is on the patient's left."""
        midline = self.midline()
        if midline is None or not self.present(("liver",)):
            return False
        liver = self.parts("liver").components[0]
        return liver.volume_ml >= MIRRORED_ML and float(midline.to_the_right_mm(liver.centre_mm)) < -MIRRORED_MM


def _curve(points_mm: np.ndarray, middle: Callable[[np.ndarray], float]) -> Midline:
    """Take the middle of the points' x in slices of the body, and smooth it along the body."""
    bins = np.floor(points_mm[:, UP] / BIN_MM).astype(int)
    z_mm, x_mm = [], []
    for one in np.unique(bins):
        here = points_mm[bins == one]
        if len(here) >= 0.2 * len(points_mm) / len(np.unique(bins)):   # the thin ends of a spine lie askew
            z_mm.append(here[:, UP].mean())
            x_mm.append(middle(here[:, RIGHT]))
    return Midline(np.array(z_mm), np.asarray(ndimage.median_filter(np.array(x_mm), size=3, mode="nearest")))
