"""Give a drawn person's organs the volumes that were drawn: neighbours, walls and the warp take some away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ctatlas.synthesis.frame import frame_of
from ctatlas.synthesis.paint import paint_on
from ctatlas.synthesis.phantom import Phantom
from ctatlas.synthesis.tables import other_side, tissues

# One grid after the other: voxels in mm, and how near is near enough.
GRIDS = ((5.0, 0.04), (3.0, 0.015))
FINE = (1.0, 0.01)
MEDIUM = (1.5, 0.01)
THIN = ("pancreas",)  # coarse grids miss its tail and its clefts: it is fitted alone, too, on the medium grid
SMALL_ML = 12.0  # an organ of so few voxels is fitted alone on the fine grid
ROUNDS = 6
AT_MOST = (0.75, 1.3)  # change of an organ's size in one round
TRUNK_MM = ((-215.0, 215.0), (-155.0, 130.0), (-330.0, 235.0))
MARGIN_MM = 20.0

Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


def fitted(phantom: Phantom) -> Phantom:
    """Scale organs until their painted volumes are the drawn ones.

    Returns
    -------
    Phantom
        Within some 2 % of what was drawn; an organ that finds no room stays smaller.
    """
    drawn = _by_part(phantom)
    large = {name: target for name, target in drawn.items() if target >= SMALL_ML}
    person = replace(phantom, subject=replace(phantom.subject, conditions=()))  # not mirrored: same volumes
    for grid in GRIDS:
        person = _fitted_in(trunk_mm(person), grid, person, large)
    alone = [(name, FINE) for name in drawn if name not in large]
    alone += [(name, MEDIUM) for name in THIN if name in large]  # after the small ones, which may cover it
    for name, grid in alone:
        person = _fitted_in(organ_mm(person, name), grid, person, {name: drawn[name]})
    return replace(person, subject=phantom.subject)


def drawn_ml(phantom: Phantom) -> dict[str, float]:
    """Return the drawn volume of every structure that this person has and that was drawn one."""
    drawn = _by_part(phantom)
    return {other_side(name) if phantom.mirrored else name: target for name, target in drawn.items()}


def _by_part(phantom: Phantom) -> dict[str, float]:
    """Return the drawn volumes by the organs' names before a person is mirrored."""
    present = {part.organ for part in phantom.soft}
    drawn = {name: organ["target_ml"] for name, organ in phantom.organs.items() if name in present}
    return {name: target for name, target in drawn.items() if target}


def painted_ml(labels: np.ndarray, voxel_mm3: float) -> dict[str, float]:
    """Return the volume of every structure among painted tissues."""
    counts = np.bincount(labels.ravel(), minlength=256)
    found: dict[str, float] = {}
    for tissue in tissues().values():
        found[tissue.structure] = found.get(tissue.structure, 0.0) + float(counts[tissue.id]) * voxel_mm3 / 1000
    return found


def trunk_mm(phantom: Phantom) -> Box:
    """Return the box that holds every organ with a drawn volume."""
    (a, b), (c, d), (e, f) = TRUNK_MM
    return ((a * phantom.scale, b * phantom.scale), (c * phantom.scale, d * phantom.scale), (e * phantom.scale, f))


def organ_mm(phantom: Phantom, organ: str) -> Box:
    """Return the box that holds an organ and its neighbourhood."""
    bounds = [part.shape.bounds() for part in phantom.soft if part.organ == organ]
    low = np.min([low for low, _ in bounds], axis=0) * phantom.scale - MARGIN_MM
    high = np.max([high for _, high in bounds], axis=0) * phantom.scale + MARGIN_MM
    a, b, c = ((float(lo), float(hi)) for lo, hi in zip(low, high, strict=True))
    return (a, b, c)


def _fitted_in(box: Box, grid: tuple[float, float], phantom: Phantom, drawn: Mapping[str, float]) -> Phantom:
    step_mm, tolerance = grid
    x, y, z = (np.arange(low, high, step_mm) for low, high in box)
    frame = frame_of(phantom, x, y, z)
    for _ in range(ROUNDS):
        found = painted_ml(paint_on(frame, _without_clutter(phantom)), step_mm**3)
        shares = {name: found[name] / target for name, target in drawn.items()}
        if all(abs(share - 1) < tolerance for share in shares.values()):
            break
        phantom = phantom.resized({name: _growth(share) for name, share in shares.items()})
    return phantom


def _without_clutter(phantom: Phantom) -> Phantom:
    """Leave out what only fills other tissues and takes nothing from an organ's structure: twigs of vessels, nodes."""
    return replace(phantom, soft=tuple(part for part in phantom.soft if not part.over))


def _growth(share: float) -> float:
    """Return the change of size that should turn a share of the drawn volume into all of it."""
    return float(np.clip(max(share, 1e-3) ** (-1 / 3), *AT_MOST))
