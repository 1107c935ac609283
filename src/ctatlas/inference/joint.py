"""Several models as one: which structures they find together, and which of them speaks of which.

A structure is known to a model as a class of its own, as classes that make it up (both hips, where another model finds
hips), or from calibrated HU. What models find by arg-max competes for voxels with what may not share them; what only
models with a threshold find is decided for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ctatlas.anatomy import may_share_voxels, smallest_parts, structures
from ctatlas.errors import ModelError
from ctatlas.models import ModelCard
from ctatlas.models.cards import Calibrated, OutputClass, Status

_BEST_FIRST = ("usable", "experimental", "not_usable")


@dataclass(frozen=True, slots=True)
class Voice:
    """How one model speaks of a structure.

    Attributes
    ----------
    member : int
        Which of the models.
    channels : tuple of int
        The classes that make it up.
    calibrated : tuple of str
        What of it HU gives without learning.
    """

    member: int
    channels: tuple[int, ...]
    calibrated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """Structures that are decided together.

    Attributes
    ----------
    names : tuple of str
    threshold : float or None
        From which mean probability on each is found for itself; None where they compete.
    """

    names: tuple[str, ...]
    threshold: float | None


@dataclass(frozen=True, slots=True)
class Joint:
    """Several cards as one.

    Attributes
    ----------
    cards : tuple of ModelCard
    card : ModelCard
        What they find together; its channels are numbers without a network.
    voices : mapping of str to tuple of Voice
        Class -> who speaks of it.
    fields : tuple of Field
    """

    cards: tuple[ModelCard, ...]
    card: ModelCard
    voices: Mapping[str, tuple[Voice, ...]]
    fields: tuple[Field, ...]


def joint(cards: Sequence[ModelCard]) -> Joint:
    """Join the cards of several models.

    Raises
    ------
    ModelError
        When a model finds one side of what another finds as both sides together, and not the other side.
    """
    classes = _classes(cards)
    voices = {each.name: tuple(_voices(each, cards)) for each in classes}
    in_classes = {name for each in classes for name in _structures_of(each)}
    calibrated = dict.fromkeys(name for card in cards for name in card.calibrated.structures if name not in in_classes)
    return Joint(tuple(cards), _card(cards, classes, tuple(calibrated)), voices, _fields(classes, voices, cards))


def listed(cards: Sequence[ModelCard]) -> ModelCard:
    """Return one card for several models that find different things, each by itself; of what two find the first counts.

    It names structures and nothing that is needed to run a network.
    """
    found: dict[str, Status] = {}
    for card in cards:
        for name, status in card.structures.items():
            found.setdefault(name, status)
    classes = [
        OutputClass(channel=number, name=name, role="structure" if name in structures() else "native", status=status)
        for number, (name, status) in enumerate(found.items(), 1)
    ]
    return _card(cards, classes, ()).model_copy(update={"rules": ()})


def _classes(cards: Sequence[ModelCard]) -> list[OutputClass]:
    """List every class once; what is a structure for one model is none but that, sides go into what is split."""
    found: dict[str, OutputClass] = {}
    for role in ("structure", "native", "auxiliary"):
        for card in cards:
            for each in card.classes:
                if each.role == role:
                    known = found.setdefault(each.name, each)
                    found[each.name] = _better(known, each) if known.role == role else known
    halves = {half: each for each in found.values() if each.split for half in _structures_of(each)}
    for half, whole in halves.items():
        if half in found and (alone := [card for card in cards if _is_alone(half, whole, card)]):
            raise ModelError(
                f"{alone[0].name} finds {half} alone, another model {whole.name} as a whole, so that they can't be "
                "asked together"
            )
    left = [each for name, each in found.items() if name not in halves]
    return [each.model_copy(update={"channel": number}) for number, each in enumerate(left, start=1)]


def _better(one: OutputClass, other: OutputClass) -> OutputClass:
    """Take the better status, and the split if any has one."""
    status = min(one.status, other.status, key=_BEST_FIRST.index)
    return one.model_copy(update={"status": status, "split": one.split or other.split})


def _is_alone(half: str, whole: OutputClass, card: ModelCard) -> bool:
    names = {each.name for each in card.classes}
    return half in names and not set(_structures_of(whole)) <= names


def _structures_of(each: OutputClass) -> tuple[str, ...]:
    return (each.split.left, each.split.right) if each.split else (each.name,)


def _voices(wanted: OutputClass, cards: Sequence[ModelCard]) -> Iterator[Voice]:
    for member, card in enumerate(cards):
        own = [each.channel for each in card.classes if each.name == wanted.name and each.role == wanted.role]
        if own:
            yield Voice(member, tuple(own))
        elif wanted.role == "structure" and (parts := _parts(wanted, card)):
            channels = {each.channel for each in card.classes if parts & {*_structures_of(each)}}
            yield Voice(member, tuple(sorted(channels)), tuple(sorted(parts & {*card.calibrated.structures})))


def _parts(wanted: OutputClass, card: ModelCard) -> frozenset[str]:
    """Return what of a card makes up a class exactly; empty where it doesn't."""
    if wanted.split and {*_structures_of(wanted)} <= card.structures.keys():
        return frozenset(_structures_of(wanted))
    whole = smallest_parts(wanted.name) if wanted.name in structures() else frozenset({wanted.name})
    known = [name for name in card.structures if name in structures()]
    parts = frozenset(name for name in known if smallest_parts(name) <= whole)
    return parts if parts and frozenset().union(*map(smallest_parts, parts)) == whole else frozenset()


