"""`atlas.toml`: an atlas's name, its structures, and whose masks win. People edit it; ctatlas reads it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ctatlas.anatomy import canonical_name, label_set
from ctatlas.atomic import whole_file
from ctatlas.errors import AtlasError, ModelError

CONFIG = "atlas.toml"
_AT_MOST_BYTES = 2**20
FORMAT = 1  # of this file; raised when an older ctatlas could misread it

LabelKind = Literal["original", "revised", "pseudo"]
Kinds = Annotated[tuple[LabelKind, ...], Field(min_length=1)]
Unit = Annotated[float, Field(ge=0, le=1)]


class Assembly(BaseModel):
    """Which mask becomes the one mask of a structure.

    Attributes
    ----------
    priorities : tuple of str
        The kinds of masks, the best first.
    structures : mapping of str to tuple of str
        Other priorities for single structures.
    annotators : str
        When several people revised a structure: "latest" takes the last revision; "majority" and "staple" make one mask
        of everybody's last.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    priorities: Kinds = ("original", "revised", "pseudo")
    structures: dict[str, Kinds] = {}
    annotators: Literal["latest", "majority", "staple"] = "latest"

    @field_validator("structures")
    @classmethod
    def _canonical(cls, given: dict[str, Kinds]) -> dict[str, Kinds]:
        return {canonical_name(name): kinds for name, kinds in given.items()}

    def kinds_for(self, structure: str) -> tuple[LabelKind, ...]:
        """Return the kinds of masks in question for a structure, the best first."""
        return self.structures.get(structure, self.priorities)


class Queries(BaseModel):
    """How cases are chosen for revision.

    Attributes
    ----------
    strategy : str
    random_share : float
        Part of every queue that is drawn foreground-aware at random, for an honest estimate of the remaining error.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: str = "default"
    random_share: Unit = 0.1


class Publication(BaseModel):
    """What a release says that no case can tell.

    Attributes
    ----------
    prefix : str
        Of the ids of released cases, before an underscore and eight digits.
    dataset_number : int
        Of the folder `Dataset<number>_<name>` that nnU-Net asks for.
    creators : tuple of str
    url, citation, contact : str
        Where it will be found, how it is cited, who answers.
    published : str
        A date, ISO 8601. Releases bear no other: the same state gives the same bytes.
    answers : mapping of str to str
        To the questions of the datasheet, by their keys.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefix: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,19}$")] = "BDMAP"
    dataset_number: Annotated[int, Field(ge=1, le=999)] = 1
    creators: tuple[str, ...] = ()
    url: str = ""
    citation: str = ""
    contact: str = ""
    published: Annotated[str, Field(pattern=r"^(\d{4}-\d{2}-\d{2})?$")] = ""
    answers: dict[str, str] = {}


class AtlasConfig(BaseModel):
    """The content of `atlas.toml`.

    Attributes
    ----------
    label_set : str
        Whose structures the atlas holds, and under which names it is released.
    catalog : str
        A PostgreSQL URL; empty for `catalog.db` in the atlas folder.
    members : tuple of str
        The models that predict, by name or folder, or variants of one (`ctatlas/base+shift`), and those whose
        predictions came with scans (`given/average`).
    licence : str
        Of the masks that are made here, for releases.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    name: Annotated[str, Field(min_length=1, max_length=100)]
    label_set: str = "abdomenatlas-1.1"
    catalog: str = ""
    members: tuple[str, ...] = ("ctatlas/base",)
    licence: str = ""
    description: str = ""
    assembly: Assembly = Assembly()
    queries: Queries = Queries()
    release: Publication = Publication()

    @field_validator("format")
    @classmethod
    def _readable(cls, given: int) -> int:
        if given > FORMAT:
            raise ValueError(f"is format {given}, from a newer ctatlas; this one reads up to {FORMAT}")
        return given

    @property
    def structures(self) -> tuple[str, ...]:
        """Return the atlas's structures, canonical names in the order of their ids."""
        return tuple(structure for _, structure in sorted(label_set(self.label_set).labels.items()))


