"""Lesions found, missed and invented: one row a lesion, and over all cases by size class.

    pair → pieces of both masks → overlaps → matching by a rule → rows of lesions → counts over cases

A case without any lesion counts, too: whoever invents one there has a false positive per scan.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from ctatlas.errors import ModelError
from ctatlas.measure.intervals import Interval, Proportion, bootstrap_ratio, proportion
from ctatlas.measure.lesions import Overlaps, Pieces, overlaps_of, pieces_of
from ctatlas.measure.matching import Matching, matched, rule_called, threshold_of
from ctatlas.measure.pair import Pair

Side = Literal["reference", "prediction"]
ALL_SIZES = "all"


@dataclass(frozen=True, slots=True)
class LesionRule:
    """What counts as a lesion and as found.

    Attributes
    ----------
    rule : str
        A name of `ctatlas.measure.matching.RULES`.
    threshold : float or None
        Of the rule; its default when None.
    at_least_mm3, join_mm : float
        As `pieces_of`.
    limits_mm : tuple of float
        Between size classes; a diameter that equals a limit belongs below it, so that 20 mm is at most 2 cm.
    by_longest : bool
        Whether lesions are classed by their longest diameter instead of that of a ball as large.
    """

    rule: str = "one_to_one"
    threshold: float | None = None
    at_least_mm3: float = 0.0
    join_mm: float = 0.0
    limits_mm: tuple[float, ...] = (10.0, 20.0)
    by_longest: bool = False

    def refuse_odd(self) -> None:
        """Raise when the rule is unknown or a number odd.

        Raises
        ------
        ModelError
            One line.
        """
        threshold_of(self.rule, self.threshold)
        if not (self.at_least_mm3 >= 0 and self.join_mm >= 0):
            raise ModelError(
                f"lesions of at least {self.at_least_mm3:g} mm³ within {self.join_mm:g} mm; expected 0 or more"
            )
        if not all(low < high for low, high in pairwise((0.0, *self.limits_mm))):
            raise ModelError(
                f"limits of size classes are {', '.join(f'{mm:g}' for mm in self.limits_mm)}; expected rising mm"
            )

    @property
    def size_classes(self) -> tuple[str, ...]:
        """Their names, from small to large.

        Examples
        --------
        >>> LesionRule().size_classes
        ('<=10 mm', '10-20 mm', '>20 mm')
        """
        limits = self.limits_mm
        if not limits:
            return (ALL_SIZES,)
        between = [f"{low:g}-{high:g} mm" for low, high in pairwise(limits)]
        return (f"<={limits[0]:g} mm", *between, f">{limits[-1]:g} mm")

    def size_class(self, diameter_mm: float) -> str:
        """Return the class of a diameter."""
        return self.size_classes[int(np.searchsorted(self.limits_mm, diameter_mm, side="left"))]


@dataclass(frozen=True, slots=True)
class Lesion:
    """One lesion of one side.

    Attributes
    ----------
    case, structure : str
    side : str
        "reference" or "prediction".
    number : int
        From 1, in its case, structure and side.
    volume_ml, diameter_mm, longest_mm : float
        `diameter_mm` is that of a ball of the same volume.
    size_class : str
    x_mm, y_mm, z_mm : float
        Its centre of mass in the patient, RAS+.
    is_matched : bool
        By the rule: a lesion of the reference was found, a predicted one is right.
    partner : int or None
        The other side's number, of rules that pair off.
    iou : float or None
        With the partner.
    shared_ml : float
        Volume that the other side has, too; 0 when it does not meet it at all.
    dsc : float
        With all pieces of the other side that it meets, taken together.
    """

    case: str
    structure: str
    side: Side
    number: int
    volume_ml: float
    diameter_mm: float
    longest_mm: float
    size_class: str
    x_mm: float
    y_mm: float
    z_mm: float
    is_matched: bool
    partner: int | None
    iou: float | None
    shared_ml: float
    dsc: float


@dataclass(frozen=True, slots=True)
class LesionCase:
    """The lesions of a structure in one case, of both sides; there may be none."""

    case: str
    structure: str
    lesions: tuple[Lesion, ...]

    def of(self, side: Side) -> tuple[Lesion, ...]:
        """Return the lesions of one side."""
        return tuple(lesion for lesion in self.lesions if lesion.side == side)


@dataclass(frozen=True, slots=True)
class Detection:
    """How well the lesions of a structure are found over all cases, in one size class or all.

    Attributes
    ----------
    structure, rule : str
    threshold : float
    size_class : str
        By the size of the lesion itself: of the reference for what is found or missed, of the prediction for what is
        invented; "all" for all.
    n_cases, n_predicted : int
    sensitivity : Proportion
        Lesions of the reference that were found, with Wilson's interval.
    sensitivity_by_patient : Interval or None
        Of a bootstrap of patients, who may have several.
    precision : Proportion
        Predicted lesions that are right.
    false_positives_per_scan : float
    false_positives_by_patient : Interval or None
    f1 : float or None
        TP / (TP + ½ FP + ½ FN), TP counted in the reference; recognition quality (RQ) of a rule that pairs off.
    sq, pq : float or None
        Mean IoU of pairs; that times RQ. None of a rule that does not pair off, or in a size class.
    lesion_dsc : float or None
        Mean over the scans that have a lesion on either side of Σ DSC / (found + missed + false): what is missed or
        false counts as 0; the DSC of a lesion with its partner, of a rule that does not pair off with all pieces that
        it meets. None in a size class. Source: BraTS 2023, lesion-wise Dice.
    missed_ml, invented_ml : float
        Mean volume a scan of lesions that meet none of the other side, whatever the rule. Source: autoPET.
    """

    structure: str
    rule: str
    threshold: float
    size_class: str
    n_cases: int
    n_predicted: int
    sensitivity: Proportion
    sensitivity_by_patient: Interval | None
    precision: Proportion
    false_positives_per_scan: float
    false_positives_by_patient: Interval | None
    f1: float | None
    sq: float | None
    pq: float | None
    lesion_dsc: float | None
    missed_ml: float
    invented_ml: float


def lesions_of_pair(pair: Pair, world_from_voxel: np.ndarray, *, case: str, by: LesionRule) -> LesionCase:
    """List the lesions of a structure in a reference and a prediction, and match them.

    Parameters
    ----------
    pair : Pair
    world_from_voxel : (4, 4) float
        The affine of the scan.
    case : str
    by : LesionRule

    Raises
    ------
    ModelError
        When the rule is unknown or its threshold odd.
    """
    sizes = {"at_least_mm3": by.at_least_mm3, "join_mm": by.join_mm}
    gt, pred = (pieces_of(mask, pair.spacing_mm, **sizes) for mask in (pair.gt, pair.pred))
    overlaps = overlaps_of(gt, pred, pair.spacing_mm)
    found = matched(overlaps, by.rule, by.threshold)
    sides: tuple[tuple[Side, Pieces], ...] = (("reference", gt), ("prediction", pred))
    rows = []
    for side, pieces in sides:
        world = (pieces.centres + pair.start) @ world_from_voxel[:3, :3].T + world_from_voxel[:3, 3]
        rows += _rows(pieces, world, _outcomes(overlaps, found, side), (case, pair.structure, side), by)
    return LesionCase(case, pair.structure, tuple(rows))


def detections(
    cases: Iterable[LesionCase],
    by: LesionRule,
    *,
    patients: Mapping[str, str] | None = None,
    rng: np.random.Generator,
) -> tuple[Detection, ...]:
    """Count over cases: each structure in all sizes and in each, by the rule and by any shared voxel.

    Parameters
    ----------
    cases : iterable of LesionCase
        All that were looked at, those without lesions too, made by the same rule.
    by : LesionRule
    patients : mapping of str to str, optional
        Case -> patient; each case is a patient of its own where it says nothing.
    rng : numpy.random.Generator
        For the bootstrap.
    """
    of_each: dict[str, list[LesionCase]] = {}
    for case in cases:
        of_each.setdefault(case.structure, []).append(case)
    whose = patients or {}
    return tuple(
        _detection(own, by, size, [whose.get(case.case, case.case) for case in own], rng, by_any_voxel=by_any_voxel)
        for own in of_each.values()
        for by_any_voxel in dict.fromkeys((False, by.rule != "overlap"))
        for size in (ALL_SIZES, *(by.size_classes if by.limits_mm else ()))
    )


def _detection(
    cases: Sequence[LesionCase],
    by: LesionRule,
    size: str,
    patients: Sequence[str],
    rng: np.random.Generator,
    *,
    by_any_voxel: bool,
) -> Detection:
    rule = rule_called("overlap" if by_any_voxel else by.rule)
    gt, pred = (
        [[each for each in case.of(side) if size in (ALL_SIZES, each.size_class)] for case in cases]
        for side in ("reference", "prediction")
    )
    found = [sum(_counts(each, by_any_voxel=by_any_voxel) for each in own) for own in gt]
    right = [sum(_counts(each, by_any_voxel=by_any_voxel) for each in own) for own in pred]
    false = [len(own) - n for own, n in zip(pred, right, strict=True)]
    n_gt, n_pred = sum(map(len, gt)), sum(map(len, pred))
    paired = [each.iou for own in gt for each in own if each.iou is not None]
    is_whole = size == ALL_SIZES
    f1 = _ratio(sum(found), sum(found) + (sum(false) + n_gt - sum(found)) / 2) if is_whole else None
    sq = _ratio(math.fsum(paired), len(paired)) if rule.pairs_off and is_whole else None
    pq = (sq or 0.0) * f1 if rule.pairs_off and f1 is not None else None
    return Detection(
        structure=cases[0].structure,
        rule=rule.name,
        threshold=threshold_of(rule.name, None if by_any_voxel else by.threshold),
        size_class=size,
        n_cases=len(cases),
        n_predicted=n_pred,
        sensitivity=proportion(sum(found), n_gt),
        sensitivity_by_patient=bootstrap_ratio(found, list(map(len, gt)), patients, rng),
        precision=proportion(sum(right), n_pred),
        false_positives_per_scan=sum(false) / len(cases),
        false_positives_by_patient=bootstrap_ratio(false, np.ones(len(cases)), patients, rng),
        f1=f1,
        sq=sq,
        pq=pq,
        lesion_dsc=_lesion_dsc(gt, false, pairs_off=rule.pairs_off, by_any_voxel=by_any_voxel) if is_whole else None,
        missed_ml=_alone_ml(gt) / len(cases),
        invented_ml=_alone_ml(pred) / len(cases),
    )


def _lesion_dsc(
    gt: Sequence[Sequence[Lesion]], n_false: Sequence[int], *, pairs_off: bool, by_any_voxel: bool
) -> float | None:
    """Return the mean over scans of the mean over lesions, where there are any."""
    of_scans = [
        sum(_dsc(each, pairs_off=pairs_off) for each in own if _counts(each, by_any_voxel=by_any_voxel)) / n
        for own, false in zip(gt, n_false, strict=True)
        if (n := len(own) + false)
    ]
    return _ratio(math.fsum(of_scans), len(of_scans))


def _dsc(lesion: Lesion, *, pairs_off: bool) -> float:
    return 2 * lesion.iou / (1 + lesion.iou) if pairs_off and lesion.iou is not None else lesion.dsc


def _counts(lesion: Lesion, *, by_any_voxel: bool) -> bool:
    return lesion.shared_ml > 0 if by_any_voxel else lesion.is_matched


def _alone_ml(lesions: Iterable[Iterable[Lesion]]) -> float:
    return math.fsum(each.volume_ml for own in lesions for each in own if each.shared_ml == 0)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one lesion, in the words of `Lesion`."""

    is_matched: bool
    partner: int | None
    iou: float | None
    shared_ml: float
    dsc: float


