"""A body of simple shapes with all that checks look at: a scan, the skin, numbered bones; and rows of rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ctatlas.anatomy_rules.checks import CheckFinding, Given, check_masks, check_table
from ctatlas.volume import Grid, Segmentation
from tests.anatomy_rules.bodies import body, ellipsoid, grid_of

HU = {"lung_left": -750, "lung_right": -750, "vertebrae": 180, "aorta": 150}


@dataclass(frozen=True)
class Person:
    """Masks on a grid, and the scan that fits them."""

    grid: Grid
    masks: Mapping[str, np.ndarray]
    hu: np.ndarray
    skin: np.ndarray

    def holding(self, **changed: np.ndarray) -> Person:
        return replace(self, masks={**self.masks, **changed})

    def without(self, *names: str) -> Person:
        return self.holding(**{name: np.zeros(self.grid.shape, bool) for name in names})

    def ball(self, x: float, y: float, z: float, radius: float) -> np.ndarray:
        return ellipsoid(self.grid, (x, y, z), (radius, radius, radius))

    def cropped(self, low_mm: float, high_mm: float) -> Person:
        """Return the part of a person in RAS order between two heights."""
        k = [int(self.grid.voxel((0, 0, z))[2]) for z in (low_mm, high_mm)]
        part = np.s_[:, :, k[0] : k[1]]
        grid = self.grid.crop((0, 0, k[0]), (*self.grid.shape[:2], k[1]))
        return Person(grid, {name: mask[part] for name, mask in self.masks.items()}, self.hu[part], self.skin[part])

    def findings(self, *rules: str, **given: object) -> list[CheckFinding]:
        """Return what these rules find, or all but notes."""
        segmentation = Segmentation.from_masks(self.grid, {**self.masks, "body": self.skin})
        rows = [row for row in check_table() if not rules or row.rule in rules]
        found = check_masks(segmentation, Given(hu=self.hu, **given), rows)  # type: ignore[arg-type]
        return [each for each in found if rules or each.severity != "note"]


def person(grid: Grid | None = None, *, mirror: bool = False, without: tuple[str, ...] = ()) -> Person:
    """Make a healthy person; those organs of the simple body that would break limits are not in it."""
    on = grid or grid_of((4.0, 5.0, 3.5))
    whole = dict(body(on, mirror=mirror, without=without))
    hu = np.full(on.shape, -1000, np.int16)
    skin = ellipsoid(on, (0, 0, -45), (178, 118, 600))
    hu[skin] = 40
    for name, mask in whole.items():
        hu[mask] = HU.get(name, 60)
    return Person(on, whole, hu, skin)


def told(findings: list[CheckFinding]) -> set[tuple[str, str]]:
    return {(each.rule, each.structure) for each in findings}