def _fields(
    classes: Sequence[OutputClass], voices: Mapping[str, tuple[Voice, ...]], cards: Sequence[ModelCard]
) -> tuple[Field, ...]:
    rivals: list[list[str]] = []
    alone: dict[float, list[str]] = {}
    for name in (each.name for each in classes):
        speaking = [cards[voice.member] for voice in voices[name] if voice.channels]
        if any(card.decide == "argmax" for card in speaking):
            fitting = (field for field in rivals if all(_compete(name, other, voices, cards) for other in field))
            field = next(fitting, None)
            if field is None:
                rivals.append(field := [])
            field.append(name)
        else:
            threshold = sum(card.threshold for card in speaking) / len(speaking)
            alone.setdefault(threshold, []).append(name)
    return (
        *(Field(tuple(names), None) for names in rivals),
        *(Field(tuple(names), threshold) for threshold, names in alone.items()),
    )


def _compete(name: str, other: str, voices: Mapping[str, tuple[Voice, ...]], cards: Sequence[ModelCard]) -> bool:
    """Tell whether a voxel can't be both: a model decides between them, or anatomy forbids it."""
    together = {voice.member for voice in voices[name]} & {voice.member for voice in voices[other]}
    if any(cards[member].decide == "argmax" for member in together):
        return True
    return {name, other} <= structures().keys() and not may_share_voxels(name, other)


def _card(cards: Sequence[ModelCard], classes: Sequence[OutputClass], calibrated: tuple[str, ...]) -> ModelCard:
    background = OutputClass(channel=0, name="background", role="background")
    return cards[0].model_copy(
        update={
            "name": _once(card.name for card in cards),
            "version": " + ".join(card.version for card in cards),
            "license": _once(card.license for card in cards),
            "classes": (background, *classes),
            "decide": "argmax",
            "calibrated": Calibrated(structures=calibrated),
            "rules": tuple(
                rule for number, card in enumerate(cards) for rule in card.rules if _is_new(rule, cards[:number])
            ),
            "attribution": tuple(dict.fromkeys(each for card in cards for each in card.attribution)),
            "evidence": (),
        }
    )


def _is_new(rule: object, before: Sequence[ModelCard]) -> bool:
    return all(rule not in card.rules for card in before)


def _once(texts: Iterable[str]) -> str:
    return " + ".join(dict.fromkeys(texts))
