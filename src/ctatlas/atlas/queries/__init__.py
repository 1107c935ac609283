"""What annotators are asked next, and what their answers say about the rest.

`tiles` cuts structures into places, `candidates` holds them in columns; `strategies` is the registry that `plain`,
`aift`, `diverse` and `stratified` fill; `queue` fills a budget of minutes by one of them and by a random share drawn
with known chances (`sampling`), from which `remaining` estimates the error that nobody has seen. `asking` reads and
writes the files of an atlas for all this.
"""

from ctatlas.atlas.queries import aift, diverse, plain, stratified  # these fill the registry
from ctatlas.atlas.queries.asking import PLACES, ask, queries_of, remaining_in
from ctatlas.atlas.queries.candidates import Candidate, Candidates, candidates_in, places_record
from ctatlas.atlas.queries.queue import Budget, make_queue
from ctatlas.atlas.queries.remaining import Estimate, RemainingError, remaining_error
from ctatlas.atlas.queries.strategies import STRATEGIES, Draw, Strategy, strategy, strategy_called
from ctatlas.atlas.queries.tiles import tiles_of

__all__ = [
    "PLACES",
    "STRATEGIES",
    "Budget",
    "Candidate",
    "Candidates",
    "Draw",
    "Estimate",
    "RemainingError",
    "Strategy",
    "aift",
    "ask",
    "candidates_in",
    "diverse",
    "make_queue",
    "places_record",
    "plain",
    "queries_of",
    "remaining_error",
    "remaining_in",
    "strategy",
    "strategy_called",
    "stratified",
    "tiles_of",
]
