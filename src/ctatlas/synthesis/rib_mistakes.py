"""Mistakes in ribs and vertebrae as common tools make them: each a pure function of a rib cage and drawn numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from ctatlas.synthesis.rib_cages import RibCage

RibMistake = Callable[[RibCage, np.random.Generator], RibCage]
"""`(cage, rng) -> the cage with other labels`."""

SIDES = ("left", "right")
BODY_HALF_MM = 18.0  # of a thoracic vertebra, from its middle to its side
DORSAL_MM = 12.0  # of the transverse process's tip that is taken for rib


def cut_at_spine(mm: float) -> RibMistake:
    """Make the mistake of ribs that end in a sagittal plane, lacking so many mm of head and neck.

    Source: models trained on rib-fracture data, whose annotators left out head and neck (reference, §4.1).
    """

    def cut(cage: RibCage, rng: np.random.Generator) -> RibCage:
        labels = cage.labels.copy(order="F")
        for name in _ribs(cage):
            voxels = np.argwhere(cage.labels == cage.id_of(name))
            way, x = (
                _from_head_mm(cage, name),
                np.abs(_rightward_mm(cage)[tuple(voxels.T)] - _middle_mm(cage)[voxels[:, 2]]),
            )
            at = mm + rng.uniform(-2, 2)
            plane = float(np.median(x[np.abs(way - at) < 3.0])) if (np.abs(way - at) < 3.0).any() else 0.0
            labels[tuple(voxels[(x < plane) & (way < 2 * mm)].T)] = 0
        return cage.labelled(labels)

    return cut


def broken(cage: RibCage, rng: np.random.Generator, *, count: int = 6) -> RibCage:
    """Lose a stretch of 6 to 22 mm amid some ribs."""
    labels = cage.labels.copy(order="F")
    for name in _drawn(cage, rng, count):
        way = _from_head_mm(cage, name)
        at, half = rng.uniform(0.35, 0.7) * way.max(), rng.uniform(3, 11)
        voxels = np.argwhere(cage.labels == cage.id_of(name))
        labels[tuple(voxels[np.abs(way - at) < half].T)] = 0
    return cage.labelled(labels)


def fragments_renamed(cage: RibCage, rng: np.random.Generator, *, count: int = 6) -> RibCage:
    """Give the front part of some ribs, or a stretch amid them, the number of a neighbour."""
    labels = cage.labels.copy(order="F")
    for name in _drawn(cage, rng, count):
        way, voxels = _from_head_mm(cage, name), np.argwhere(cage.labels == cage.id_of(name))
        low = rng.uniform(0.4, 0.65) * way.max()
        high = way.max() if rng.random() < 0.5 else low + rng.uniform(25, 50)
        labels[tuple(voxels[(way > low) & (way < high)].T)] = cage.id_of(_neighbour(cage, name, rng))
    return cage.labelled(labels)


def shifted_stretch(cage: RibCage, rng: np.random.Generator) -> RibCage:
    """Count some ribs of one side one too high: two ribs bear one number, a number lacks further on."""
    side, first, last = str(rng.choice(SIDES)), int(rng.integers(2, 6)), int(rng.integers(8, 12))
    labels = cage.labels.copy(order="F")
    for number in range(first, last):
        labels[cage.mask(f"rib_{side}_{number}")] = cage.id_of(f"rib_{side}_{number + 1}")
    return cage.labelled(labels)


def swapped(cage: RibCage, rng: np.random.Generator, *, count: int = 3) -> RibCage:
    """Exchange the numbers of neighbours on one side."""
    labels = cage.labels.copy(order="F")
    for number in rng.choice(np.arange(1, 11, 2), count, replace=False).tolist():
        side = str(rng.choice(SIDES))
        one, other = f"rib_{side}_{number}", f"rib_{side}_{number + 1}"
        labels[cage.mask(one)], labels[cage.mask(other)] = cage.id_of(other), cage.id_of(one)
    return cage.labelled(labels)


def sides_swapped(cage: RibCage, rng: np.random.Generator, *, count: int = 4) -> RibCage:
    """Give some ribs, or a part of them, the name of the other side."""
    labels = cage.labels.copy(order="F")
    for name in _drawn(cage, rng, count):
        side = name.split("_")[1]
        other = name.replace(side, SIDES[1 - SIDES.index(side)])
        way, voxels = _from_head_mm(cage, name), np.argwhere(cage.labels == cage.id_of(name))
        held = way > (0 if rng.random() < 0.5 else 0.5 * way.max())
        labels[tuple(voxels[held].T)] = cage.id_of(other)
    return cage.labelled(labels)


def merged_with_spine(cage: RibCage, rng: np.random.Generator, *, count: int = 6) -> RibCage:
    """Take the tip of a vertebra's transverse process for rib."""
    labels = cage.labels.copy(order="F")
    for name in _drawn(cage, rng, count):
        vertebra = f"vertebrae_T{name.rpartition('_')[2]}"
        rib, bone = cage.mask(name), cage.mask(vertebra)
        near = ndimage.distance_transform_edt(~rib, sampling=cage.grid.spacing_mm) < DORSAL_MM
        beside = np.abs(_rightward_mm(cage) - _middle_mm(cage)) > BODY_HALF_MM + 6
        labels[bone & near & beside] = cage.id_of(name)
    return cage.labelled(labels)


