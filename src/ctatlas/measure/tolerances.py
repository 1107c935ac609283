"""How far a surface may be off and still count as right, structure by structure: published sets, and tables."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from ctatlas.anatomy import structure_called
from ctatlas.errors import ModelError

DEFAULT = "default"
_ALL = "*"
_AT_MOST_MM = 1000.0


@dataclass(frozen=True, slots=True)
class ToleranceSet:
    """Tolerances under a name and a version, so that a number can be traced to them.

    Attributes
    ----------
    name : str
    version : int
    others_mm : tuple of float
        For structures that are not in `by_structure`.
    by_structure : mapping of str to float
        In mm.
    """

    name: str
    version: int
    others_mm: tuple[float, ...]
    by_structure: Mapping[str, float] = field(default_factory=dict)

    def of(self, structure: str) -> tuple[float, ...]:
        """Return the tolerances of a structure, in mm.

        Examples
        --------
        >>> tolerance_set("flare22").of("duodenum"), tolerance_set("flare22").of("heart")
        ((7.0,), (1.0,))
        """
        return (self.by_structure[structure],) if structure in self.by_structure else self.others_mm

    def record(self) -> dict[str, object]:
        """Say it in words of JSON."""
        return {
            "name": self.name,
            "version": self.version,
            "others_mm": list(self.others_mm),
            "by_structure": dict(sorted(self.by_structure.items())),
        }


def same_for_all(tolerances_mm: Sequence[float]) -> ToleranceSet:
    """Make a set of the same tolerances for every structure.

    Raises
    ------
    ModelError
        When one is no length, or there is none.
    """
    odd = [value for value in tolerances_mm if not 0 <= value <= _AT_MOST_MM]
    if odd or not tolerances_mm:
        given = f"{odd[0]:g} mm" if odd else "none"
        raise ModelError(f"a tolerance is {given}; expected 0 to {_AT_MOST_MM:g} mm")
    return ToleranceSet("given", 1, tuple(sorted({float(value) for value in tolerances_mm})))


def tolerance_set(name: str) -> ToleranceSet:
    """Return a published set by its name.

    Raises
    ------
    ModelError
        When no set is called that.
    """
    sets = _published()
    if name not in sets:
        near = get_close_matches(name, sets, n=1)
        hint = f"{near[0]}?" if near else f"there are {', '.join(sets)}"
        raise ModelError(f"no set of tolerances is called {name!r}; {hint}")
    return sets[name]


def tolerance_set_names() -> tuple[str, ...]:
    """Return the names of the published sets."""
    return tuple(_published())


def tolerances_from(text: str, name: str) -> ToleranceSet:
    """Read a set from a table of CSV.

    Parameters
    ----------
    text : str
        With the columns `structure` and `tolerance_mm`, in any order and among others; `*` stands for all structures
        that have no row, which otherwise get 1 mm.
    name : str
        What to call the set.

    Raises
    ------
    ModelError
        When a column is missing, a row contradicts another, or a tolerance is no length.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    delimiter = max(",;\t", key=lines[0].count) if lines else ","
    try:
        table = csv.DictReader(lines, delimiter=delimiter, strict=True)
        columns = list(table.fieldnames or ())
        if odd := [column for column in ("structure", "tolerance_mm") if columns.count(column) != 1]:
            n = columns.count(odd[0])
            raise ModelError(f"{name}: has {n or 'no'} column{'s' * (n > 1)} {odd[0]!r}; expected one")
        rows = [(str(row["structure"]).strip(), str(row["tolerance_mm"])) for row in table]
    except csv.Error as error:
        raise ModelError(f"{name}: is no table of tolerances: {error}") from None
    return _set_of(name, 1, rows)


def _set_of(name: str, version: int, rows: Iterable[tuple[str, str]]) -> ToleranceSet:
    found: dict[str, float] = {}
    for number, (spelling, text) in enumerate(rows, start=1):
        structure = spelling if spelling == _ALL else structure_called(spelling) or spelling
        if structure in found:
            raise ModelError(f"{name}: row {number}: {structure} is given twice")
        found[structure] = _length(text, f"{name}: row {number}")
    others = found.pop(_ALL, 1.0)
    return ToleranceSet(name, version, (others,), found)


def _length(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= _AT_MOST_MM:
        raise ModelError(f"{where}: the tolerance is {text[:40]!r}; expected 0 to {_AT_MOST_MM:g} mm")
    return value


@cache
def _published() -> Mapping[str, ToleranceSet]:
    text = files("ctatlas.measure").joinpath("data", "tolerances.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines(), strict=True))
    versions = {(row["set"], int(row["version"])) for row in rows}
    return {
        name: _set_of(name, version, [(row["structure"], row["tolerance_mm"]) for row in rows if row["set"] == name])
        for name, version in sorted(versions, key=lambda one: (one[0] != DEFAULT, one))
    }
