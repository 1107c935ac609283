"""Label sets: which id means which structure in a dataset or a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType

from ctatlas.anatomy.structures import canonical_name, structures
from ctatlas.anatomy.tables import DATA, refuse_faults, rows, words
from ctatlas.errors import ModelError


@dataclass(frozen=True, slots=True)
class LabelSet:
    """A named table id → structure; id 0 is the background of every set and stands in none.

    Attributes
    ----------
    name : str
    labels : mapping of int to str
        Canonical names.
    native_names : mapping of int to str
        The dataset's own spelling, for file names and tables. A set that was read from a file may name things here that
        no structure is called; they stand in `unknown` and nowhere else.
    split : mapping of int to str
        Labels that hold both sides → the rule of `anatomy_rules` that parts them into left and right.
    also : mapping of int to tuple of str
        Labels whose voxels count for more structures than their own: the tumor in a liver is liver, too.
    ignored : tuple of int
        Labels of voxels of which nobody said what they are: nnU-Net's "ignore".
    """

    name: str
    labels: Mapping[int, str]
    native_names: Mapping[int, str]
    split: Mapping[int, str] = field(default_factory=dict)
    also: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    ignored: tuple[int, ...] = ()

    @property
    def annotated(self) -> tuple[str, ...]:
        """Return the structures that data of this set tell about, absent ones too; both sides for one label of both.

        Examples
        --------
        >>> label_set("kits").annotated
        ('kidney_left', 'kidney_right', 'kidney_tumor', 'kidney_cyst')
        """
        return tuple(
            name
            for number, structure in self.labels.items()
            for name in (structures()[structure].parts if number in self.split else (structure,))
        )

    @property
    def unknown(self) -> tuple[str, ...]:
        """Return what the set numbers although no structure is called that."""
        return tuple(name for number, name in self.native_names.items() if number not in self.labels)

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


def label_set(name: str) -> LabelSet:
    """Read one label set: one of ours by its name, or a `dataset.json` or `labels.json` by its path.

    Raises
    ------
    ModelError
        When there is no set of that name, or its table contradicts itself.
    """
    from ctatlas.anatomy.label_files import names_a_file, read_label_set

    return read_label_set(name) if names_a_file(name) else _built_in(name)


@cache
def _built_in(name: str) -> LabelSet:
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
        split=MappingProxyType({int(row["id"]): row["split"] for row in table if row.get("split")}),
        also=MappingProxyType({int(row["id"]): words(row["also"]) for row in table if row.get("also")}),
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
        if row.get("split") and not _has_sides(row["structure"]):
            yield f"{row['structure']!r} is to be split but has no left and right part"
        for name in words(row.get("also", "")):
            if name not in {other["structure"] for other in table}:
                yield f"id {row['id']} counts for {name!r}, too, which has no label"


def _has_sides(name: str) -> bool:
    known = structures()
    parts = known[name].parts if name in known else ()
    return sorted(known[part].side for part in parts) == ["left", "right"]
