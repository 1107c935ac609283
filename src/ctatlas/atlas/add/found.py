"""What a layout finds in a source: cases that can be read, and what is wrong with others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ctatlas.atlas.records import Split
from ctatlas.volume import AS_IT_IS, Choices, ScanSource

_IMAGE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")


def _never(_: Path) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Ask:
    """What a person said about a source; whatever is None is for the layout to find out.

    Attributes
    ----------
    root : Path or None
        The folder that the paths of a list start from.
    hide_names : bool
        Whether cases are called by pseudonyms even where their files have harmless names.
    choices : Choices
        How to read scans that can be read in more than one way.
    is_known : callable
        Tells of a file that it was added before, so that it need not be looked into to see that it is a scan.
    """

    dataset: str | None = None
    label_set: str | None = None
    split: Split | None = None
    root: Path | None = None
    hide_names: bool = False
    choices: Choices = AS_IT_IS
    is_known: Callable[[Path], bool] = field(default=_never, compare=False)


@dataclass(frozen=True, slots=True)
class GivenPrediction:
    """What a model made of a scan before it came.

    Attributes
    ----------
    name : str
        Of the model.
    label_set : str or None
        Whose numbers and spellings; None: masks under names of structures.
    labels : Path or None
        A label map.
    masks : mapping of str to Path
        Where there is no label map: a mask of each structure, in that spelling.
    looked_for : tuple of str
        The structures that it knows, in that spelling; empty: all of the label set.
    probabilities : Path or None
        A folder of uint8 maps, 255 is certain, `<structure>.nii.gz`.
    """

    name: str
    label_set: str | None
    labels: Path | None = None
    masks: Mapping[str, Path] = field(default_factory=dict)
    looked_for: tuple[str, ...] = ()
    probabilities: Path | None = None

    @property
    def paths(self) -> list[Path]:
        """All files and folders that it is read from."""
        return [path for path in (self.labels, self.probabilities, *self.masks.values()) if path is not None]


@dataclass(frozen=True, slots=True)
class GivenMask:
    """A mask that people corrected before the scan came.

    Attributes
    ----------
    name, label_set : str
        The structure, and in whose spelling.
    mask : Path
    shown : Path or None
        What it was before, where that came, too.
    tool : str
        What is known of how it was made.
    """

    name: str
    label_set: str
    mask: Path
    shown: Path | None
    tool: str


@dataclass(frozen=True, slots=True)
class Found:
    """One case of a source.

    Attributes
    ----------
    name, dataset : str
        What the source calls it, and the dataset it belongs to.
    case : str
        The id to give it, as far as it is free.
    source : ScanSource
    labels : Path or None
        A label map, or a folder of masks.
    label_set : str or None
        Of a label map: whose numbers.
    left_out : tuple of int
        Numbers that may occur and mean nothing here.
    patient : str
        Who, in the words of the source; only a keyed hash of it enters the atlas.
    is_named : bool
        Whether a person chose the name, so that it needs no pseudonym.
    predictions, revised : tuple of GivenPrediction, tuple of GivenMask
        What models and people made of the scan before it came.
    """

    name: str
    dataset: str
    case: str
    source: ScanSource
    labels: Path | None = None
    label_set: str | None = None
    left_out: tuple[int, ...] = ()
    split: Split | None = None
    phase: str | None = None
    patient: str = ""
    is_named: bool = False
    predictions: tuple[GivenPrediction, ...] = ()
    revised: tuple[GivenMask, ...] = ()

    @property
    def paths(self) -> list[Path]:
        """All files and folders that the case is read from."""
        given: list[Path | None] = [path for one in self.predictions for path in one.paths]
        given += [path for one in self.revised for path in (one.mask, one.shown)]
        return [path for path in (self.source.path, self.labels, *given) if path is not None]

    @property
    def may_tell_who(self) -> bool:
        """Whether the name may be a patient's: DICOM folders and archives are often called after people."""
        return not self.is_named and not self.source.path.name.lower().endswith(_IMAGE_ENDINGS)

    def called(self, name: str) -> Found:
        """Return the same case under another name."""
        return replace(self, name=name, case=name)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in a source that can't be a case, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Listing:
    """All that a layout found.

    Attributes
    ----------
    layout : str
    found : tuple of Found
    faults : tuple of Fault
        Each becomes a row of the table of failures.
    remarks : tuple of str
        What was passed over, a line each.
    licences, citations : mapping
        By dataset, as far as the source says.
    """

    layout: str
    found: tuple[Found, ...]
    faults: tuple[Fault, ...] = ()
    remarks: tuple[str, ...] = ()
    licences: dict[str, str] = field(default_factory=dict)
    citations: dict[str, str] = field(default_factory=dict)


def scan_at(path: Path, ask: Ask) -> ScanSource:
    """Return the scan that lies at a path; the name is given elsewhere."""
    return ScanSource(path.name, path, ask.choices)


def printable(text: str) -> str:
    """Return a stranger's name without line breaks and terminal codes, of a length that tables can hold."""
    return "".join(letter if letter.isprintable() else "_" for letter in text)[:200]
