"""The model card: what a model needs, what it gives, what it is."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ctatlas.anatomy import canonical_name, label_set, label_set_names
from ctatlas.errors import ModelError

CARD_FILE = "card.toml"
NAME = r"^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)?$"

Text = Annotated[str, Field(min_length=1)]
Length = Annotated[float, Field(gt=0)]
Status = Literal["usable", "experimental", "not_usable"]
CommercialUse = Literal["yes", "no", "unknown"]  # as the licence says it; never guessed


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Channel(_Table):
    """How one input channel comes from HU: clip, subtract, divide."""

    clip: tuple[float, float]
    subtract: float = 0.0
    divide: float = 1.0

    @model_validator(mode="after")
    def _makes_numbers(self) -> Channel:
        if not self.clip[0] < self.clip[1] or self.divide == 0:
            raise ValueError("expected clip = [low, high] with low < high, and divide not 0")
        return self


class Input(_Table):
    """The grid and the channels that the network was trained on."""

    spacing_mm: tuple[Length, Length, Length]
    orientation: str
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]
    padding_hu: float = -1024.0
    sampling: Literal["filtered", "points"] = "filtered"  # "points": the grid and the values of MONAI 0.9

    @field_validator("orientation")
    @classmethod
    def _three_directions(cls, code: str) -> str:
        if sorted(_AXIS_OF.get(letter, -1) for letter in code) != [0, 1, 2]:
            raise ValueError("expected three directions such as RAS")
        return code


_AXIS_OF = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}


class Window(_Table):
    """The patch that the network sees; neighbours share `overlap` of it along each axis."""

    shape: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5
    batch: Annotated[int, Field(ge=1)] = 1
    scheme: Literal["ctatlas", "monai-0.9", "nnunet"] = "ctatlas"  # where windows lie, how they are weighed and blended


class Weights(_Table):
    """The file of weights beside the card.

    Where nobody has published its hash, the hash of the file that was first pulled or imported stands in the record
    beside the card (`ctatlas.models.records`).
    """

    file: Text
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    bytes: Annotated[int, Field(ge=1)] | None = None
    loader: Text = "onnx"
    sources: tuple[Text, ...] = ()  # https://… or hf://owner/repository[@revision]/path; the first that gives it counts

    @field_validator("file")
    @classmethod
    def _beside_the_card(cls, file: str) -> str:
        if file != Path(file).name or "\\" in file:
            raise ValueError("expected a file name without a folder: weights lie beside their card")
        return file


class Network(_Table):
    """Which network the weights belong to, and what they don't show of it."""

    kind: Text  # "segresnet", "swin-unetr", "unet", "unetr"; under another head "universal/…" or "class-heads/…"
    options: dict[str, int | str] = Field(default_factory=dict)


class Split(_Table):
    """The two structures that a class holds together."""

    left: str
    right: str

    @field_validator("left", "right")
    @classmethod
    def _known(cls, name: str) -> str:
        return _canonical(name)


class OutputClass(_Table):
    """One output channel: a structure, an auxiliary that only rules read, or the background.

    A "native" one is a structure under a name of its makers, which no structure of ours is called by.
    """

    channel: Annotated[int, Field(ge=0)]
    name: Text
    role: Literal["structure", "native", "auxiliary", "background"] = "structure"
    split: Split | None = None
    status: Status = "usable"

    @property
    def is_structure(self) -> bool:
        """Whether it is handed out, under a name of ours or one of its makers."""
        return self.role in {"structure", "native"}

    @model_validator(mode="after")
    def _known(self) -> OutputClass:
        if self.role == "structure" and self.split is None:
            _canonical(self.name)
        return self


class Calibrated(_Table):
    """Structures that calibrated HU gives without learning."""

    structures: tuple[str, ...] = ()

    @field_validator("structures")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_canonical(name) for name in names)


class Rule(_Table):
    """A row for the anatomy rules, which know their kinds and parameters."""

    model_config = ConfigDict(extra="allow")

    kind: Text
    source: Text


