"""The list of public checkpoints, read and checked."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ctatlas.errors import ModelError
from ctatlas.models.cards import NAME, CommercialUse, ModelCard, read_card

_HERE = Path(__file__).parent
_TABLE = "checkpoints.toml"

Use = Literal["card", "nnunet", "start", "elsewhere"]


class Entry(BaseModel):
    """A public checkpoint.

    Attributes
    ----------
    name, version, description, citation : str
    license, license_url, commercial_use : str
    file : str
        What it is called where it lies.
    sources : tuple of str
    sha256 : str, optional
        None where nobody has published it.
    bytes : int, optional
    structures : int
        How many it finds.
    use : str
        "card": runs by the card; "nnunet": by its own plans; "start": begins a training; "elsewhere": not here.
    card_file : Path, optional
    source : str
        Where these facts are from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    name: Annotated[str, Field(pattern=NAME)]
    version: str = "1"
    description: str
    citation: str = ""
    license: str
    license_url: str = ""
    commercial_use: CommercialUse
    file: str
    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    sha256: str | None = None
    bytes: int | None = None
    structures: int
    use: Use
    card_file: Path | None = None
    source: str = ""

    @property
    def card(self) -> ModelCard | None:
        """Return its card, if it has one of ours."""
        return read_card(self.card_file) if self.card_file else None


@cache
def entries() -> Mapping[str, Entry]:
    """Return every public checkpoint by its name: those with cards, then the others.

    Raises
    ------
    ModelError
        When the tables contradict themselves.
    """
    found: dict[str, Entry] = {}
    for each in (*_with_cards(), *_others()):
        if each.name in found:
            raise ModelError(f"{each.name}: named twice among the public checkpoints")
        found[each.name] = each
    return MappingProxyType(found)


def entry_of_file(file: str) -> Entry | None:
    """Return the checkpoint whose file is called so, if one is."""
    return next((each for each in entries().values() if each.file == file), None)


def _with_cards() -> Iterator[Entry]:
    for path in sorted((_HERE / "cards").glob("*.toml")):
        card = read_card(path)
        yield Entry(
            name=card.name,
            version=card.version,
            description=card.description,
            citation=card.citation,
            license=card.license,
            license_url=card.license_url,
            commercial_use=card.commercial_use,
            file=card.weights.file,
            sources=card.weights.sources,
            sha256=card.weights.sha256,
            bytes=card.weights.bytes,
            structures=len(card.structures),
            use="card",
            card_file=path,
        )


def _others() -> Iterator[Entry]:
    table = tomllib.loads((_HERE / _TABLE).read_text(encoding="utf-8"))
    for row in table["checkpoint"]:
        try:
            yield Entry.model_validate(row)
        except ValidationError as error:
            raise ModelError(f"{_TABLE}: {row.get('name')}: {error.errors()[0]['msg']}") from None
