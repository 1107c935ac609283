"""Which structures to give of those a model finds, and what to call them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ctatlas.anatomy import LabelSet, canonical_name, convert, label_set, smallest_parts, structures
from ctatlas.errors import ModelError

if TYPE_CHECKING:
    from ctatlas.models import ModelCard
    from ctatlas.volume import Segmentation

ALL = "all"  # asks for every structure that is usable or experimental
_DOUBTFUL = {"experimental": "marked experimental", "not_usable": "warning: marked not usable"}


@dataclass(frozen=True, slots=True)
class Naming:
    """What comes out of a model's structures.

    Attributes
    ----------
    parts : mapping of str to tuple of str
        Canonical name -> the model's structures that make it up; mostly itself alone.
    file_names : mapping of str to str
        Canonical name -> the label set's spelling.
    ids : mapping of str to int
    label_set : str or None
    remarks : tuple of str
        What was left out and why, one line each.
    """

    parts: Mapping[str, tuple[str, ...]]
    file_names: Mapping[str, str]
    ids: Mapping[str, int]
    label_set: str | None = None
    remarks: tuple[str, ...] = ()

    @property
    def needed(self) -> tuple[str, ...]:
        """Return the model's structures that any output is made of."""
        return tuple(dict.fromkeys(part for parts in self.parts.values() for part in parts))

    def known_to(self, names: Collection[str]) -> Naming:
        """Leave out what can't be made of these structures of a model."""
        known = {name: parts for name, parts in self.parts.items() if set(parts) <= set(names)}
        file_names = {name: self.file_names[name] for name in known}
        return replace(self, parts=known, file_names=file_names, ids={name: self.ids[name] for name in known})

    def apply(self, segmentation: Segmentation) -> Segmentation:
        """Fuse parts into unions and leave out the rest; names stay canonical."""
        unions = {name: parts for name, parts in self.parts.items() if parts != (name,)}
        for name, parts in unions.items():
            mask = segmentation.mask(parts[0])
            for part in parts[1:]:
                mask |= segmentation.mask(part)
            segmentation = segmentation.add(name, mask)
        return segmentation.select(self.parts)


def name_outputs(card: ModelCard, wanted: Sequence[str] | None = None, label_set_name: str | None = None) -> Naming:
    """Decide what a model shall give.

    Parameters
    ----------
    card : ModelCard
    wanted : sequence of str, optional
        Structures by any of their names; unions such as `lungs` are put together from their parts. By default those
        that the card calls usable; `["all"]` adds the experimental ones.
    label_set_name : str, optional
        Gives names and ids; or the path of a `dataset.json` or `labels.json` that does. Structures that it has no place
        for are left out. By default canonical names, and the ids 1, 2, … in the order of the card.

    Raises
    ------
    ModelError
        When a structure or label set is not known, or the model or the label set does not have it.
    """
    if wanted is None or list(wanted) == [ALL]:
        allowed = {"usable"} if wanted is None else {"usable", "experimental"}
        chosen = {name: _parts(name, card) for name, status in card.structures.items() if status in allowed}
    else:
        chosen = {name: _parts(name, card) for name in dict.fromkeys(_asked(name, card) for name in wanted)}
    explicit = wanted is not None and list(wanted) != [ALL]
    remarks = _warnings(card, chosen)
    if label_set_name is None:
        order = [*card.structures, *(name for name in chosen if name not in card.structures)]
        ids = {name: number for number, name in enumerate(order, start=1) if name in chosen}
        return Naming(chosen, {name: name for name in chosen}, ids, None, remarks)
    return _in_label_set(chosen, label_set(label_set_name), remarks, explicit=explicit)


def _warnings(card: ModelCard, chosen: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Say which of the structures the card does not call usable."""
    needed = dict.fromkeys(part for parts in chosen.values() for part in parts)
    found = {status: [name for name in needed if card.structures[name] == status] for status in _DOUBTFUL}
    return tuple(
        f"{words} on the card of {card.name}: {', '.join(found[status])}"
        for status, words in _DOUBTFUL.items()
        if found[status]
    )


def _asked(name: str, card: ModelCard) -> str:
    """Return a structure by the model's own name for it, if it has that, else by its canonical name."""
    return name if name in card.structures else canonical_name(name)


def _parts(name: str, card: ModelCard) -> tuple[str, ...]:
    """Return the model's structures that make up one."""
    if name in card.structures:
        return (name,)
    wanted = smallest_parts(name)
    parts = [each for each in card.structures if each in structures() and smallest_parts(each) <= wanted]
    if not structures()[name].parts or frozenset().union(*map(smallest_parts, parts)) != wanted:
        raise ModelError(f"{card.name} does not find {name}; it finds {', '.join(card.structures)}")
    return tuple(parts)


def _in_label_set(
    chosen: Mapping[str, tuple[str, ...]], target: LabelSet, remarks: tuple[str, ...], *, explicit: bool
) -> Naming:
    numbered = {number: name for number, name in enumerate(chosen, start=1) if name in structures()}
    conversion = convert(LabelSet("the model", numbered, numbered), target)
    parts: dict[str, tuple[str, ...]] = {}
    for number, home in sorted(conversion.ids.items(), key=lambda pair: pair[1]):
        if (name := target.labels[home]) not in conversion.incomplete:
            parts[name] = parts.get(name, ()) + chosen[numbered[number]]
    given = {numbered[number] for number, home in conversion.ids.items() if target.labels[home] in parts}
    if lost := ", ".join(name for name in chosen if name not in given):
        if explicit or not parts:
            raise ModelError(f"label set {target.name} has no {lost}; it has {', '.join(target.labels.values())}")
        remarks += (f"left out, because label set {target.name} has no place for them: {lost}",)
    if target.unknown:
        remarks += (f"left out, because no structure is called so: {', '.join(target.unknown)} of {target.name}",)
    return Naming(
        parts=parts,
        file_names={name: target.name_of(name) for name in parts},
        ids={name: target.id_of(name) for name in parts},
        label_set=target.name,
        remarks=remarks,
    )
