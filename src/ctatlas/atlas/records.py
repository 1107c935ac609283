"""The JSON files of an atlas: what each says, checked when it is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ctatlas.atomic import whole_file
from ctatlas.errors import AtlasError

if TYPE_CHECKING:
    from ctatlas.volume import Grid

Split = Literal["train", "validation", "test"]
Triple = tuple[int, int, int]
_AT_MOST_BYTES = 2**26


class Record(BaseModel):
    """What all files have in common: unknown words and nan are refused, and nothing is altered after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class GridRecord(Record):
    """Where a scan's voxels lie: shape, and the affine voxel index -> world mm, RAS+, row by row."""

    shape: Triple
    affine: tuple[tuple[float, float, float, float], ...]

    @classmethod
    def of(cls, grid: Grid) -> GridRecord:
        """Say a grid in words of JSON."""
        return cls(shape=grid.shape, affine=tuple(tuple(row) for row in grid.affine.tolist()))

    def grid(self) -> Grid:
        """Return the grid."""
        import numpy as np  # heavy, and of no use to who asks the index

        from ctatlas.volume import Grid

        return Grid(self.shape, np.array(self.affine))


class Scanner(Record):
    """How a scan was taken, as far as its files say."""

    modality: str | None = None
    kernel: str | None = None
    patient_position: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    kilovolts: float | None = None
    slice_thickness_mm: float | None = None


class CaseRecord(Record):
    """`case.json`: one scan of an atlas.

    Attributes
    ----------
    case : str
        Its id, and its folder's name.
    dataset, dataset_case : str
        Where it comes from, and what it is called there.
    patient : str
        A keyed hash, alike for all scans of one patient; empty when nothing tells whose scan it is.
    origin, origin_stamp : str
        Keyed hash of the path it was read from; of the sizes and times of its files: what is known is not read again.
    ct_sha256 : str
        Of `ct.nii.gz`.
    voxels_sha256 : str
        Of the voxels in the order of the patient's axes, whatever file format they came in: what makes two cases exact
        duplicates.
    fingerprint : str
        A small picture of the scan, hexadecimal, for near-duplicates.
    """

    format: int = 1
    case: str
    dataset: str
    dataset_case: str
    label_set: str | None = None
    patient: str = ""
    split: Split | None = None
    phase: str | None = None
    grid: GridRecord
    scanner: Scanner = Scanner()
    origin: str = ""
    origin_stamp: str = ""
    ct_sha256: str
    voxels_sha256: str
    fingerprint: str = ""
    duplicate_of: str | None = None
    near_duplicates: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()


class MaskRecord(Record):
    """One mask's file: its hash and what it holds."""

    sha256: str
    volume_ml: float
    n_voxels: int


class OriginalRecord(Record):
    """`original/labels.json`: what came with a scan.

    Attributes
    ----------
    native_ids : mapping of str to int
        The dataset's names and numbers.
    annotated : tuple of str
        Structures the dataset tells about: one that is annotated and has no voxels is known to be absent.
    masks : mapping of str to MaskRecord
        By canonical name; one of each annotated structure, empty ones too.
    """

    format: int = 1
    label_set: str | None
    native_ids: dict[str, int]
    annotated: tuple[str, ...]
    masks: dict[str, MaskRecord]


class CopyRecord(Record):
    """A scan of a source that was not added, because it is the same, voxel by voxel, as a case of the atlas."""

    dataset_case: str
    origin: str
    origin_stamp: str
    copy_of: str


class DatasetRecord(Record):
    """`datasets/<name>.json`: a source dataset.

    Attributes
    ----------
    layout : str
        How its files lay when they were added.
    copies : tuple of CopyRecord
    """

    format: int = 1
    name: str
    label_set: str | None = None
    licence: str = ""
    url: str = ""
    citation: str = ""
    layout: str = ""
    copies: tuple[CopyRecord, ...] = ()


class RevisedMask(MaskRecord):
    """A mask that a person or a rule corrected, and how much it differs from what was shown before."""

    added_ml: float
    removed_ml: float


class RevisionRecord(Record):
    """`revisions/<nnnn>/revision.json`: what one person changed in one go.

    Attributes
    ----------
    author : str
        Who; "rules" for what `check --fix` changed.
    minutes : float or None
        How long it took, where it was measured.
    created : str
        UTC, ISO 8601.
    reviewed : tuple of str
        Structures that were looked at; those that needed no change have no mask.
    """

    format: int = 1
    number: Annotated[int, Field(ge=1)]
    author: str
    minutes: float | None = None
    tool: str = ""
    reason: str = ""
    created: str
    reviewed: tuple[str, ...] = ()
    masks: dict[str, RevisedMask]


class HotSpot(Record):
    """A box where a mask is probably wrong, in voxels (lo <= index < hi) and in world mm (RAS+).

    Attributes
    ----------
    ml : float
        Volume of the attention in it.
    score : float
        Expected gain; hot spots are sorted by score a minute.
    reason : str
        Which of the maps speak: "models disagree", "two structures overlap", …
    minutes : float
        Expected time to correct it.
    absent : bool
        The structure is not there at all: it has to be found and drawn.
    """

    structure: str
    lo: Triple
    hi: Triple
    center_mm: tuple[float, float, float]
    ml: float
    score: float
    reason: str
    minutes: float
    absent: bool = False


class AttentionRecord(Record):
    """How much of one structure needs eyes: mL of each component map and of their union.

    With the preset of AbdomenAtlas-8K the score is its count of voxels, and `heat` the sum of its map, 0 to 255 each.

    Attributes
    ----------
    unlisted_ml, unlisted_score : float
        The part that no hot spot holds, because too little is expected to be wrong there; the map shows it.
    """

    ml: float
    score: float
    unlisted_ml: float = 0.0
    unlisted_score: float = 0.0
    entropy_ml: float = 0.0
    disagreement_ml: float = 0.0
    overlap_ml: float = 0.0
    prior_ml: float = 0.0
    contradiction_ml: float = 0.0
    heat: int = 0


