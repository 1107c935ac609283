"""From one label set to another by canonical names, fusing parts into unions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ctatlas.anatomy.label_sets import LabelSet, label_set
from ctatlas.anatomy.structures import smallest_parts, structures


@dataclass(frozen=True, slots=True)
class Conversion:
    """What becomes of every label of one set in another, and what is lost on the way."""

    from_set: LabelSet
    to_set: LabelSet
    ids: Mapping[int, int]  # id there → id here; several may fuse into one
    lost: tuple[str, ...]  # structures of `from_set` that `to_set` has no place for
    absent: tuple[str, ...]  # structures of `to_set` that nothing of `from_set` gives
    incomplete: Mapping[str, tuple[str, ...]]  # structure of `to_set` → the parts of it that `from_set` lacks


def convert(from_set: str | LabelSet, to_set: str | LabelSet) -> Conversion:
    """Work out how labels of one set are written in another.

    A structure goes to the same structure, or else to the smallest union that holds it (lung lobes → `lung_left`).
    Nothing is ever split: `lung_left` has no place in a set of lobes.

    Raises
    ------
    ModelError
        When a label set is not known.

    Examples
    --------
    >>> fused = convert("totalsegmentator-v2", "abdomenatlas-1.1")
    >>> fused.ids[10], fused.ids[11], "heart" in fused.lost
    (21, 21, True)
    """
    source, target = (label_set(name) if isinstance(name, str) else name for name in (from_set, to_set))
    id_of = {structure: number for number, structure in target.labels.items()}
    homes = {number: _home(structure, id_of) for number, structure in source.labels.items()}
    ids = {number: id_of[home] for number, home in homes.items() if home}
    given = {home: [source.labels[n] for n, where in homes.items() if where == home] for home in homes.values() if home}
    missing = {home: _missing_parts(home, names) for home, names in given.items()}
    return Conversion(
        from_set=source,
        to_set=target,
        ids=MappingProxyType(ids),
        lost=tuple(source.labels[number] for number, home in homes.items() if not home),
        absent=tuple(structure for structure in target.labels.values() if structure not in given),
        incomplete=MappingProxyType({home: parts for home, parts in missing.items() if parts}),
    )


def _home(structure: str, targets: Mapping[str, int]) -> str:
    if structure in targets:
        return structure
    wanted = smallest_parts(structure)
    unions = [name for name in targets if structures()[name].parts and wanted <= smallest_parts(name)]
    return min(unions, key=lambda name: len(smallest_parts(name)), default="")


def _missing_parts(home: str, names: list[str]) -> tuple[str, ...]:
    return tuple(sorted(smallest_parts(home) - frozenset().union(*map(smallest_parts, names))))
