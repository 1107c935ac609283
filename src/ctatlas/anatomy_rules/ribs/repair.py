"""The whole repair: vertebrae in order, sides, pieces, numbers, gaps, joints; each step by itself, and reported."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import KDTree

from ctatlas.anatomy_rules.findings import Finding
from ctatlas.anatomy_rules.ribs.chains import Chain, chains_of
from ctatlas.anatomy_rules.ribs.doubts import doubts
from ctatlas.anatomy_rules.ribs.filling import attached_gap_mm, bridge, joint
from ctatlas.anatomy_rules.ribs.numbers import numbered, renamed
from ctatlas.anatomy_rules.ribs.pieces import (
    AT_MOST_PIECES,
    Piece,
    flat_index,
    pieces_of,
    rib_names,
    vertebra_names,
    ways_mm,
    written,
)
from ctatlas.anatomy_rules.ribs.sides import on_their_sides
from ctatlas.anatomy_rules.ribs.spine import Spine, spine_of
from ctatlas.anatomy_rules.ribs.steps import Joints, Steps, rib_steps
from ctatlas.anatomy_rules.ribs.vertebrae import vertebrae_in_order
from ctatlas.anatomy_rules.ribs.ways import Scene

if TYPE_CHECKING:
    from ctatlas.volume import Segmentation

NO_SPINE = "fewer than two vertebrae are in view: ribs stay as they are"
SCATTERED = f"more than {AT_MOST_PIECES} pieces of ribs or vertebrae, which is noise: all stay as they are"
SACRUM = ("sacrum", "vertebrae_S1")


@dataclass(frozen=True, slots=True)
class RibState:
    """How a rib fared.

    Attributes
    ----------
    name : str
        Its name now.
    n_pieces : int
        That it was found in.
    length_mm : float
    gap_mm : float
        Between it and the nearest vertebra's body, as it was found.
    joined : bool
        Whether that was filled.
    note : str
        Why it stays open; empty where it is attached or joined.
    """

    name: str
    n_pieces: int
    length_mm: float
    gap_mm: float
    joined: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Repaired:
    """Ribs and vertebrae after the repair.

    Attributes
    ----------
    segmentation : Segmentation
    findings : tuple of Finding
        Every change, in the order of the steps.
    doubts : tuple of str
        Why the numbers are uncertain; empty where they are sure.
    ribs : tuple of RibState
    attached_gap_mm : float
        Up to which gap a rib counted as attached; nan where that was not asked.
    """

    segmentation: Segmentation
    findings: tuple[Finding, ...] = ()
    doubts: tuple[str, ...] = ()
    ribs: tuple[RibState, ...] = ()
    attached_gap_mm: float = float("nan")


def repair_ribs(segmentation: Segmentation, *, hu: np.ndarray | None = None, steps: Steps | None = None) -> Repaired:
    """Repair ribs and vertebrae as common tools leave them.

    Parameters
    ----------
    segmentation : Segmentation
        Under canonical names. Other structures stay as they are, and no bone grows into them.
    hu : (i, j, k) int16 or float32, optional
        The scan. With it only bone is added; without it, what a rib most likely looks like.
    steps : Steps, optional
        Which steps are done and by which lengths; by default those of `lengths.toml`.

    Returns
    -------
    Repaired
        Where fewer than two vertebrae are in view nothing is changed, and the doubts say so.
    """
    wanted = steps or rib_steps()
    ribs, vertebrae = pieces_of(segmentation, rib_names()), pieces_of(segmentation, vertebra_names())
    if max(len(ribs), len(vertebrae)) > AT_MOST_PIECES:
        return Repaired(segmentation, doubts=(SCATTERED,))
    spacing, kept = segmentation.grid.spacing_mm, vertebrae
    findings: list[Finding] = []
    if wanted.vertebrae.on:
        kept, findings = vertebrae_in_order(vertebrae, wanted.vertebrae, spacing)
    spine = spine_of(kept, segmentation.grid)
    if spine is None or not ribs:
        why = (NO_SPINE,) if ribs else ()
        return Repaired(_with_names(segmentation, kept, vertebrae), tuple(findings), why)
    sided = ribs
    if wanted.sides.on:
        sided, more = on_their_sides(ribs, spine, wanted.sides)
        findings += more
    chains, crumbs = chains_of(sided, spine, wanted.fragments, spacing)
    chains, crumbs, more = _tidied(chains, crumbs, wanted)
    pairs = numbered(chains, spine)
    sacrum = _sacrum_down_mm(segmentation, spine)
    doubtful = doubts(pairs, spine, wanted.numbers, sacrum_down_mm=sacrum)
    findings += more
    if wanted.numbers.on and not spine.contradictions:
        chains, more = renamed(chains, pairs)
        findings += more
    named = [_named(each, chain.name) for chain in chains for each in chain.pieces] + crumbs
    tidy = _with_names(segmentation, [*named, *kept], [*ribs, *vertebrae])
    return _filled(Scene(tidy, hu), chains, spine, wanted, Repaired(tidy, tuple(findings), doubtful))


def _tidied(
    chains: Sequence[Chain], crumbs: Sequence[Piece], steps: Steps
) -> tuple[list[Chain], list[Piece], list[Finding]]:
    """Drop crumbs that belong to nothing, and say which pieces change hands."""
    findings: list[Finding] = []
    kept = [each for each in crumbs if not steps.fragments.on or each.volume_mm3 >= steps.fragments.drop_below_mm3]
    findings += [
        Finding(each.name, "rib_fragments", "a crumb at no rib: dropped", each.volume_mm3 / 1000)
        for each in crumbs
        if each not in kept
    ]
    for chain in chains:
        for each in chain.pieces:
            if each.name != chain.name:
                says = f"a piece of {chain.name}, whose ends point at it"
                findings.append(Finding(each.name, "rib_fragments", says, each.volume_mm3 / 1000))
    return list(chains), kept, findings


def _filled(scene: Scene, chains: Sequence[Chain], spine: Spine, steps: Steps, so_far: Repaired) -> Repaired:
    """Fill the gaps in ribs, and those between ribs and vertebrae."""
    tidy, voxel_ml = scene.segmentation, scene.grid.voxel_ml
    at_spine = [chain.gap_mm for chain in chains if chain.has_head]
    limit = attached_gap_mm(at_spine, steps.joints, tidy.grid.spacing_mm)
    grown: dict[str, list[np.ndarray]] = defaultdict(list)
    findings, ribs = list(so_far.findings), []
    for chain in chains:
        if steps.gaps.on:
            for link in chain.links:
                voxels = bridge(scene, link, chain.name, steps.gaps)
                grown[chain.name].append(voxels)
                if len(voxels):
                    way = float(np.linalg.norm(link.to_mm - link.from_mm))
                    says = f"a gap of {way:.0f} mm in the rib filled"
                    findings.append(Finding(chain.name, "rib_gaps", says, added_ml=len(voxels) * voxel_ml))
        state, voxels = _joined(scene, chain, spine, steps.joints, limit)
        grown[chain.name].append(voxels)
        ribs.append(state)
        if state.joined:
            says = f"{chain.gap_mm:.0f} mm from its vertebra's body: joined"
            findings.append(Finding(chain.name, "rib_joints", says, added_ml=len(voxels) * voxel_ml))
    order = rib_names().index
    ribs.sort(key=lambda rib: order(rib.name))
    return Repaired(_grown(tidy, grown), tuple(findings), so_far.doubts, tuple(ribs), limit)


def _joined(scene: Scene, chain: Chain, spine: Spine, step: Joints, limit_mm: float) -> tuple[RibState, np.ndarray]:
    """Join a rib to its vertebra, if it has to be and can be."""
    state = (chain.name, len(chain.pieces), chain.length_mm, chain.gap_mm)
    nothing = np.zeros((0, 3), dtype=np.int32)
    if not chain.has_head:
        return RibState(*state, note="its end at the spine is not in view"), nothing
    if not step.on or chain.gap_mm <= limit_mm or chain.gap_mm < step.extend_mm:
        return RibState(*state), nothing
    found = joint(scene, chain, spine, step)
    return RibState(*state, joined=len(found.voxels) > 0, note=found.why_open), found.voxels


def _named(piece: Piece, name: str) -> Piece:
    return replace(piece, name=name)


def _with_names(segmentation: Segmentation, after: Iterable[Piece], before: Iterable[Piece]) -> Segmentation:
    """Write pieces under their names."""
    was, now = _voxels(before, segmentation), _voxels(after, segmentation)
    missing = [name for name in now if name not in segmentation.names]
    empty = {name: np.zeros(segmentation.grid.shape, dtype=bool) for name in missing}
    made = segmentation.with_masks(empty) if empty else segmentation
    nothing = np.zeros(0, dtype=np.int64)
    names = sorted({*was, *now})
    return written(made, {n: now.get(n, nothing) for n in names}, {n: was.get(n, nothing) for n in names})


def _voxels(pieces: Iterable[Piece], segmentation: Segmentation) -> dict[str, np.ndarray]:
    held: dict[str, list[np.ndarray]] = defaultdict(list)
    for each in pieces:
        held[each.name].append(each.voxels)
    return {name: flat_index(np.concatenate(voxels), segmentation.grid) for name, voxels in held.items()}


def _grown(segmentation: Segmentation, grown: dict[str, list[np.ndarray]]) -> Segmentation:
    """Add voxels to structures; where two want one, the first has it."""
    more = {name: flat_index(np.concatenate(voxels), segmentation.grid) for name, voxels in grown.items()}
    more = {name: voxels for name, voxels in more.items() if len(voxels)}
    nothing = np.zeros(0, dtype=np.int64)
    taken = nothing
    for name, voxels in more.items():
        more[name] = np.setdiff1d(voxels, taken, assume_unique=True)
        taken = np.concatenate([taken, more[name]])
    return written(segmentation, more, dict.fromkeys(more, nothing))


def _sacrum_down_mm(segmentation: Segmentation, spine: Spine) -> float | None:
    """Return how far down the spine the sacrum begins."""
    pieces = pieces_of(segmentation, [name for name in SACRUM if name in segmentation.names])
    if not pieces:
        return None
    points = np.concatenate([each.points_mm[:: max(1, len(each.points_mm) // 3000)] for each in pieces])
    near = ways_mm(KDTree(spine.curve_mm), points) <= 40.0
    return float(np.quantile(spine.down_mm(points[near]), 0.02)) if near.any() else None
