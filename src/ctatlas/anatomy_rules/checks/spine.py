"""Vertebrae in order, ribs counted and attached to their vertebrae."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
from scipy.spatial import KDTree

from ctatlas.anatomy import structures
from ctatlas.anatomy_rules.anatomy import SAMPLE_MM
from ctatlas.anatomy_rules.checks.findings import Sign
from ctatlas.anatomy_rules.checks.registry import check
from ctatlas.anatomy_rules.checks.subject import Subject
from ctatlas.anatomy_rules.landmarks import UP

FRONT = 1  # world axis
LAST_SURE = 10  # rib; the last two differ between people
_RIB = re.compile(r"rib_(left|right)_(\d+)")


@check("vertebra_order")
def vertebra_order(
    name: str, subject: Subject, *, at_least_mm: float, at_most_mm: float, at_least_ml: float
) -> Iterator[Sign]:
    """Find a vertebra that does not lie below the one before it, too near or too far from it, or that is left out.

    Only sizable ones count, and `at_most_mm` apart holds for neighbours by number.
    """
    order = [part for part in structures()["vertebrae"].parts if subject.volume_ml(part) >= at_least_ml]
    if name not in order or order.index(name) == 0:
        return
    before = order[order.index(name) - 1]
    numbers = list(structures()["vertebrae"].parts)
    left_out = numbers[numbers.index(before) + 1 : numbers.index(name)]
    step = subject.centre_mm(before) - subject.centre_mm(name)
    below_mm, apart_mm = float(step[UP]), float(np.linalg.norm(step))
    if below_mm <= 0:
        yield Sign(f"lies {-below_mm:.0f} mm above {before}", below_mm, 0.0, "mm")
    elif left_out and all(vertebra in subject.names for vertebra in left_out):
        yield Sign(f"follows {before}: {', '.join(left_out)} left out", len(left_out), 0, "vertebrae")
    elif apart_mm < at_least_mm:
        yield Sign(f"only {apart_mm:.0f} mm from {before}", apart_mm, at_least_mm, "mm")
    elif apart_mm > at_most_mm * (1 + len(left_out)):
        yield Sign(f"{apart_mm:.0f} mm from {before}", apart_mm, at_most_mm * (1 + len(left_out)), "mm")


@check("rib_count")
def rib_count(name: str, subject: Subject, *, at_least_ml: float) -> Iterator[Sign]:
    """Find a rib that is left out between two others of its side, or lacks while its partner is there.

    The partner must be wholly in view, and one of the last two ribs may lack: people differ there.
    """
    side, number = _side_and_number(name)
    if subject.volume_ml(name) >= at_least_ml:
        return
    there = [
        other for other, one in _ribs(side).items() if one in subject.names and subject.volume_ml(one) >= at_least_ml
    ]
    partner = structures()[name].partner
    if any(other < number for other in there) and any(other > number for other in there):
        yield Sign(f"left out between {min(there)} and {max(there)}", 0, 1, "ribs")
    elif number <= LAST_SURE and subject.volume_ml(partner) >= at_least_ml and not subject.is_cut(partner):
        yield Sign(f"lacks, but {partner} is there", 0, 1, "ribs")


@check("rib_order")
def rib_order(name: str, subject: Subject, *, at_least_ml: float, tolerance_mm: float) -> Iterator[Sign]:
    """Find a rib whose back lies above that of the rib before it; those that the scan cuts are passed over."""
    side, number = _side_and_number(name)
    before = _ribs(side).get(number - 1, "")
    if before not in subject.names or min(subject.volume_ml(each) for each in (name, before)) < at_least_ml:
        return
    if not subject.is_cut(name) and not subject.is_cut(before):
        above_mm = _back_mm(subject, name) - _back_mm(subject, before)
        if above_mm > tolerance_mm:
            yield Sign(f"its back lies {above_mm:.0f} mm above that of {before}", above_mm, tolerance_mm, "mm")


@check("rib_attachment")
def rib_attachment(name: str, subject: Subject, *, at_most_mm: float, at_least_ml: float) -> Iterator[Sign]:
    """Find a rib that does not reach the vertebra of its number, or the spine where vertebrae have no numbers."""
    _, number = _side_and_number(name)
    if subject.volume_ml(name) < at_least_ml or subject.is_cut(name):
        return
    own, whole = f"vertebrae_T{number}", "vertebrae"
    to = own if own in subject.names and subject.has(own) else whole
    if not subject.present((to,)) or (to == whole and whole not in subject.names):
        return
    way_mm = _way_mm(subject, name, to)
    if way_mm > at_most_mm:
        yield Sign(f"{way_mm:.0f} mm from {to}", way_mm, at_most_mm, "mm")


def _side_and_number(name: str) -> tuple[str, int]:
    match = _RIB.fullmatch(name)
    return (match[1], int(match[2])) if match else ("", 0)


def _ribs(side: str) -> Mapping[int, str]:
    return {number: f"rib_{side}_{number}" for number in range(1, 13)}


def _back_mm(subject: Subject, name: str) -> float:
    """Return how high a rib lies where it reaches farthest to the back."""
    points = subject.anatomy.points_mm((name,))
    return float(np.median(points[points[:, FRONT] <= np.quantile(points[:, FRONT], 0.2), UP]))


def _way_mm(subject: Subject, name: str, to: str) -> float:
    """Return how far apart two structures are, 0 where they touch."""
    points = [subject.anatomy.points_mm((each,)) for each in (name, to)]
    return max(0.0, float(np.min(KDTree(points[1]).query(points[0])[0])) - SAMPLE_MM - max(subject.grid.spacing_mm))
