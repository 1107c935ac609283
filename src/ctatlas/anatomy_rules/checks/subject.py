"""A case while checks look at it: what several of them need of a structure is worked out once, in its box."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ctatlas.anatomy import smallest_parts, structures
from ctatlas.anatomy_rules.anatomy import Anatomy
from ctatlas.anatomy_rules.components import Box, Component
from ctatlas.anatomy_rules.landmarks import UP, Midline, is_mirrored, midline
from ctatlas.volume import box_of

if TYPE_CHECKING:
    from ctatlas.volume import Segmentation

BODY = "body"
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What is known of a case besides its masks; all on the masks' grid.

    Attributes
    ----------
    hu : (i, j, k) int16 or float32, optional
        The scan.
    combined : (i, j, k) uint8 or uint16, optional
        One label map of all structures, and `ids`: structure -> number in it.
    absent : frozenset of str
        Structures that are known not to be there.
    """

    hu: np.ndarray | None = None
    combined: np.ndarray | None = None
    ids: Mapping[str, int] | None = None
    absent: frozenset[str] = frozenset()


class Subject:
    """The masks of one case, its scan where there is one, and measures of them that are taken once.

    A structure `body` (all inside the skin) serves as a reference and is not checked itself.
    """

    def __init__(self, segmentation: Segmentation, given: Given | None = None) -> None:
        self.given = given or Given()
        self.grid = segmentation.grid
        self.anatomy = Anatomy(segmentation)
        self.names = tuple(name for name in segmentation.names if name != BODY)
        self._made: dict[tuple[object, ...], Any] = {}

    def once(self, key: tuple[object, ...], make: Callable[[], Made]) -> Made:
        """Return what `make` gives, made once for a key."""
        if key not in self._made:
            self._made[key] = make()
        made: Made = self._made[key]
        return made

    def has(self, name: str) -> bool:
        """Tell whether a structure has voxels."""
        return self.box(name) is not None

    def present(self, references: Sequence[str]) -> tuple[str, ...]:
        """Return the structures with voxels that references mean; see `Anatomy`."""
        return self.anatomy.present(references)

    def box(self, name: str) -> Box | None:
        """Return the smallest box that holds a structure; None when it is nowhere."""
        return self.once(("box", name), lambda: self.anatomy.tight_box(name) if name in self.anatomy.names else None)

    def mask(self, name: str) -> np.ndarray:
        """Return a structure's voxels in its box, (i, j, k) bool; empty when it is nowhere."""
        box = self.box(name)
        if box is None:
            return np.zeros((0, 0, 0), dtype=bool)
        return self.once(("mask", name), lambda: self.anatomy.within(name, box))

    def within(self, name: str, box: Box) -> np.ndarray:
        """Return a structure's voxels in a box of the grid, (i, j, k) bool."""
        return self.anatomy.within(name, box)

    def volume_ml(self, name: str) -> float:
        """Return a structure's volume."""
        return self.once(("volume", name), lambda: int(np.count_nonzero(self.mask(name))) * self.grid.voxel_ml)

    def pieces(self, name: str) -> tuple[Component, ...]:
        """Return a structure's components (26 neighbours), the largest first."""
        return self.anatomy.components(name) if self.has(name) else ()

    def centre_mm(self, name: str) -> np.ndarray:
        """Return a structure's centre of mass, (3,) world mm."""
        return self.once(("centre", name), lambda: self._centre(name))

    def is_cut(self, name: str, axis: int | None = None) -> bool:
        """Tell whether the scan ends where a structure does, along one axis of the grid or any."""
        box = self.box(name)
        axes = range(3) if axis is None else (axis,)
        return box is not None and any(box[at].start == 0 or box[at].stop == self.grid.shape[at] for at in axes)

    def areas_mm2(self, name: str, axis: int) -> np.ndarray:
        """Return a structure's area in each slice of its box across an axis of the grid."""
        others = tuple(at for at in range(3) if at != axis)
        face_mm2 = float(np.prod([self.grid.spacing_mm[at] for at in others]))
        return self.once(("areas", name, axis), lambda: np.count_nonzero(self.mask(name), axis=others) * face_mm2)

    def around(self, box: Box, voxels: np.ndarray) -> Box:
        """Return the smallest box, in the scan, around voxels (i, j, k) bool that lie in a box; some are set."""
        found = box_of(voxels)
        if found is None:
            return box
        i, j, k = (slice(b.start + part.start, b.start + part.stop) for b, part in zip(box, found, strict=True))
        return i, j, k

    def widened(self, box: Box, margin_mm: float) -> Box:
        """Grow a box on all sides, as far as the grid goes."""
        reach = [int(np.ceil(margin_mm / mm)) for mm in self.grid.spacing_mm]
        bounds = zip(box, reach, self.grid.shape, strict=True)
        i, j, k = (slice(max(0, side.start - n), min(size, side.stop + n)) for side, n, size in bounds)
        return i, j, k

    def others_within(self, name: str, box: Box) -> np.ndarray:
        """Return the voxels in a box, bool, that structures other than this one, its parts and wholes have."""
        taken = np.zeros([side.stop - side.start for side in box], dtype=bool)
        for other in self.names:
            if other != name and not same_tissue(name, other) and self.has(other):
                taken |= self.within(other, box)
        return taken

    @cached_property
    def along(self) -> int:
        """The axis of the grid that runs most along the body."""
        columns = self.grid.affine[:3, :3] / np.array(self.grid.spacing_mm)
        return int(np.abs(columns[UP]).argmax())

    def room_mm(self, references: Sequence[str]) -> tuple[float, float]:
        """Return how far the scan goes on below and above structures, along its axis; a stray voxel of them counts not.

        Of a scan that lies askew the corners reach farther than its slices do, so world z would promise too much.
        """
        at = self.grid.voxel(self.anatomy.points_mm(references))[:, self.along]
        step_mm, last = self.grid.spacing_mm[self.along], self.grid.shape[self.along] - 1
        first_mm, last_mm = np.quantile(at, 0.02) * step_mm, (last - np.quantile(at, 0.98)) * step_mm
        grows_up = self.grid.affine[UP, self.along] > 0
        return (float(first_mm), float(last_mm)) if grows_up else (float(last_mm), float(first_mm))

    @cached_property
    def middle(self) -> Midline | None:
        """The midline of the body."""
        return midline(self.anatomy)

    @cached_property
    def is_mirrored(self) -> bool:
        """Whether the organs lie mirror-wise."""
        return is_mirrored(self.anatomy)

    def _centre(self, name: str) -> np.ndarray:
        box, mask = self.box(name), self.mask(name)
        if box is None:
            return np.full(3, np.nan)
        counts = [np.count_nonzero(mask, axis=tuple(o for o in range(3) if o != axis)) for axis in range(3)]
        index = [float(np.average(np.arange(s.start, s.stop), weights=c)) for s, c in zip(box, counts, strict=True)]
        return self.grid.world(index)


def may_share(one: str, other: str) -> bool:
    """Tell whether two structures may have voxels in common: parts and wholes, lesions, what the table allows."""
    table = structures()
    if one not in table or other not in table:
        return False
    allowed = other in table[one].may_overlap or one in table[other].may_overlap
    return allowed or same_tissue(one, other) or other in _wholes(one) or one in _wholes(other)


def same_tissue(one: str, other: str) -> bool:
    """Tell whether two structures have a part in common."""
    return one in structures() and other in structures() and not smallest_parts(one).isdisjoint(smallest_parts(other))


def _wholes(name: str) -> set[str]:
    """Return what a structure is a part of or lies in, at any remove."""
    found: set[str] = set()
    while name := structures()[name].parent:
        found.add(name)
    return found
