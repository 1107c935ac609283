"""How much is still wrong in an atlas, judged from the random share of what annotators were asked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ctatlas.atlas.records import QueryItem, QueryRecord, RevisionRecord

WRONG_ABOVE_ML = 0.5  # what an annotator changed by less is called right. Source: estimate, 8 mm cubed


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RemainingError:
    """What the random share of a query tells about everything that nobody looked at.

    Attributes
    ----------
    query : int
        Which one; the newest that has two answers.
    n_asked, n_answered : int
        Structures drawn at random, and those of them that were looked at since.
    wrong_ml : Estimate
        Volume that annotators would still change in all structures that were not drawn.
    wrong_share : Estimate
        Share of structures in which they would change more than `WRONG_ABOVE_ML`.
    mean_dice : Estimate
        Mean Dice of the masks as they are against what annotators would make of them.
    """

    query: int
    n_asked: int
    n_answered: int
    wrong_ml: Estimate
    wrong_share: Estimate
    mean_dice: Estimate


def remaining_error(
    queries: Sequence[QueryRecord], revisions: Mapping[str, Sequence[RevisionRecord]]
) -> RemainingError | None:
    """Estimate what is still wrong.

    Parameters
    ----------
    queries : sequence of QueryRecord
    revisions : mapping of str to sequence of RevisionRecord
        Of each case.

    Returns
    -------
    RemainingError or None
        None while no query has two answers.

    Notes
    -----
    A structure drawn with chance π stands for 1/π structures; what was drawn and answered is right by now, so it counts
    1/π - 1 times. When only some were answered, these stand for all that were drawn. Source: Horvitz and Thompson 1952;
    the interval of the volume is Student's with the variance of Hansen and Hurwitz, that of the share is Wilson's with
    Kish's effective number: it stays above zero when nothing wrong was found. The mean Dice is Hájek's ratio with its
    linearised variance. Few structures hold most of the volume that is wrong (an organ that was missed): with 60
    answers its interval held the truth in two of three simulated audits only, the other two in more than nine of ten;
    take the volume for an order of magnitude.
    """
    for query in sorted(queries, key=lambda record: record.number, reverse=True):
        asked = [item for item in query.items if item.is_random and item.inclusion]
        answers = [(item, answer_to(item, revisions.get(item.case, ()))) for item in asked]
        given = [(item, answer) for item, answer in answers if answer is not None]
        if len(given) >= 2:
            chances = np.array([item.inclusion for item, _ in given]) * len(given) / len(asked)
            changes, dices = (np.array(column) for column in zip(*(answer for _, answer in given), strict=True))
            return RemainingError(query.number, len(asked), len(given), *estimated(changes, dices, chances))
    return None


def answer_to(item: QueryItem, revisions: Sequence[RevisionRecord]) -> tuple[float, float] | None:
    """Return how many mL annotators changed of what an item asked for, and the Dice of before against after.

    Only the first revision after the question counts: it found the structure as it was when it was drawn. None while
    nobody looked.
    """
    for revision in sorted(revisions, key=lambda record: record.number):
        if revision.number <= item.revisions or item.structure is None:
            continue
        mask = revision.masks.get(item.structure)
        if mask is not None:
            before_ml = mask.volume_ml - mask.added_ml + mask.removed_ml
            both_ml = mask.volume_ml - mask.added_ml
            total_ml = before_ml + mask.volume_ml
            return mask.added_ml + mask.removed_ml, 2 * max(0.0, both_ml) / total_ml if total_ml > 0 else 1.0
        if item.structure in revision.reviewed:
            return 0.0, 1.0
    return None


def estimated(changes_ml: np.ndarray, dices: np.ndarray, chances: np.ndarray) -> tuple[Estimate, Estimate, Estimate]:
    """Estimate the volume that is wrong outside of a sample, the share of units that are, and their mean Dice.

    Parameters
    ----------
    changes_ml, dices : (n,) float
        What was wrong in each unit drawn.
    chances : (n,) float
        Of each to be drawn; see `sampling.inclusion`.
    """
    n = len(changes_ml)
    reach = float(stats.t.ppf(0.975, n - 1)) / math.sqrt(n)
    stands_for = 1 / np.minimum(chances, 1) - 1
    total = float((changes_ml * stands_for).sum())
    half = reach * float(np.std(changes_ml * stands_for * n, ddof=1))
    volume = Estimate(total, max(0.0, total - half), total + half)
    weights = 1 / np.minimum(chances, 1)
    share = float((weights * (changes_ml > WRONG_ABOVE_ML)).sum() / weights.sum())
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    mean = float((weights * dices).sum() / weights.sum())
    half = reach * float(np.std(weights * (dices - mean), ddof=1)) / float(weights.mean())
    return volume, _wilson(share, effective), Estimate(mean, max(0.0, mean - half), min(1.0, mean + half))


def _wilson(share: float, n: float) -> Estimate:
    z = float(stats.norm.ppf(0.975))
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half))