def _outcomes(overlaps: Overlaps, found: Matching, side: Side) -> list[_Outcome]:
    is_gt = side == "reference"
    own, others = (found.gt_numbers, found.pred_numbers) if is_gt else (found.pred_numbers, found.gt_numbers)
    partner = dict(zip(own.tolist(), (others + 1).tolist(), strict=True))
    iou = dict(zip(own.tolist(), found.iou.tolist(), strict=True))
    n_shared = overlaps.shared_of_gt if is_gt else overlaps.shared_of_pred
    shared, dsc = n_shared * overlaps.gt.voxel_mm3 / 1000, overlaps.dsc_of_gt if is_gt else overlaps.dsc_of_pred
    matched_ones = found.found if is_gt else found.right
    return [
        _Outcome(bool(is_matched), partner.get(number), iou.get(number), float(shared[number]), float(dsc[number]))
        for number, is_matched in enumerate(matched_ones)
    ]


def _rows(
    pieces: Pieces, world: np.ndarray, outcomes: Sequence[_Outcome], names: tuple[str, str, Side], by: LesionRule
) -> list[Lesion]:
    rows = []
    for number, outcome in enumerate(outcomes):
        diameter, longest = float(pieces.diameters_mm[number]), float(pieces.longest_mm[number])
        x, y, z = map(float, world[number])
        rows.append(
            Lesion(
                *names,
                number + 1,
                volume_ml=float(pieces.volumes_ml[number]),
                diameter_mm=diameter,
                longest_mm=longest,
                size_class=by.size_class(longest if by.by_longest else diameter),
                x_mm=x,
                y_mm=y,
                z_mm=z,
                is_matched=outcome.is_matched,
                partner=outcome.partner,
                iou=outcome.iou,
                shared_ml=outcome.shared_ml,
                dsc=outcome.dsc,
            )
        )
    return rows
