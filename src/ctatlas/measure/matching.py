"""Which lesion was found by which: rules that turn overlaps into found, missed and false, each under a name.

The rules disagree on what a split or a merged lesion is worth, so the rule stands with every number made by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ctatlas.errors import ModelError
from ctatlas.measure.lesions import Overlaps


@dataclass(frozen=True, slots=True)
class Matching:
    """What a rule makes of the lesions of one case.

    Attributes
    ----------
    rule : str
    threshold : float
    found : (n_gt,) bool
        Whether each lesion of the reference was found.
    right : (n_pred,) bool
        Whether each predicted lesion is one.
    gt_numbers, pred_numbers : (m,) intp
        The pairs of a rule that gives every lesion one partner at most; empty of the others.
    iou : (m,) float64
        Of those pairs.
    """

    rule: str
    threshold: float
    found: np.ndarray
    right: np.ndarray
    gt_numbers: np.ndarray
    pred_numbers: np.ndarray
    iou: np.ndarray


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the table.

    Attributes
    ----------
    name : str
    meaning : str
        One line for a person; {threshold} stands for its number.
    default : float
        Its threshold when nobody gives one.
    below : float
        What the threshold must stay below.
    pairs_off : bool
        Whether a lesion has one partner at most, so that the quality of pairs (SQ, PQ) is defined.
    """

    name: str
    meaning: str
    default: float
    below: float
    pairs_off: bool
    match: Callable[[Overlaps, float], tuple[np.ndarray, ...]]


def matched(overlaps: Overlaps, rule: str, threshold: float | None = None) -> Matching:
    """Match the lesions of a case by a rule.

    Parameters
    ----------
    overlaps : Overlaps
    rule : str
        A name of `RULES`.
    threshold : float, optional
        What it means is the rule's; its default when not given.

    Raises
    ------
    ModelError
        When there is no such rule, or the threshold is none of its.
    """
    chosen, at = rule_called(rule), threshold_of(rule, threshold)
    found, right, *pairs = chosen.match(overlaps, at)
    gt_numbers, pred_numbers, iou = pairs or (np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0))
    return Matching(rule, at, found, right, gt_numbers, pred_numbers, iou)


def threshold_of(rule: str, threshold: float | None = None) -> float:
    """Return a rule's threshold, its default where none is given.

    Raises
    ------
    ModelError
        When there is no such rule, or the threshold is none of its.
    """
    chosen = rule_called(rule)
    at = chosen.default if threshold is None else threshold
    if not 0 <= at < chosen.below:
        raise ModelError(f"the rule {rule} at {at:g}; expected a number from 0 and below {chosen.below:g}")
    return at


def rule_called(name: str) -> Rule:
    """Return a rule by its name.

    Raises
    ------
    ModelError
        When there is none of that name.
    """
    if name not in RULES:
        raise ModelError(f"no rule for lesions is called {name!r}; there are {', '.join(RULES)}")
    return RULES[name]


def _by_overlap(overlaps: Overlaps, share: float) -> tuple[np.ndarray, ...]:
    shared = overlaps.shared_of_gt
    return (shared > 0) & (shared >= share * overlaps.gt.n_voxels), overlaps.shared_of_pred > 0


def _one_to_one(overlaps: Overlaps, above: float) -> tuple[np.ndarray, ...]:
    """Choose the pairs with the largest sum of IoU; groups that don't meet are solved apart, so few or many lesions."""
    from scipy.optimize import linear_sum_assignment

    iou = overlaps.iou
    eligible = np.flatnonzero(iou > above)
    chosen: list[int] = []
    for group in _groups(overlaps, eligible):
        rows, row_of = np.unique(overlaps.gt_numbers[group], return_inverse=True)
        columns, column_of = np.unique(overlaps.pred_numbers[group], return_inverse=True)
        gains = np.zeros((len(rows), len(columns)))
        gains[row_of, column_of] = iou[group]
        best = set(zip(*linear_sum_assignment(gains, maximize=True), strict=True))
        chosen += [
            pair for pair, place in zip(group, zip(row_of, column_of, strict=True), strict=True) if place in best
        ]
    return _of_pairs(overlaps, np.array(sorted(chosen), np.intp))


