"""Left and right, the patient's, decided in world space; organs that bear each other's names."""

from __future__ import annotations

from collections.abc import Iterator

from ctatlas.anatomy import structures
from ctatlas.anatomy_rules.checks.findings import Fix, Sign
from ctatlas.anatomy_rules.checks.registry import check
from ctatlas.anatomy_rules.checks.subject import Subject
from ctatlas.anatomy_rules.landmarks import RIGHT


@check("side_swapped")
def side_swapped(name: str, subject: Subject, *, tolerance_mm: float) -> Iterator[Sign]:
    """Find a structure on the other side than its name says.

    Where its partner is there, the two are compared with each other, and exchanging their names is safe; one alone is
    held against the midline.
    """
    known = structures()[name]
    if not subject.has(name):
        return
    sign = 1.0 if known.side == "right" else -1.0
    right_mm = float(subject.centre_mm(name)[RIGHT])
    if known.partner in subject.names and subject.has(known.partner):
        apart_mm = sign * (right_mm - float(subject.centre_mm(known.partner)[RIGHT]))
        if apart_mm < -tolerance_mm:
            says = f"lies {-apart_mm:.0f} mm on the other side of {known.partner}"
            yield Sign(says, -apart_mm, tolerance_mm, "mm", fix=Fix("exchange", exchange_with=known.partner))
    elif subject.middle is not None:
        inward_mm = -sign * subject.middle.to_the_right_mm(subject.centre_mm(name))
        if inward_mm > tolerance_mm:
            says = f"centre {inward_mm:.0f} mm from the midline, not on the patient's {known.side}"
            yield Sign(says, inward_mm, tolerance_mm, "mm")


@check("mirrored")
def mirrored(name: str, subject: Subject, *, expected: str, tolerance_mm: float) -> Iterator[Sign]:
    """Note an organ on the side where it usually is not: situs inversus, or a mirrored scan. Nothing is repaired."""
    if subject.middle is None or not subject.has(name):
        return
    right_mm = subject.middle.to_the_right_mm(subject.centre_mm(name))
    away_mm = -right_mm if expected == "right" else right_mm
    if away_mm > tolerance_mm:
        other = "left" if expected == "right" else "right"
        says = f"centre {away_mm:.0f} mm on the patient's {other}: situs inversus, or a mirrored scan"
        yield Sign(says, away_mm, tolerance_mm, "mm")


@check("exchanged")
def exchanged(name: str, subject: Subject, *, other: str, at_least_ratio: float) -> Iterator[Sign]:
    """Find two organs that bear each other's names: the smaller one is the larger, and each is on the other's side.

    In situs inversus the larger keeps its name; a large spleen stays on its side. So exchanging the names is safe.
    """
    if not (subject.has(name) and subject.has(other)):
        return
    ratio = subject.volume_ml(other) / subject.volume_ml(name)
    further_left_mm = float(subject.centre_mm(other)[RIGHT] - subject.centre_mm(name)[RIGHT])
    if ratio >= at_least_ratio and further_left_mm > 0:
        says = f"on the patient's left and smaller than {other}: the two bear each other's names"
        yield Sign(says, ratio, at_least_ratio, "times", fix=Fix("exchange", exchange_with=other))
