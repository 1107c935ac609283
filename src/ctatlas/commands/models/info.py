"""`ctatlas models info`: what a model's card says."""

from __future__ import annotations

from string import ascii_uppercase
from typing import TYPE_CHECKING, Annotated

import typer

from ctatlas.commands.console import say, say_json, say_table, tell
from ctatlas.commands.options import AsJson, Debug

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctatlas.models import ModelCard
    from ctatlas.models.catalogue import Entry

    Measure = tuple[str, str]  # metric, data

EXAMPLE = "ctatlas models info ctatlas/base"


def info(
    model: Annotated[str, typer.Argument(help="A model's name, or its folder.")],
    *,
    json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Show a model's card: what it finds and how well, what it needs, whose data it learned from."""
    from ctatlas.models import card, model_names
    from ctatlas.models.catalogue import entries

    entry = entries().get(model)
    if entry is not None and model not in model_names():
        if entry.card is None:
            _say_entry(entry, json=json)
            return
        tell(f"{model} is not here yet; 'ctatlas models pull {model}' gets it")
        found = entry.card
    else:
        found = card(model)
    if json:
        say_json(found.model_dump(mode="json") | {"structures": found.structures})
        return
    say(f"{found.name} {found.version}: {found.description}")
    say(f"Not for {found.not_for}")
    spacing = " x ".join(f"{mm:g}" for mm in found.input.spacing_mm)
    say(f"Works at {spacing} mm, in windows of {' x '.join(map(str, found.window.shape))} voxels.\n")
    if found.preset:
        say(f"Runs as the preset {found.preset} has it.\n")
    measures = _measures(found)
    say_table(
        ["structure", "status", *(f"{letter} (n)" for letter in measures.values())],
        [[name, status.replace("_", " "), *_cells(found, measures, name)] for name, status in found.structures.items()],
    )
    if measures:
        say("")
    for (metric, data), letter in measures.items():
        say(f"{letter}: {metric} on {data}; n cases in brackets")
    say(f"\nLicence: {found.license}")
    if found.citation:
        say(f"Cite: {found.citation}")
    for source in found.attribution:
        say(f"Data: {source.text}")


def _say_entry(entry: Entry, *, json: bool) -> None:
    """Show what is known of a public checkpoint without a card of ours."""
    if json:
        say_json(entry.model_dump(mode="json"))
        return
    say(f"{entry.name}: {entry.description}")
    say(f"Lies at {', '.join(entry.sources)}")
    say(f"Licence: {entry.license}{f' ({entry.license_url})' if entry.license_url else ''}")
    if entry.citation:
        say(f"Cite: {entry.citation}")


def _measures(card: ModelCard) -> dict[Measure, str]:
    """Name each sort of figure that a card gives, a metric on some data, by a letter."""
    different = dict.fromkeys((each.metric, each.data) for each in card.evidence)
    return {measure: _letters(number) for number, measure in enumerate(different)}


def _letters(number: int) -> str:
    """Count A, B, …, Z, AA, AB and so on."""
    return (_letters(number // 26 - 1) if number >= 26 else "") + ascii_uppercase[number % 26]


def _cells(card: ModelCard, measures: Mapping[Measure, str], structure: str) -> list[str]:
    """Write the figures of a structure, one for every measure."""
    own = {(each.metric, each.data): each for each in card.evidence if each.structure == structure}
    return [f"{own[measure].value:.3f} ({own[measure].n})" if measure in own else "" for measure in measures]