class HotSpotsRecord(Record):
    """`attention/hotspots.json`."""

    format: int = 1
    preset: str
    members: tuple[str, ...]
    structures: dict[str, AttentionRecord]
    hotspots: tuple[HotSpot, ...]


class PlaceRecord(Record):
    """A box of one structure that annotators can be asked for; what the numbers mean says `queries.Candidate`.

    Attributes
    ----------
    patches : str
        255 times the mean probability of each part of the box, a byte each, hexadecimal.
    """

    structure: str
    lo: Triple
    hi: Triple
    minutes: float
    gain: float
    attention_ml: float
    entropy: float
    class_entropy: float
    bald: float
    foreground_ml: float
    border_ml: float
    patches: Annotated[str, Field(pattern=r"^([0-9a-f]{2})*$")]


class PlacesRecord(Record):
    """`attention/places.json`: all of a case that could be asked for, what needs no eyes too."""

    format: int = 1
    places: tuple[PlaceRecord, ...]


class FindingRecord(Record):
    """What a rule found in a structure of a case.

    Attributes
    ----------
    severity : str
        "error": surely wrong; "warning": probably; "note": unusual, may be right.
    value, limit : float or None
        What was measured and what the rule allows, in `unit`.
    fix : str
        Name of a safe correction, or empty.
    """

    structure: str
    rule: str
    severity: Literal["error", "warning", "note"]
    message: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    lo: Triple | None = None
    hi: Triple | None = None
    fix: str = ""


class FindingsRecord(Record):
    """`checks/findings.json`."""

    format: int = 1
    case: str = ""
    checked: str  # which masks: "assembled", "original", or a member's name
    findings: tuple[FindingRecord, ...]


class AssembledMask(MaskRecord):
    """Where the one mask of a structure comes from.

    Attributes
    ----------
    source : str
        "original", "revised", "pseudo", or "absent": annotated by the source and not there.
    detail : str
        The label set, the revision's number, or the members.
    lost_ml, won_ml : float
        What it gave to and took from others where masks collided.
    """

    source: Literal["original", "revised", "pseudo", "absent"]
    detail: str = ""
    lost_ml: float = 0.0
    won_ml: float = 0.0


class Conflict(Record):
    """Two structures that claimed the same voxels, and who got them."""

    winner: str
    loser: str
    ml: float
    rule: str


class AgreementRecord(Record):
    """How far several people agree who revised one structure.

    Attributes
    ----------
    revisions : tuple of int
        Everybody's last.
    dice, lowest_dice : float
        Mean and lowest of all pairs.
    kappa : float
        Fleiss's, over the box that holds all masks.
    disputed_ml : float
        Volume that some have and some don't.
    sensitivity, specificity : tuple of float
        Of each revision, as STAPLE estimates them within the box.
    """

    revisions: tuple[int, ...]
    dice: float
    lowest_dice: float
    kappa: float
    disputed_ml: float
    sensitivity: tuple[float, ...] = ()
    specificity: tuple[float, ...] = ()


class ProvenanceRecord(Record):
    """`assembled/provenance.json`.

    Attributes
    ----------
    masks : mapping of str to AssembledMask
        A structure of the label set that is not here is not known: nobody annotated, revised or predicted it.
    """

    format: int = 1
    label_set: str
    masks: dict[str, AssembledMask]
    conflicts: tuple[Conflict, ...] = ()
    agreement: dict[str, AgreementRecord] = {}


class QueryItem(Record):
    """One place in a queue for annotators.

    Attributes
    ----------
    inclusion : float or None
        Of an item drawn at random: the chance that it was drawn, for the estimate of the remaining error.
    revisions : int
        How many the case had when it was asked for: only a later one answers.
    """

    rank: int
    case: str
    structure: str | None = None
    lo: Triple | None = None
    hi: Triple | None = None
    score: float
    minutes: float
    is_random: bool = False
    inclusion: float | None = None
    revisions: int = 0


class QueryRecord(Record):
    """`queries/<nnnn>.json`: what was asked of annotators, and why."""

    format: int = 1
    number: int
    strategy: str
    seed: int
    budget_minutes: float | None = None
    budget_places: int | None = None
    items: tuple[QueryItem, ...]


Kind = TypeVar("Kind", bound=Record)

MENDING = "; 'ctatlas doctor ATLAS' finds out what can be mended"  # how faults of records end; doctor leaves it out


def read_record(kind: type[Kind], path: Path) -> Kind:
    """Read one JSON file of an atlas.

    Raises
    ------
    AtlasError
        When it is missing, or is not what it should be: where and what, in one line.
    """
    try:
        if path.stat().st_size > _AT_MOST_BYTES:
            raise AtlasError(f"{path}: is larger than {_AT_MOST_BYTES >> 20} MB, which no record is{MENDING}")
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise AtlasError(f"{path}: is missing{MENDING}") from None
    except OSError as error:
        raise AtlasError(f"{path}: can't be read ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "content"
        raise AtlasError(f"{path}: {where}: {first['msg']}{MENDING}") from None


def write_record(record: Record, path: Path) -> None:
    """Write one JSON file of an atlas, whole or not at all; the same record always gives the same bytes.

    Raises
    ------
    OutputError
        When the place can't be written to.
    """
    with whole_file(path) as file:
        file.write((record.model_dump_json(indent=1) + "\n").encode())