def read_config(folder: Path) -> AtlasConfig:
    """Read an atlas's `atlas.toml`.

    Raises
    ------
    AtlasError
        When there is none, or what it says can't be: each fault named in one line.
    """
    path = folder / CONFIG
    try:
        with path.open("rb") as file:
            table = tomllib.loads(file.read(_AT_MOST_BYTES).decode())
        config = AtlasConfig.model_validate(table)
        label_set(config.label_set)
    except FileNotFoundError:
        raise AtlasError(f"{folder}: is no atlas (no {CONFIG}); 'ctatlas init {folder}' makes one") from None
    except NotADirectoryError:
        raise AtlasError(f"{folder}: is a file, expected an atlas folder") from None
    except OSError as error:
        raise AtlasError(f"{path}: can't be read ({error.strerror})") from None
    except (UnicodeDecodeError, RecursionError, tomllib.TOMLDecodeError) as error:
        raise AtlasError(f"{path}: is no TOML ({error}); mend it") from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise AtlasError(f"{path}: {faults}") from None
    except ModelError as error:
        raise AtlasError(f"{path}: {error}") from None
    return config.model_copy(update={"members": tuple(_found_from(folder, name) for name in config.members)})


def _found_from(folder: Path, member: str) -> str:
    """Return a member with the whole path of its folder, if its folder is told from that of the atlas."""
    model, plus, variant = member.rpartition("+")
    whole = next((text for text in (member, model) if text and _is_model(folder / text)), "")
    if not whole or Path(whole).is_absolute():
        return member
    return f"{(folder / whole).resolve()}{plus + variant if whole != member else ''}"


def _is_model(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    from ctatlas.models.cards import CARD_FILE  # who names models of the package alone need not wait for it

    return (folder / CARD_FILE).is_file()


def write_config(config: AtlasConfig, folder: Path) -> None:
    """Write a new `atlas.toml`, with a word about each line for the person who edits it."""
    strategy, share = config.queries.strategy, config.queries.random_share
    lines = [
        f"format = {config.format}",
        f"name = {_quoted(config.name)}",
        f"description = {_quoted(config.description)}",
        "",
        "# Whose structures the atlas holds, and under which names it is released: 'ctatlas models info' lists more.",
        f"label_set = {_quoted(config.label_set)}",
        "",
        "# Empty: catalog.db beside this file. Or postgresql://user@host/database",
        f"catalog = {_quoted(config.catalog)}",
        "",
        "# Models that predict, by name or folder; name+variant is the model on altered input. Several can disagree.",
        f"members = [{', '.join(map(_quoted, config.members))}]",
        "",
        "# Of the masks made here; a release states it beside the licences of the source datasets.",
        f"licence = {_quoted(config.licence)}",
        "",
        "[assembly]",
        "# Whose mask wins, the best first; other rules for single structures under [assembly.structures].",
        f"priorities = [{', '.join(map(_quoted, config.assembly.priorities))}]",
        '# Several people revised a structure: "latest" takes the last; "majority" or "staple" all of them.',
        f"annotators = {_quoted(config.assembly.annotators)}",
        "",
        *_structures(config.assembly),
        "[queries]",
        "# How cases are chosen for revision, and the part of each queue that is drawn at random (error estimate).",
        f"strategy = {_quoted(strategy)}",
        f"random_share = {share}",
        "",
        "[release]",
        "# Released cases are called prefix_00000001, …; what strangers are told besides; [release.answers] completes",
        "# the datasheet, which names the keys.",
        f"prefix = {_quoted(config.release.prefix)}",
        f"creators = [{', '.join(map(_quoted, config.release.creators))}]",
        f"url = {_quoted(config.release.url)}",
        f"citation = {_quoted(config.release.citation)}",
        f"contact = {_quoted(config.release.contact)}",
        f"published = {_quoted(config.release.published)}",
        "",
    ]
    with whole_file(folder / CONFIG) as file:
        file.write("\n".join(lines).encode())


def _structures(assembly: Assembly) -> list[str]:
    if not assembly.structures:
        return []
    rules = [f"{name} = [{', '.join(map(_quoted, kinds))}]" for name, kinds in assembly.structures.items()]
    return ["[assembly.structures]", *rules, ""]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(letter if letter.isprintable() else " " for letter in escaped) + '"'
