"""The members of an atlas's ensemble: models, and variants of a model that is shown a scan in another way.

A member is called as its model, or as its model and a variant: `ctatlas/base+shift`. Variants are rows of a table; each
has a kind, and kinds are functions from the table's amount to a view. A model may be given by its folder; what it left
bears the name on its card all the same. Predictions that came with a scan bear names that begin with `given/`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.errors import AtlasError
from ctatlas.models import card, model_names

if TYPE_CHECKING:
    from ctatlas.inference import View
    from ctatlas.models import ModelCard

_TABLE = Path(__file__).parent / "data" / "variants.csv"

GIVEN = "given/"  # before the name of who made predictions that came with scans: there is no such model to run


def _shifted(voxels: float) -> View:
    from ctatlas.inference import View  # here and below: heavy, and of no use to steps that show no network anything

    return View(shift=(voxels, voxels, voxels))


def _spaced(times: float) -> View:
    from ctatlas.inference import View

    return View(spacing=times)


def _mirrored(yes: float) -> View:
    from ctatlas.inference import View

    return View(mirrored=bool(yes))


KINDS: dict[str, Callable[[float], View]] = {"shift": _shifted, "spacing": _spaced, "mirror": _mirrored}


@dataclass(frozen=True, slots=True)
class Variant:
    """A row of `data/variants.csv`: how a network is shown a scan otherwise than its card says."""

    name: str
    view: View
    about: str
    source: str


@dataclass(frozen=True, slots=True)
class Member:
    """One that predicts.

    Attributes
    ----------
    name : str
        The name on the model's card, with `+variant` where it is one.
    model : str
        The model as it was asked for: its name, or its folder.
    asked_for : str
        The same, with `+variant` where it is one.
    card : ModelCard
    view : View
        How its network is shown a scan.
    """

    name: str
    model: str
    asked_for: str
    card: ModelCard
    view: View


@cache
def variants() -> dict[str, Variant]:
    """Read the table of variants, by name."""
    with _TABLE.open(encoding="utf-8", newline="") as file:
        return {
            row["variant"]: Variant(
                row["variant"], KINDS[row["kind"]](float(row["amount"])), row["about"], row["source"]
            )
            for row in csv.DictReader(file, strict=True)
        }


def members_called(names: Sequence[str]) -> list[Member]:
    """Return members by their names.

    Parameters
    ----------
    names : sequence of str
        Models by name or folder, each with `+variant` where a variant of it is meant.

    Raises
    ------
    ModelError
        When there is no such model, or it can't be shown a mirrored scan.
    AtlasError
        When a variant is unknown, or two members would bear one name.
    """
    found = [_member(name) for name in dict.fromkeys(names)]
    called = [member.name for member in found]
    if twice := sorted({name for name in called if called.count(name) > 1}):
        raise AtlasError(f"two members are called {twice[0]}; give each model's card a name of its own")
    return found


def names_called(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names under which members' predictions lie: of a model given by its folder the one on its card.

    Raises
    ------
    ModelError
        When the folder of a model is not there any more, or its card is broken.
    """
    return tuple(dict.fromkeys(map(_name, names)))


def members_to_keep(names: Sequence[str]) -> tuple[str, ...]:
    """Return members as `atlas.toml` keeps them: a model's folder by its whole path, wherever a step is run.

    Raises
    ------
    ModelError, AtlasError
        As `members_called`.
    """
    members_called(runnable(names))
    return tuple(str(Path(name).absolute()) if _is_folder(name) else name for name in dict.fromkeys(names))


def runnable(names: Iterable[str]) -> list[str]:
    """Return the members that can be asked to predict: not those whose predictions came with the scans."""
    return [name for name in names if not name.startswith(GIVEN)]


def _name(text: str) -> str:
    return _name_on_card(text) if _is_folder(text) else text  # if there is such a model only who predicts must know


def _is_folder(text: str) -> bool:
    model = text.rpartition("+")[0] or text
    if Path(model).is_absolute():
        return True
    return any(Path(one).is_dir() for one in (text, model)) and not {text, model} & {*model_names()}


@cache
def _name_on_card(text: str) -> str:
    model, variant = _parted(text)
    return f"{card(model).name}+{variant}" if variant else card(model).name


def _member(text: str) -> Member:
    from ctatlas.inference import AS_ITS_CARD_SAYS, mirrored_channels

    model, variant = _parted(text)
    found = card(model)
    if not variant:
        return Member(found.name, model, text, found, AS_ITS_CARD_SAYS)
    view = variants()[variant].view
    if view.mirrored:
        mirrored_channels(found)
    return Member(f"{found.name}+{variant}", model, text, found, view)


def _parted(text: str) -> tuple[str, str]:
    """Part a member's name into model and variant; a model's own name or folder may hold a plus."""
    model, plus, variant = text.rpartition("+")
    if not plus or text in model_names() or Path(text).is_dir():
        return text, ""
    if variant not in variants():
        near = get_close_matches(variant, variants(), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise AtlasError(f"{text}: no variant is called {variant!r}; {hint}known: {', '.join(variants())}")
    return model, variant