def dropped(cage: RibCage, rng: np.random.Generator, *, count: int = 3) -> RibCage:
    """Lose some ribs."""
    gone = [cage.id_of(name) for name in _drawn(cage, rng, count)]
    return cage.labelled(np.where(np.isin(cage.labels, gone), np.uint8(0), cage.labels))


def vertebra_in_two(cage: RibCage, rng: np.random.Generator) -> RibCage:
    """Give the upper half of one vertebra, and all vertebrae above it, the number of the next one above."""
    at = int(rng.integers(5, 10))
    names = [name for name in cage.names if name.startswith("vertebrae")]  # from below
    labels = cage.labels.copy(order="F")
    first = names.index(f"vertebrae_T{at}")
    for name, above in zip(names[first + 1 : -1], names[first + 2 :], strict=True):
        labels[cage.mask(name)] = cage.id_of(above)
    k = np.broadcast_to(np.arange(cage.grid.shape[2]), cage.grid.shape)
    mask = cage.mask(names[first])
    labels[mask & (k > np.median(k[mask]))] = cage.id_of(names[first + 1])
    return cage.labelled(labels)


MISTAKES: dict[str, RibMistake] = {
    "cut, 15 mm lost": cut_at_spine(15.0),
    "cut, 25 mm lost": cut_at_spine(25.0),
    "cut, 35 mm lost": cut_at_spine(35.0),
    "six ribs broken": broken,
    "six fragments renamed": fragments_renamed,
    "a stretch numbered one too high": shifted_stretch,
    "three neighbours swapped": swapped,
    "four on the wrong side": sides_swapped,
    "six with a process of the vertebra": merged_with_spine,
    "three ribs lost": dropped,
}


def all_at_once(cage: RibCage, rng: np.random.Generator) -> RibCage:
    """Make the mistakes of a bad day: ribs cut at the spine, broken, renamed, on the wrong side."""
    for mistake in (cut_at_spine(25.0), broken, fragments_renamed, shifted_stretch, sides_swapped):
        cage = mistake(cage, rng)
    return cage


def _drawn(cage: RibCage, rng: np.random.Generator, count: int) -> list[str]:
    """Draw ribs of at least 80 mm, which have a middle to speak of."""
    long_ones = [n for n in _ribs(cage) if n.rpartition("_")[2] not in ("1", "12")]
    return [str(name) for name in rng.choice(long_ones, count, replace=False)]


def _ribs(cage: RibCage) -> list[str]:
    """Return the ribs that have voxels."""
    present = np.bincount(cage.labels.ravel(order="K"), minlength=len(cage.names) + 1)
    return [name for at, name in enumerate(cage.names, start=1) if name.startswith("rib_") and present[at]]


def _neighbour(cage: RibCage, name: str, rng: np.random.Generator) -> str:
    stem, _, number = name.rpartition("_")
    beside = [f"{stem}_{int(number) + step}" for step in (-1, 1)]
    return str(rng.choice([each for each in beside if each in cage.names]))


def _rightward_mm(cage: RibCage) -> np.ndarray:
    i, j, k = np.ogrid[tuple(slice(0, n) for n in cage.grid.shape)]
    a, b, c, d = cage.grid.affine[0]
    return np.asarray(np.broadcast_to(a * i + b * j + c * k + d, cage.grid.shape))


def _middle_mm(cage: RibCage) -> np.ndarray:
    """Return the middle of the spine from left to right, slice by slice along k, (k,) world mm."""
    x = _rightward_mm(cage)
    spine = np.isin(cage.labels, [cage.id_of(name) for name in cage.names if name.startswith("vertebrae")])
    middles = [float(np.median(x[..., k][spine[..., k]])) if spine[..., k].any() else np.nan for k in range(x.shape[2])]
    known = np.flatnonzero(np.isfinite(middles))
    middle = np.interp(np.arange(x.shape[2]), known, np.array(middles)[known])
    return np.asarray(ndimage.gaussian_filter1d(middle, 5.0))


def _from_head_mm(cage: RibCage, name: str) -> np.ndarray:
    """Return how far from a rib's end at the spine each of its voxels lies."""
    points = cage.grid.world(np.argwhere(cage.labels == cage.id_of(name)))
    head = points[np.argmin(np.abs(points[:, 0] - float(_middle_mm(cage).mean())))]
    return np.asarray(np.linalg.norm(points - head, axis=1))
