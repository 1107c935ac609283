"""What annotators are asked next: by a strategy, and always a share at random from which the rest can be judged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ctatlas.atlas.attention.limits import minutes as minutes_table
from ctatlas.atlas.queries.candidates import Candidates
from ctatlas.atlas.queries.plain import audit_weights
from ctatlas.atlas.queries.sampling import drawn
from ctatlas.atlas.queries.strategies import Draw, Strategy, strategy_called
from ctatlas.atlas.records import QueryItem, QueryRecord
from ctatlas.errors import AtlasError

RANDOM_SHARE = 0.1  # of the minutes. Source: synthesis-learning reference §3.6
AT_LEAST_RANDOM = 2  # without two there is no interval


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may be asked: minutes, a number of places, or both, whichever is used up first.

    Attributes
    ----------
    minutes : float
        Infinite where only places count.
    places : int or None
    """

    minutes: float = math.inf
    places: int | None = None

    def part(self, share: float) -> Budget:
        """Return a share of it."""
        return Budget(share * self.minutes, None if self.places is None else round(share * self.places))

    def less(self, items: Sequence[QueryItem]) -> Budget:
        """Return what some items leave of it."""
        places = None if self.places is None else self.places - len(items)
        return Budget(self.minutes - sum(item.minutes for item in items), places)

    def holds(self, n: int, minutes_each: float) -> int:
        """Return how many of `n` places that take so long each fit."""
        by_minutes = n if math.isinf(self.minutes) else int(self.minutes / minutes_each)
        return min(n, by_minutes, n if self.places is None else self.places)


def make_queue(
    candidates: Candidates,
    budget: Budget,
    *,
    number: int,
    strategy: str = "default",
    random_share: float = RANDOM_SHARE,
    seed: int = 0,
    progress: float = 0.0,
    revisions: Mapping[str, int] | None = None,
) -> QueryRecord:
    """Choose places until a budget is used up.

    Parameters
    ----------
    candidates : Candidates
        Of all structures without a trusted label, in all cases that may be asked for; `asked` marks what annotators
        have seen.
    budget : Budget
    number : int
        Of the query; with the seed it names the draw, so that the same call gives the same queue.
    strategy : str
        A key of `STRATEGIES`.
    random_share : float
        Part of the budget that is drawn at random; two structures are drawn even at 0.
    seed : int
    progress : float
        0 to 1, see `Draw`.
    revisions : mapping of str to int, optional
        How many revisions a case has: only later ones answer this query.

    Returns
    -------
    QueryRecord
        First the random share, whole structures with their chance of being drawn; then the strategy's boxes.

    Raises
    ------
    AtlasError
        When the strategy is unknown, or nothing is left to ask.
    """
    if not len(candidates):
        raise AtlasError("nothing to ask: no structure without a trusted label has a prediction; run 'ctatlas attend'")
    chosen_by = strategy_called(strategy)
    rng = np.random.default_rng([seed, number])
    had = revisions or {}
    random_items = _audit(candidates, budget.part(random_share), rng, had)
    left = budget.less(random_items)
    scores = chosen_by.score(candidates)
    items = list(random_items)
    for row in _fitting(chosen_by, candidates, left, [seed, number, 1], progress).tolist():
        box = candidates.box[row]
        items.append(
            QueryItem(
                rank=len(items) + 1,
                case=str(candidates.case[row]),
                structure=str(candidates.structure[row]),
                lo=box.lo,
                hi=box.hi,
                score=float(scores[row]),
                minutes=float(candidates.minutes[row]),
                revisions=had.get(str(candidates.case[row]), 0),
            )
        )
    return QueryRecord(
        number=number,
        strategy=strategy,
        seed=seed,
        budget_minutes=budget.minutes if math.isfinite(budget.minutes) else None,
        budget_places=budget.places,
        items=tuple(items),
    )


def _fitting(
    chosen_by: Strategy, candidates: Candidates, budget: Budget, seed: list[int], progress: float
) -> np.ndarray:
    """Return as many places as fit the budget; asked for fewer, a strategy may choose others, so it is asked anew."""
    open_minutes = candidates.minutes[~candidates.asked]
    n = len(open_minutes)
    if n and math.isfinite(budget.minutes):
        n = min(n, int(budget.minutes / open_minutes.mean()) + 1)
    if budget.places is not None:
        n = min(n, budget.places)
    while n > 0:
        order = chosen_by.choose(candidates, Draw(n, np.random.default_rng(seed), progress))
        total = float(candidates.minutes[order].sum())
        if total <= budget.minutes:
            return order
        n = min(n - 1, int(n * budget.minutes / total))
    return np.zeros(0, np.intp)


def _audit(candidates: Candidates, budget: Budget, rng: np.random.Generator, had: Mapping[str, int]) -> list[QueryItem]:
    """Draw whole structures, foreground-aware, with known chances."""
    rows = list(zip(candidates.case.tolist(), candidates.structure.tolist(), strict=True))
    units = sorted(set(rows))
    number = {unit: n for n, unit in enumerate(units)}
    of_unit = np.array([number[unit] for unit in rows])
    structure = np.array([structure for _, structure in units])
    amounts = (candidates.foreground_ml, candidates.border_ml, candidates.gain)
    foreground_ml, border_ml, gain = (np.bincount(of_unit, weights=each, minlength=len(units)) for each in amounts)
    each = minutes_table().review_structure
    n = min(len(units), max(AT_LEAST_RANDOM, budget.holds(len(units), each)))
    chosen, chances = drawn(audit_weights(structure, foreground_ml, border_ml), n, rng)
    return [
        QueryItem(
            rank=rank,
            case=units[unit][0],
            structure=units[unit][1],
            score=float(gain[unit]),
            minutes=each,
            is_random=True,
            inclusion=float(chances[unit]),
            revisions=had.get(units[unit][0], 0),
        )
        for rank, unit in enumerate(chosen.tolist(), start=1)
    ]
