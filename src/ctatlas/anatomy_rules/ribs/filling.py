"""Bone that lacks: between two pieces of a rib, and between a rib and its vertebra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ctatlas.anatomy import structures
from ctatlas.anatomy_rules.ribs.chains import Chain, Link
from ctatlas.anatomy_rules.ribs.numbers import expected_mm, number_of, thoracic
from ctatlas.anatomy_rules.ribs.pieces import thinned
from ctatlas.anatomy_rules.ribs.spine import Spine
from ctatlas.anatomy_rules.ribs.steps import Gaps, Joints
from ctatlas.anatomy_rules.ribs.ways import Scene, cheapest_way, curve_between, rod

THICKEST_MM = 7.0  # no rib is thicker: what measures more is a rib with something else
ONE_VERTEBRA = (1, 11, 12)  # ribs that meet their own vertebra alone; others that above, too
TURN_DEG = 80.0  # between where a rib points and where its way leads: at the tubercle it turns toward the body
START_MM = 12.0  # of a way by which that is judged
TOUCHING_MM = 1.9  # in voxel diagonals: pieces this near need no bridge
GOALS_MM = 1.5  # between the places on a body where a rib may end
FEW = 3  # attached ribs of which a gap can be learned
_AROUND = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True, slots=True)
class Joint:
    """What became of a rib's end at the spine: `voxels` (n, 3) that it grows by, or `why_open` it stays as it is."""

    voxels: np.ndarray
    why_open: str = ""


_NOTHING = np.zeros((0, 3), dtype=np.int32)


def bridge(scene: Scene, link: Link, name: str, step: Gaps) -> np.ndarray:
    """Return the voxels that lack between two pieces, (n, 3) int32; none where they touch."""
    way_mm = float(np.linalg.norm(link.to_mm - link.from_mm))
    if way_mm <= TOUCHING_MM * float(np.linalg.norm(scene.grid.spacing_mm)) / 2:
        return _NOTHING
    radius = min(link.radius_mm, THICKEST_MM)
    line = curve_between(link.from_mm, link.from_way, link.to_mm, link.to_way, bend=0.4)
    inner = max(scene.grid.spacing_mm)  # the pieces' own ends
    line = np.concatenate([[link.from_mm - inner * link.from_way], line, [link.to_mm - inner * link.to_way]])
    return _bone(scene, line, np.array([radius, radius]), name, step.bone_hu)


def attached_gap_mm(gaps_mm: Sequence[float], step: Joints, spacing_mm: Sequence[float]) -> float:
    """Return up to which gap to a vertebra's body a rib is attached, learned from those that are.

    Source: reference, rib and vertebra repair §4.4, prototype: by a fixed gap of 5 mm intact ribs were cut ones.
    """
    least, most = step.attached_mm
    least = max(least, 1.5 * max(spacing_mm))
    near = [gap for gap in gaps_mm if gap <= most]
    return float(np.clip(np.percentile(near, 95), least, max(least, most))) if len(near) >= FEW else least


def joint(scene: Scene, chain: Chain, spine: Spine, step: Joints) -> Joint:
    """Find what lacks between a rib and the body of its vertebra: the cheapest way of bone, and a rod around it."""
    goals = _goals(chain, spine)
    if not len(goals):
        return Joint(_NOTHING, "its vertebra is not in view")
    nearest = goals[np.argmin(np.linalg.norm(goals - chain.end_mm, axis=1))]
    if float(np.linalg.norm(nearest - chain.end_mm)) > step.reach_mm:
        return Joint(_NOTHING, f"farther than {step.reach_mm:g} mm from its vertebra")
    outward = spine.backward + _sideward(chain, spine)
    drawn = curve_between(chain.end_mm, chain.way, nearest, outward / np.linalg.norm(outward))
    way = cheapest_way(scene, chain.end_mm, goals, drawn, name=chain.name, lung_hu=step.lung_hu)
    if way is None:
        return Joint(_NOTHING, "no way to its vertebra but through other structures or air")
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    if lengths[-1] > 1.3 * step.reach_mm:
        return Joint(_NOTHING, f"the way to its vertebra is longer than {1.3 * step.reach_mm:.0f} mm")
    first = way[min(len(way) - 1, int(np.searchsorted(lengths, START_MM)))] - chain.end_mm
    turn = float(np.degrees(np.arccos(np.clip(first @ chain.way / max(float(np.linalg.norm(first)), 1e-9), -1, 1))))
    if turn > TURN_DEG:
        return Joint(_NOTHING, f"the way to its vertebra turns by {turn:.0f} degrees")
    line = _smoothed(np.concatenate([[chain.end_mm], way[1:]]))
    radii = np.array([min(max(chain.radius_mm, 0.6 * step.radius_mm), 1.2 * step.radius_mm), step.radius_mm])
    return Joint(_bone(scene, line, radii, chain.name, step.bone_hu))


def _goals(chain: Chain, spine: Spine) -> np.ndarray:
    """Return where a rib may meet the spine: the hinder half of a body's side, (n, 3) world mm."""
    number = number_of(chain.name)
    meets = [thoracic(number)] if number in ONE_VERTEBRA else [thoracic(number), thoracic(number - 1)]
    expected, half = expected_mm(number, spine), 0.6 * spine.pitch_mm(expected_mm(number, spine))
    goals = []
    for name in meets:
        if name in spine.names:
            body = thinned(spine.body(name), GOALS_MM)
            behind = (body - body.mean(axis=0)) @ spine.backward >= 0
            sign = 1.0 if structures()[chain.name].side == "right" else -1.0
            beside = sign * spine.rightward_mm(body) > 0
            near = np.abs(spine.down_mm(body) - expected) <= half
            goals.append(body[behind & beside & near])
    return np.concatenate(goals) if goals else np.zeros((0, 3))


def _sideward(chain: Chain, spine: Spine) -> np.ndarray:
    right = spine.right[len(spine.right) // 2]
    return np.asarray(right if structures()[chain.name].side == "right" else -right)


def _bone(scene: Scene, line_mm: np.ndarray, radii_mm: np.ndarray, name: str, bone_hu: float) -> np.ndarray:
    """Return the free voxels of a rod: bone, or all where there is no scan, and those on its line in any case."""
    box = scene.box_around(line_mm, float(radii_mm.max()) + 1.0)
    inside, on_line = rod(scene.grid, box, line_mm, radii_mm)
    hu = scene.hounsfield(box)
    if hu is not None:
        inside &= hu > bone_hu
    found = (inside | on_line) & ~scene.taken(box, name)
    pieces, _ = ndimage.label(found, _AROUND)
    found &= np.isin(pieces, np.unique(pieces[on_line]))
    return np.asarray(np.argwhere(found) + [side.start for side in box], dtype=np.int32)


def _smoothed(line_mm: np.ndarray) -> np.ndarray:
    """Round a way's corners; its ends stay."""
    if len(line_mm) < 4:
        return line_mm
    smooth = ndimage.gaussian_filter1d(line_mm, 1.0, axis=0, mode="nearest")
    return np.concatenate([line_mm[:1], smooth[1:-1], line_mm[-1:]])