class Evidence(_Table):
    """A measured figure: which structure, on which data, how many cases."""

    structure: Text
    data: Text
    n: Annotated[int, Field(ge=1)]
    metric: Text
    value: float
    note: str = ""


class Attribution(_Table):
    """What has to be said about a source of training data wherever the weights go."""

    text: Text


class ModelCard(_Table):
    """A validated `card.toml`."""

    name: Annotated[str, Field(pattern=NAME)]
    version: Text
    license: Text
    license_url: str = ""
    commercial_use: CommercialUse = "unknown"
    description: Text
    not_for: Text
    citation: str = ""
    input: Input
    window: Window
    weights: Weights
    network: Network | None = None
    label_set: str = ""  # whose structures the classes are, in its order; they may be left out then
    classes: Annotated[tuple[OutputClass, ...], Field(min_length=1)]
    pipeline: Literal["ctatlas", "nnunet"] = "ctatlas"  # how scans are prepared, cut into windows and restored
    preset: str = ""  # whose published settings the card has, a name of `presets.toml`
    decide: Literal["argmax", "threshold"] = "argmax"
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    calibrated: Calibrated = Calibrated()
    rules: tuple[Rule, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    attribution: tuple[Attribution, ...] = ()
    training: dict[str, object] = Field(default_factory=dict)

    @field_validator("label_set")
    @classmethod
    def _known(cls, name: str) -> str:
        if name and name not in label_set_names():
            raise ValueError(f"no label set {name!r}; known: {', '.join(label_set_names())}")
        return name

    @model_validator(mode="after")
    def _classes_fit_together(self) -> ModelCard:
        names = [each.name for each in self.classes] + list(self.calibrated.structures)
        backgrounds = [each.channel for each in self.classes if each.role == "background"]
        faults = []
        if [each.channel for each in self.classes] != list(range(len(self.classes))):
            faults.append("channels of classes are expected in order: 0, 1, 2, …")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            faults.append(f"given twice: {', '.join(twice)}")
        if self.decide == "argmax" and backgrounds != [0]:
            faults.append('decide = "argmax" expects channel 0, and no other, to be the background')
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def foreground(self) -> dict[int, str]:
        """Return the name of every channel that is not background."""
        return {each.channel: each.name for each in self.classes if each.role != "background"}

    @property
    def structures(self) -> dict[str, Status]:
        """Return what the model gives, class by class after splitting, then what it calibrates, and how good it is."""
        found: dict[str, Status] = {}
        for each in self.classes:
            if each.is_structure:
                names = (each.split.left, each.split.right) if each.split else (each.name,)
                found |= dict.fromkeys(names, each.status)
        calibrated: dict[str, Status] = dict.fromkeys(self.calibrated.structures, "usable")
        return found | calibrated


def read_card(path: Path) -> ModelCard:
    """Read and check one card.

    Raises
    ------
    ModelError
        When the file is missing, is no TOML, or breaks the rules of a card; every fault is named in one line.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"{path}: can't be read as a model card: {error}") from None
    try:
        # Through JSON, because only there does strict validation take a list for a tuple.
        return ModelCard.model_validate_json(json.dumps(_with_classes(table), default=str))
    except ValidationError as error:
        faults = "; ".join(f"{_place(fault['loc'])}: {fault['msg']}" for fault in error.errors())
        raise ModelError(f"{path}: {faults}") from None


def _with_classes(table: dict[str, object]) -> dict[str, object]:
    """Write out the classes of a label set: from channel 0 on by threshold, after the background by arg-max."""
    name = table.get("label_set")
    if "classes" in table or not isinstance(name, str) or name not in label_set_names():
        return table
    labels = label_set(name).labels
    by_argmax = table.get("decide", "argmax") == "argmax"
    background = [{"channel": 0, "name": "background", "role": "background"}] if by_argmax else []
    named = [{"channel": number - (not by_argmax), "name": labels[number]} for number in sorted(labels)]
    return table | {"classes": [*background, *named]}


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "card"


def _canonical(name: str) -> str:
    if (known := canonical_name(name)) != name:
        raise ValueError(f"{name!r} is an alias; write {known!r}")
    return name
