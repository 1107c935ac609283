"""Label sets: which id means which structure in a dataset or a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType

from ctatlas.anatomy.structures import canonical_name, structures
from ctatlas.anatomy.tables import DATA, refuse_faults, rows
from ctatlas.errors import ModelError


@dataclass(frozen=True, slots=True)
class LabelSet:
    """A named table id → structure; id 0 is the background of every set and stands in none."""

    name: str
    labels: Mapping[int, str]  # canonical names
    native_names: Mapping[int, str]  # the dataset's own spelling, for file names and tables

    def id_of(self, structure: str) -> int:
        """Return the id of a structure, asked for by any of its names.

        Raises
        ------
        ModelError
            When no structure is called that, or it is not in this set.
        """
        wanted = canonical_name(structure)
        for number, name in self.labels.items():
            if name == wanted:
                return number
        raise ModelError(f"label set {self.name} has no {wanted}; it has: {', '.join(self.labels.values())}")

    def name_of(self, structure: str) -> str:
        """Return the set's own spelling of a structure; raises as `id_of` does.

        Examples
        --------
        >>> label_set("abdomenatlas-1.1").name_of("inferior_vena_cava")
        'postcava'
        """
        return self.native_names[self.id_of(structure)]


@cache
def label_set(name: str) -> LabelSet:
    """Read one label set.

    Raises
    ------
    ModelError
        When there is no set of that name, or its table contradicts itself.
    """
    if name not in label_set_names():
        near = get_close_matches(name, label_set_names(), n=3)
        known = f"near: {', '.join(near)}" if near else f"known: {', '.join(label_set_names())}"
        raise ModelError(f"no label set is called {name!r}; {known}")
    table = rows(f"label_sets/{name}.csv")
    refuse_faults(f"label_sets/{name}.csv", _faults(table))
    return LabelSet(
        name=name,
        labels=MappingProxyType({int(row["id"]): row["structure"] for row in table}),
        native_names=MappingProxyType({int(row["id"]): row["native_name"] for row in table}),
    )


@cache
def label_set_names() -> tuple[str, ...]:
    """Return the names of all label sets, sorted."""
    return tuple(sorted(path.stem for path in (DATA / "label_sets").glob("*.csv")))


def _faults(table: list[dict[str, str]]) -> Iterator[str]:
    for column in ("id", "structure", "native_name"):
        counts = Counter(row[column] for row in table)
        yield from (f"{column} {value!r} is given twice" for value, n in counts.items() if n > 1)
    for row in table:
        if not row["id"].isdecimal() or int(row["id"]) < 1:
            yield f"id {row['id']!r} is not a whole number from 1 on"
        if row["structure"] not in structures():
            yield f"{row['structure']!r} is not in structures.csv"
        if not row["source"]:
            yield f"id {row['id']} has no source"
