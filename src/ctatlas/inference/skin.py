"""The body inside its skin, on a coarse copy of a scan: table, clothes and the air around taken away."""

from __future__ import annotations

import cc3d
import fill_voids
import numpy as np
from scipy import ndimage

SOLID_HU = -400.0  # half-way between air and fat or muscle. Source: reference prototype on real scans, body rule
BARE_AIR_HU = -940.0  # blocks of lung, foam or cloth lie above it, of air below. Source: table of tissue HU
SHEET_MM = 14.0  # thinner is cloth, a tube or the table's shell. Source: four tables looked at; 8 mm kept one
THICK_MM = 9.0  # lung is thicker than twice this, the blur at the skin and clothes are not
WALLED_BY_TRUNK = 0.4  # of a cavity's rim at least: measured 0.5 to 0.9, of foam in a table's shell 0 to 0.2
NO_DATA_HU = -1020.0  # padding, clipped to -1024
DISC = 0.96  # of disc and padding's hole together, the part they share
LIMB_ML = 50.0  # arms beside the body count as body from this size; smaller pieces are tubes and leads
LIMB_BONE_HU = 200.0


def ball(radius_mm: float, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Return the voxels within a distance of the middle one; an ellipsoid of at least one voxel."""
    reach = [int(radius_mm / mm + 0.5) for mm in spacing_mm]
    offsets = np.meshgrid(*(np.arange(-n, n + 1) * mm for n, mm in zip(reach, spacing_mm, strict=True)), indexing="ij")
    wide = [max(radius_mm, mm * 1.01 if n else 0.0) for n, mm in zip(reach, spacing_mm, strict=True)]
    near = np.zeros(offsets[0].shape)
    for offset, radius in zip(offsets, wide, strict=True):
        near += (offset / radius) ** 2
    return near <= 1.0


def body_inside_skin(hu: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Find the body with all its cavities.

    Parameters
    ----------
    hu : (x, y, z) float32
        A coarse copy, z along the body.
    spacing_mm : (3,) float

    Returns
    -------
    (x, y, z) bool
        The largest solid thing and what is enclosed by it in a slice; arms that lie apart; lung that the edge of the
        field of view cuts open. Empty when nothing is solid. Whether it is a person is not asked here.
    """
    quarter = ball(SHEET_MM / 4, spacing_mm)  # twice a small ball: as wide as once a large one, and much quicker
    seen = field_of_view(hu)[:, :, None]
    solid = hu > SOLID_HU
    core = ndimage.binary_erosion(solid | ~seen, quarter, iterations=2, border_value=1) & seen
    thick = ndimage.binary_dilation(core, quarter, iterations=2) & solid
    trunk = _trunk_and_limbs(thick, hu, voxel_ml=float(np.prod(spacing_mm)) / 1000)
    cavities, gaps = _pockets(trunk, hu, seen, spacing_mm)
    wall = ndimage.binary_dilation(cavities, quarter, iterations=4) & solid
    return np.asarray(_filled_per_slice(trunk | cavities | wall) & ~gaps)


def field_of_view(hu: np.ndarray) -> np.ndarray:
    """Find the circle of reconstruction, (x, y) bool; all of the slice unless a disc stands out of constant padding.

    Air of some scanners is as low as padding, but what then stands out is the outline of body and table, no disc.
    """
    inside = np.asarray((hu > NO_DATA_HU).any(axis=2))
    x, y = np.nonzero(inside)
    if not len(x) or inside.all():
        return np.ones_like(inside)
    far = np.hypot(*np.ogrid[-x.mean() : len(inside) - x.mean() - 0.5, -y.mean() : inside.shape[1] - y.mean() - 0.5])
    disc = far <= np.sqrt(len(x) / np.pi)
    alike = np.count_nonzero(disc & inside) / np.count_nonzero(disc | inside)
    return inside if alike >= DISC else np.ones_like(inside)


def _trunk_and_limbs(thick: np.ndarray, hu: np.ndarray, voxel_ml: float) -> np.ndarray:
    """Keep the largest component, and others that hold bone as a limb does."""
    labels, n = cc3d.connected_components(thick, connectivity=6, return_N=True)
    if n == 0:
        return thick
    sizes = np.bincount(labels.ravel(), minlength=n + 1)
    sizes[0] = 0
    bone = np.bincount(labels[hu > LIMB_BONE_HU], minlength=n + 1)
    keep = (sizes * voxel_ml >= LIMB_ML) & (bone >= 0.02 * sizes) & (bone <= 0.6 * sizes)
    keep[int(sizes.argmax())] = True
    keep[0] = False
    return keep[labels]


def _filled_per_slice(body: np.ndarray) -> np.ndarray:
    """Fill what a slice across the body encloses; lungs stay closed where the windpipe is open to the air."""
    filled = np.empty_like(body)
    for z in range(body.shape[2]):
        filled[:, :, z] = fill_voids.fill(body[:, :, z])
    return filled


def _pockets(
    trunk: np.ndarray, hu: np.ndarray, seen: np.ndarray, spacing_mm: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Find the pockets of air that are in the body (lung, gas), and those that are not (between arm and trunk).

    A pocket is enclosed in a slice, or is lung that the end of the field of view cuts open: thick, and no bare air. Its
    wall may be as thin as cloth, and have holes of a block; where the scan ends in the trunk, its end is wall.
    """
    solid, known = hu > SOLID_HU, np.broadcast_to(seen, hu.shape)
    weight = ndimage.uniform_filter(known.astype(np.float32), 3, mode="nearest")
    smooth = ndimage.uniform_filter(np.where(known, hu, 0), 3, mode="nearest") / np.maximum(weight, 1e-3)
    sealed = solid | ndimage.binary_closing(solid)
    spongy = ~sealed & known & (smooth > BARE_AIR_HU)
    sphere = ball(THICK_MM, spacing_mm)
    thick = ndimage.binary_erosion(spongy | ~known, sphere, border_value=1) & spongy
    cut_open = ndimage.binary_dilation(ndimage.binary_dilation(thick, sphere)) & spongy  # not the blur along the skin
    framed = _with_ends(sealed, cc3d.largest_k(trunk, k=1, connectivity=6) > 0)  # without arms: a gap has no wall
    pockets = (_filled_per_slice(framed)[1:-1, 1:-1] & ~sealed) | cut_open
    labels = cc3d.connected_components(pockets, connectivity=6)
    cavities, gaps = np.zeros_like(pockets), np.zeros_like(pockets)
    for label, box in enumerate(cc3d.statistics(labels)["bounding_boxes"]):
        i, j, k = (slice(max(0, part.start - 1), part.stop + 1) for part in box)
        here = labels[i, j, k] == label
        if label == 0 or not here.any():
            continue
        rim = ndimage.binary_dilation(here) & ~here & known[i, j, k]
        n_rim, n_solid, n_trunk = (np.count_nonzero(rim & part[i, j, k]) for part in (known, sealed, trunk))
        is_open = n_solid < (0.95 if np.median(smooth[i, j, k][here]) < BARE_AIR_HU else 0.8) * n_rim
        if is_open:
            gaps[i, j, k] |= here
        elif n_trunk >= WALLED_BY_TRUNK * n_rim:
            cavities[i, j, k] |= here
    return np.asarray(cavities | (ndimage.binary_dilation(cavities) & sealed & ~solid)), gaps


def _with_ends(sealed: np.ndarray, trunk: np.ndarray) -> np.ndarray:
    """Put a frame of one voxel around every slice: solid between the outermost voxels of trunk along each edge."""
    framed = np.pad(sealed, ((1, 1), (1, 1), (0, 0)))
    framed[0, 1:-1], framed[-1, 1:-1] = _between(trunk[0]), _between(trunk[-1])
    framed[1:-1, 0], framed[1:-1, -1] = _between(trunk[:, 0]), _between(trunk[:, -1])
    return framed


def _between(edge: np.ndarray) -> np.ndarray:
    """Fill an edge (n, z) bool from its first voxel to its last one."""
    begun = np.logical_or.accumulate(edge, axis=0)
    to_come = np.logical_or.accumulate(edge[::-1], axis=0)[::-1]
    return np.asarray(begun & to_come)
