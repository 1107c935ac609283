"""Volumes: of one structure, and of a left and right pair."""

from __future__ import annotations

from collections.abc import Iterator

from ctatlas.anatomy import structures
from ctatlas.anatomy_rules.checks.findings import Sign
from ctatlas.anatomy_rules.checks.registry import check
from ctatlas.anatomy_rules.checks.subject import Subject

FEW_VOXELS = 40  # of a structure as small as is plausible: fewer, and the grid is too coarse to tell


@check("volume")
def volume(name: str, subject: Subject) -> Iterator[Sign]:
    """Find a volume outside the limits of the table of structures; one that the scan cuts is never too small."""
    known, volume_ml = structures().get(name), subject.volume_ml(name)
    if known is None or not volume_ml:
        return
    low, high = known.at_least_ml, known.at_most_ml
    is_fine_enough = low is not None and low >= FEW_VOXELS * subject.grid.voxel_ml
    if low is not None and volume_ml < low and is_fine_enough and not subject.is_cut(name):
        yield Sign(f"{volume_ml:.1f} mL, at least {low:g} mL expected", volume_ml, low, "mL")
    if high is not None and volume_ml > high:
        yield Sign(f"{volume_ml:.0f} mL, at most {high:g} mL expected", volume_ml, high, "mL")


@check("asymmetric_pair")
def asymmetric_pair(name: str, subject: Subject, *, at_most_ratio: float) -> Iterator[Sign]:
    """Find one side much smaller than the other; a single one, and a pair that the scan cuts, pass.

    The finding is of the smaller side: large ones are rarely wrong.
    """
    partner = structures()[name].partner
    mine, other = subject.volume_ml(name), subject.volume_ml(partner) if partner in subject.names else 0.0
    if not mine or not other or mine >= other or subject.is_cut(name) or subject.is_cut(partner):
        return
    if other / mine > at_most_ratio:
        says = f"{mine:.0f} mL, {partner} {other:.0f} mL"
        yield Sign(says, other / mine, at_most_ratio, "times")
