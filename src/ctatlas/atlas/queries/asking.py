"""The files of questions: what could be asked, what was asked, what was answered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.queries.candidates import candidates_in
from ctatlas.atlas.queries.queue import Budget, make_queue
from ctatlas.atlas.queries.remaining import RemainingError, remaining_error
from ctatlas.atlas.records import PlacesRecord, QueryRecord, RevisionRecord, read_record, write_record

if TYPE_CHECKING:
    from ctatlas.atlas.atlas import Atlas

PLACES = "places.json"  # in a case's attention folder
_ROUNDS = 10  # strategies that explore first exploit from here on. Source: estimate


def ask(atlas: Atlas, budget: Budget, *, strategy: str | None = None, seed: int = 0) -> QueryRecord:
    """Choose what annotators are asked next, and write it down as the next of `queries/`.

    Parameters
    ----------
    atlas : Atlas
        Held for writing by the caller. What `attend` saw in its cases can be asked, less the structures that were
        looked at in a revision.
    budget : Budget
        Of minutes, or of places.
    strategy : str, optional
        A key of `STRATEGIES`; default: what `atlas.toml` says.
    seed : int, optional

    Raises
    ------
    AtlasError
        When the strategy is unknown or nothing is left to ask.
    OutputError
        When the record can't be written.
    """
    places = {place.case: place for place in atlas.cases()}
    seen = {case: place.attention / PLACES for case, place in places.items()}
    candidates = candidates_in({case: read_record(PlacesRecord, path) for case, path in seen.items() if path.is_file()})
    revisions = {case: revisions_of(places[case]) for case in dict.fromkeys(candidates.case.tolist())}
    looked_at = {(case, name) for case, held in revisions.items() for each in held for name in _looked_at(each)}
    rows = zip(candidates.case.tolist(), candidates.structure.tolist(), strict=True)
    candidates.asked[:] = [row in looked_at for row in rows]
    number = 1 + max((record.number for record in queries_of(atlas)), default=0)
    record = make_queue(
        candidates,
        budget,
        number=number,
        strategy=strategy or atlas.config.queries.strategy,
        random_share=atlas.config.queries.random_share,
        seed=seed,
        progress=min(1.0, (number - 1) / (_ROUNDS - 1)),
        revisions={case: max((each.number for each in held), default=0) for case, held in revisions.items()},
    )
    atlas.place.queries.mkdir(exist_ok=True)
    write_record(record, query_path(atlas, number))
    return record


def remaining_in(atlas: Atlas) -> RemainingError | None:
    """Estimate what is still wrong in an atlas; None while no query has two answers of its random share."""
    queries = queries_of(atlas)
    cases = {item.case for query in queries for item in query.items if item.is_random}
    return remaining_error(queries, {case: revisions_of(atlas.place.case(case)) for case in sorted(cases)})


def queries_of(atlas: Atlas) -> list[QueryRecord]:
    """Read what was asked so far, the first question first."""
    return [read_record(QueryRecord, path) for path in sorted(atlas.place.queries.glob("[0-9]*.json"))]


def query_path(atlas: Atlas, number: int) -> Path:
    """Return where a query lies; they are numbered from 1."""
    return atlas.place.queries / f"{number:04d}.json"


def revisions_of(place: CasePlace) -> list[RevisionRecord]:
    """Read the revisions of a case, the oldest first."""
    return [read_record(RevisionRecord, folder / "revision.json") for folder in place.revisions()]


def _looked_at(revision: RevisionRecord) -> set[str]:
    return {*revision.reviewed, *revision.masks}
