"""What licences ask for, as far as a table knows them: doubts for people to settle, no judgement."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data"
_CONDITIONS = {
    "non_commercial": "no commercial use",
    "share_alike": "the same licence for what is made of it",
    "no_derivatives": "nothing made of it passed on",
}


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence that the table knows.

    Attributes
    ----------
    identifier : str
        As dataset repositories call it.
    asks : frozenset of str
        Keys of conditions beyond naming the makers.
    """

    name: str
    identifier: str
    url: str
    asks: frozenset[str]


def licence_called(text: str) -> Licence | None:
    """Return a licence by any usual spelling.

    Examples
    --------
    >>> licence_called("cc-by-nc-sa-4.0").name, licence_called("ask us")
    ('CC BY-NC-SA 4.0', None)
    """
    return _known().get(_spelling(text))


def licence_doubts(ours: str, theirs: Mapping[str, str]) -> Iterator[str]:
    """Yield what a person must settle before a release is given away, a line each.

    Parameters
    ----------
    ours : str
        The licence of the masks that were made here.
    theirs : mapping of str to str
        Source dataset -> its licence.
    """
    if not ours:
        yield "The licence of the masks is not stated: set licence in atlas.toml."
    for dataset, text in theirs.items():
        if not text:
            yield f"The licence of dataset {dataset} is not known: state it in datasets/."
            continue
        licence, mine = licence_called(text), licence_called(ours)
        if licence is None:
            yield f"Dataset {dataset} is given on terms that a person must compare: {text}."
            continue
        for key in sorted(licence.asks - (mine.asks if mine else frozenset())):
            yield f"Dataset {dataset} ({text}) asks for {_CONDITIONS[key]}; {ours or 'the release'} does not."


@cache
def _known() -> Mapping[str, Licence]:
    with (DATA / "licences.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    found = [
        Licence(row["name"], row["identifier"], row["url"], frozenset(key for key in _CONDITIONS if row[key] == "yes"))
        for row in rows
    ]
    return {_spelling(spelling): one for one in found for spelling in (one.name, one.identifier)}


def _spelling(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