def _greedy(overlaps: Overlaps, above: float) -> tuple[np.ndarray, ...]:
    iou = overlaps.iou
    taken_gt, taken_pred, chosen = set[int](), set[int](), []
    for pair in np.argsort(-iou, kind="stable"):
        one, other = int(overlaps.gt_numbers[pair]), int(overlaps.pred_numbers[pair])
        if iou[pair] > above and one not in taken_gt and other not in taken_pred:
            taken_gt.add(one)
            taken_pred.add(other)
            chosen.append(int(pair))
    return _of_pairs(overlaps, np.array(sorted(chosen), np.intp))


def _by_centre(overlaps: Overlaps, within_mm: float) -> tuple[np.ndarray, ...]:
    gt, pred = overlaps.gt, overlaps.pred
    found, right = np.zeros(len(gt), bool), np.zeros(len(pred), bool)
    if len(gt) and len(pred):
        from scipy.spatial import KDTree

        places = np.rint(pred.centres).astype(np.intp)
        inside = gt.labels[tuple(places.T)].astype(np.intp) - 1
        right = inside >= 0
        found[inside[right]] = True
        tree = KDTree(gt.centres * overlaps.spacing_mm)
        for number, near in enumerate(tree.query_ball_point(pred.centres * overlaps.spacing_mm, within_mm)):
            right[number] |= bool(near)
            found[near] = True
    return found, right


# Source: overlap as in ISLES and autoPET; one_to_one as in panoptica, unique above 0.5 (Kirillov et al. 2019); centre
# as in FROC curves.
_RULES = (
    Rule(
        name="overlap",
        meaning="a shared voxel and at least {threshold} of the lesion, by any pieces",
        default=0.0,
        below=1.0,
        pairs_off=False,
        match=_by_overlap,
    ),
    Rule(
        name="one_to_one",
        meaning="IoU above {threshold}, one partner each, the largest sum of IoU",
        default=0.1,
        below=1.0,
        pairs_off=True,
        match=_one_to_one,
    ),
    Rule(
        name="greedy",
        meaning="IoU above {threshold}, one partner each, the best pair first",
        default=0.1,
        below=1.0,
        pairs_off=True,
        match=_greedy,
    ),
    Rule(
        name="centre",
        meaning="the predicted centre lies in the lesion or within {threshold} mm of its centre",
        default=0.0,
        below=1000.0,
        pairs_off=False,
        match=_by_centre,
    ),
)
RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in _RULES})


def _groups(overlaps: Overlaps, pairs: np.ndarray) -> list[np.ndarray]:
    """Part pairs into groups that share no lesion."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(pairs):
        return []
    n_gt, n = len(overlaps.gt), len(overlaps.gt) + len(overlaps.pred)
    ends = overlaps.gt_numbers[pairs], n_gt + overlaps.pred_numbers[pairs]
    _, group_of = connected_components(coo_array((np.ones(len(pairs)), ends), shape=(n, n)), directed=False)
    order = np.argsort(group_of[ends[0]], kind="stable")
    cuts = np.flatnonzero(np.diff(group_of[ends[0]][order])) + 1
    return [pairs[part] for part in np.split(order, cuts)]


def _of_pairs(overlaps: Overlaps, pairs: np.ndarray) -> tuple[np.ndarray, ...]:
    gt_numbers, pred_numbers = overlaps.gt_numbers[pairs], overlaps.pred_numbers[pairs]
    found, right = np.zeros(len(overlaps.gt), bool), np.zeros(len(overlaps.pred), bool)
    found[gt_numbers], right[pred_numbers] = True, True
    return found, right, gt_numbers, pred_numbers, overlaps.iou[pairs]
