"""Rib cages with known truth: twelve whole pairs of ribs on numbered vertebrae, and a scan of them.

A phantom's painter lets other tissues cut ribs; here every rib is whole, in the masks and in the scan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cc3d
import numpy as np
from scipy import ndimage

from ctatlas.synthesis.cases import PhantomPlan, draw_case, make_case
from ctatlas.synthesis.frame import frame_of
from ctatlas.synthesis.numbered import bones_by_name
from ctatlas.synthesis.shapes import Shape
from ctatlas.synthesis.tables import columns
from ctatlas.volume import Grid, Segmentation

MIDDLE_MM = 112.0  # of the scan above L1: from the neck to L3
RIB_WINS = 1.8  # times its depth: no arch or process cuts a rib, only a vertebra's body does
CORTEX_MM = 1.4
CORTEX_HU, MARROW_HU, NOISE_HU = 550.0, 230.0, 30.0


@dataclass(frozen=True, slots=True, eq=False)
class RibCage:
    """Ribs and vertebrae one by one, in one label map.

    Attributes
    ----------
    grid : Grid
    hu : (i, j, k) int16
    labels : (i, j, k) uint8
        Number of a name counted from 1; 0 is none of them.
    names : tuple of str
        Canonical.
    """

    grid: Grid
    hu: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]

    def id_of(self, name: str) -> int:
        """Return the label of a structure."""
        return self.names.index(name) + 1

    def mask(self, name: str) -> np.ndarray:
        """Return the voxels of a structure, (i, j, k) bool."""
        return np.asarray(self.labels == self.id_of(name))

    def labelled(self, labels: np.ndarray) -> RibCage:
        """Return the same scan with other labels."""
        return replace(self, labels=np.asfortranarray(labels))

    @property
    def segmentation(self) -> Segmentation:
        """The label map as structures."""
        return Segmentation.from_labels(self.grid, self.labels, dict(enumerate(self.names, start=1)))


def draw_rib_cage(seed: int, number: int, *, spacing_mm: tuple[float, float, float] = (2.1, 2.0, 2.2)) -> PhantomPlan:
    """Draw rib cage `number` of the series that `seed` names, from the neck to L3."""
    plan = draw_case(seed, number, shape=(8, 8, 8), conditions=(), exact=False)
    scale = plan.phantom.scale
    reach_mm = np.array([350.0, 270.0, 410.0]) * scale
    i, j, k = np.ceil(reach_mm / spacing_mm).astype(int)
    middle = np.array([0.0, -14.0, MIDDLE_MM]) * scale
    first = middle - np.array(spacing_mm) * (np.array([i, j, k]) - 1) / 2
    return replace(
        plan,
        spacing_mm=spacing_mm,
        first_voxel_mm=(float(first[0]), float(first[1]), float(first[2])),
        shape=(int(i), int(j), int(k)),
    )


def make_rib_cage(plan: PhantomPlan, *, pairs: int = 12) -> RibCage:
    """Paint and scan a rib cage; a pure function of the plan.

    Parameters
    ----------
    plan : PhantomPlan
        Of `draw_rib_cage`.
    pairs : {11, 12, 13}
        Of ribs. Those of a thirteenth pair lie at L1 and are labelled as the twelfth, for want of a name.
    """
    case = make_case(plan)
    shapes = {
        name: each
        for name, each in bones_by_name(plan.phantom.subject.visceral).items()
        if not name.endswith("_12") or pairs > 11
    }
    if pairs > 12:
        shapes |= {name: [*shapes[name], *_one_lower(shapes[name])] for name in shapes if name.endswith("_12")}
    labels, depth_mm = _painted(plan, shapes)
    if pairs < 13:  # of which two bear one name
        labels = _whole(labels)
    return RibCage(case.truth.grid, _with_bone(case.volume.array, labels, depth_mm, plan), labels, tuple(shapes))


def _one_lower(ribs: list[Shape]) -> list[Shape]:
    """Return ribs one vertebra lower."""
    z = columns("spine.csv")["z"]
    return [rib.moved((0.0, 0.0, 0.0), 1.0, (0.0, 0.0, float(z[4] - z[5]))) for rib in ribs]


def _painted(plan: PhantomPlan, bones: dict[str, list[Shape]]) -> tuple[np.ndarray, np.ndarray]:
    """Return who lies deepest at each voxel, uint8, and how deep."""
    axes = [s + mm * np.arange(n) for s, mm, n in zip(plan.first_voxel_mm, plan.spacing_mm, plan.shape, strict=True)]
    frame = frame_of(plan.phantom, axes[0], axes[1], axes[2])
    labels = np.zeros(plan.shape, dtype=np.uint8, order="F")
    deepest = np.zeros(plan.shape, dtype=np.float32, order="F")
    for number, (name, shapes) in enumerate(bones.items(), start=1):
        weight = np.float32(RIB_WINS if name.startswith("rib_") else 1.0)
        for piece in (piece for shape in shapes for piece in shape.pieces()):
            box = frame.box(*piece.bounds())
            depth = weight * piece.depth(*frame.coordinates(box))
            better = depth > deepest[box]
            labels[box][better] = number
            deepest[box][better] = depth[better]
    return labels, deepest


def _whole(labels: np.ndarray) -> np.ndarray:
    """Keep the largest piece of each bone: specks come of parting bones by depth."""
    pieces = cc3d.connected_components(labels, connectivity=26)
    counts, owners = np.bincount(pieces.ravel(order="K")), np.zeros(int(pieces.max()) + 1, dtype=np.uint8)
    owners[pieces] = labels
    largest = [int(np.flatnonzero(owners == n)[np.argmax(counts[owners == n])]) for n in np.unique(owners[1:])]
    return np.asarray(np.where(np.isin(pieces, largest), labels, np.uint8(0)))


def _with_bone(hu: np.ndarray, labels: np.ndarray, depth_mm: np.ndarray, plan: PhantomPlan) -> np.ndarray:
    """Put bone into a scan where the painter had none."""
    rng = np.random.default_rng([plan.seed, plan.number, 1])
    bone = np.where(depth_mm < CORTEX_MM, CORTEX_HU, MARROW_HU) + rng.normal(0, NOISE_HU, labels.shape)
    share = ndimage.gaussian_filter((labels > 0).astype(np.float32), 0.45)
    lacking = (labels > 0) & (hu < MARROW_HU - 60)
    blended = share * bone + (1 - share) * hu
    return np.asfortranarray(np.where(lacking, blended, hu).astype(hu.dtype))
