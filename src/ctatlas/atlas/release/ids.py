"""The numbers under which cases are released: given once, in `releases/ids.csv`, and never to another case."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ctatlas.atlas.layout import AtlasPlace
from ctatlas.atomic import whole_file
from ctatlas.errors import AtlasError, OutputError

IDS = "ids.csv"
DIGITS = 8
_COLUMNS = ["number", "case"]
_AT_MOST = 10**DIGITS - 1


def numbers(place: AtlasPlace, prefix: str, dataset_cases: Mapping[str, str]) -> dict[str, int]:
    """Return the number of each case, those of earlier releases and new ones; write nothing.

    A case that bears such an id already, as those of a published release do, keeps its number where that is free. All
    others are counted on in the order of their ids.

    Parameters
    ----------
    place : AtlasPlace
    prefix : str
        Of the ids.
    dataset_cases : mapping of str to str
        Case -> what it is called in its source dataset, for all cases of the atlas.

    Raises
    ------
    AtlasError
        When the register can't be read.
    """
    given = _read(place.releases / IDS)
    bears = re.compile(re.escape(prefix) + rf"_(\d{{{DIGITS}}})")
    new = [case for case in sorted(dataset_cases) if case not in given]
    taken = set(given.values())
    for case in new:
        found = bears.fullmatch(dataset_cases[case])
        if found and int(found[1]) not in {0, *taken}:
            given[case] = int(found[1])
            taken.add(given[case])
    last = max(taken, default=0)
    counted = [case for case in new if case not in given]
    return given | {case: number for number, case in enumerate(counted, start=last + 1)}


def released_id(prefix: str, number: int) -> str:
    """Return the id of a released case.

    Examples
    --------
    >>> released_id("BDMAP", 12)
    'BDMAP_00000012'
    """
    if number > _AT_MOST:
        raise AtlasError(
            f"{prefix}: has no id of {DIGITS} digits left after {_AT_MOST}; choose another [release] prefix"
        )
    return f"{prefix}_{number:0{DIGITS}d}"


def remember(place: AtlasPlace, given: Mapping[str, int]) -> None:
    """Write the register.

    Raises
    ------
    OutputError
        When the place can't be written to.
    """
    text = io.StringIO()
    rows = sorted((number, case) for case, number in given.items())
    csv.writer(text, lineterminator="\n").writerows([_COLUMNS, *rows])
    try:
        place.releases.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{place.releases}: can't be made ({error.strerror})") from None
    with whole_file(place.releases / IDS) as file:
        file.write(text.getvalue().encode())


def _read(path: Path) -> dict[str, int]:
    if not path.exists():
        return {}
    try:
        rows: Sequence[Sequence[str]] = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
        given = {case: int(number) for number, case in rows[1:]}
    except (OSError, ValueError, csv.Error):
        given = {}
        rows = []
    if (
        not rows
        or list(rows[0]) != _COLUMNS
        or len({*given.values()}) < len(rows) - 1
        or min(given.values(), default=1) < 1
    ):
        raise AtlasError(f"{path}: is no register of ids ({','.join(_COLUMNS)}); bring it back from a backup")
    return given
