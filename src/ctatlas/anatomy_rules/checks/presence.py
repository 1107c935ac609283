"""What must be there, and what can't be: the field of view decides, by other structures and their levels."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from ctatlas.anatomy import structures
from ctatlas.anatomy_rules.checks.findings import Sign
from ctatlas.anatomy_rules.checks.registry import check
from ctatlas.anatomy_rules.checks.subject import Subject
from ctatlas.anatomy_rules.landmarks import UP

SIZABLE_ML = 20.0  # less of a reference may be noise


class Evidence(BaseModel):
    """One way to know that a structure is in view: references, and how far the scan goes on below and above them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    of: tuple[str, ...]
    below_mm: float | None = None
    above_mm: float | None = None


@check("missing")
def missing(
    name: str, subject: Subject, *, evidence: list[Evidence], below_ml: float, single: bool = False
) -> Iterator[Sign]:
    """Find a structure that is empty or tiny although the field of view shows that it must exist.

    Any evidence does: sizable references, whose lower (upper) end the scan passes by `below_mm` (`above_mm`). With
    `single`, one of a pair may be missing.
    """
    volume_ml = subject.volume_ml(name)
    known = structures()[name]
    if volume_ml >= below_ml or (single and known.partner and subject.volume_ml(known.partner) >= below_ml):
        return
    for one in evidence:
        if _is_in_view(subject, one):
            seen = " and ".join(one.of)
            says = f"{volume_ml:.1f} mL, though {seen} show that it is in view"
            yield Sign(says, volume_ml, below_ml, "mL")
            return


@check("requires")
def requires(name: str, subject: Subject, *, any_of: list[str], above_ml: float = 0.0) -> Iterator[Sign]:
    """Find a structure that can't be in view, because none of those always seen with it is."""
    looked_for = any(other in subject.names for other in any_of)
    volume_ml = subject.volume_ml(name)
    if volume_ml > above_ml and looked_for and not subject.present(any_of):
        yield Sign(f"{volume_ml:.1f} mL, but none of {', '.join(any_of)} is in view", volume_ml, above_ml, "mL")


@check("levels_apart")
def levels_apart(name: str, subject: Subject, *, of: str, at_least_mm: float, at_most_mm: float) -> Iterator[Sign]:
    """Find levels along the body that can't be of one person: a wrong slice spacing, or another scan's mask.

    Measured is how far the centre lies above that of the reference, where the scan cuts neither.
    """
    if not (subject.has(name) and subject.has(of)) or any(subject.is_cut(each, subject.along) for each in (name, of)):
        return
    apart_mm = float(subject.centre_mm(name)[UP] - subject.centre_mm(of)[UP])
    if not at_least_mm <= apart_mm <= at_most_mm:
        limit_mm = at_least_mm if apart_mm < at_least_mm else at_most_mm
        says = f"centre {apart_mm:.0f} mm above that of {of}, expected {at_least_mm:g} to {at_most_mm:g} mm"
        yield Sign(says, apart_mm, limit_mm, "mm")


@check("length")
def length(name: str, subject: Subject, *, at_least_mm: float, at_most_mm: float) -> Iterator[Sign]:
    """Find a structure too short or too long along the body, where the scan does not cut it."""
    box = subject.box(name)
    if box is None or subject.is_cut(name, subject.along):
        return
    axis = subject.along
    length_mm = (box[axis].stop - box[axis].start) * subject.grid.spacing_mm[axis]
    if not at_least_mm <= length_mm <= at_most_mm:
        limit_mm = at_least_mm if length_mm < at_least_mm else at_most_mm
        says = f"{length_mm:.0f} mm long, expected {at_least_mm:g} to {at_most_mm:g} mm"
        yield Sign(says, length_mm, limit_mm, "mm")


def _is_in_view(subject: Subject, evidence: Evidence) -> bool:
    references = subject.present(evidence.of)
    if sum(subject.volume_ml(name) for name in references) < SIZABLE_ML:
        return False
    below_mm, above_mm = subject.room_mm(references)
    reaches_low = evidence.below_mm is None or below_mm >= evidence.below_mm
    return reaches_low and (evidence.above_mm is None or above_mm >= evidence.above_mm)
