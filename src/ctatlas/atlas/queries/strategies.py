"""The registry of query strategies: each scores the places, and selects some of them in the order to ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from ctatlas.atlas.queries.candidates import Candidates
from ctatlas.errors import AtlasError

Score = Callable[[Candidates], np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """What a selection is for.

    Attributes
    ----------
    n : int
        How many places.
    rng : np.random.Generator
        The only source of chance.
    progress : float
        0 in the first of all rounds, 1 in the last: some explore first.
    """

    n: int
    rng: np.random.Generator
    progress: float = 0.0


Select = Callable[[np.ndarray, Candidates, Draw], np.ndarray]


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to choose.

    Attributes
    ----------
    name : str
    score : callable
        Candidates -> (n,) float, the highest first.
    select : callable
        (scores, candidates, draw) -> numbers of places in the order to ask; at most `draw.n`, none twice, none that
        was asked already.
    about, source : str
    """

    name: str
    score: Score
    select: Select
    about: str
    source: str

    def choose(self, candidates: Candidates, draw: Draw) -> np.ndarray:
        """Score, then select."""
        open_ones = int(np.count_nonzero(~candidates.asked))
        wanted = Draw(min(draw.n, open_ones), draw.rng, draw.progress)
        if not wanted.n:
            return np.zeros(0, np.intp)
        return self.select(self.score(candidates), candidates, wanted)


STRATEGIES: dict[str, Strategy] = {}


def strategy(name: str, score: Score, *, about: str, source: str) -> Callable[[Select], Select]:
    """Register a selection, with the score it goes by, under a name."""

    def register(select: Select) -> Select:
        STRATEGIES[name] = Strategy(name, score, select, about, source)
        return select

    return register


def strategy_called(name: str) -> Strategy:
    """Return a strategy.

    Raises
    ------
    AtlasError
        When none is called that; the message lists those there are.
    """
    if name not in STRATEGIES:
        near = get_close_matches(name, STRATEGIES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise AtlasError(f"no query strategy is called {name!r}; {hint}known: {', '.join(sorted(STRATEGIES))}")
    return STRATEGIES[name]


def best(scores: np.ndarray, candidates: Candidates, draw: Draw) -> np.ndarray:
    """Select the highest scores; ties in the order given."""
    order = np.argsort(-scores, kind="stable")
    return np.asarray(order[~candidates.asked[order]][: draw.n])
