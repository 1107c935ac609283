"""The tables of a release: a row a case, a row a mask; CSV for everybody, Parquet where pyarrow is installed.

The rows are all that `verify` and `diff` know of a release besides its files, so what a stranger's table says is
checked here before anything is opened.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ctatlas.atomic import whole_file
from ctatlas.errors import AtlasError

CASES = "manifest/cases.csv"
MASKS = "manifest/masks.csv"
_COLUMN_TYPES: Mapping[object, type] = {int: int, float: float}


def _inside(path: str) -> str:
    if path and (
        PurePosixPath(path).is_absolute() or {"..", "."} & set(path.split("/")) or "\\" in path or ":" in path
    ):
        raise ValueError(f"{path!r} does not lie in the release")
    return path


Inside = Annotated[str, AfterValidator(_inside)]
Hash = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CaseRow(_Row):
    """One released case.

    Attributes
    ----------
    name : str
        What it is called in the layout; `id` in most.
    split : str
        "train", "validation", "test", or "" for none.
    dataset, source_case, url, licence, citation : str
        Where the scan comes from, what it is called there, and on what terms: enough to join masks to scans that may
        not be passed on.
    patient : str
        Alike for scans of one patient; "" where nothing tells whose scan it is.
    ct_sha256, voxels_sha256 : str
        Of `ct.nii.gz`, here or not; of voxels and geometry, whatever format the source has.
    ct_file, combined_file, original_file, pseudo_file : str
        Relative to the release; "" for what is not in it. The source's labels; what models said before people corrected
        it.
    shard : str
        The tar.gz file that holds the case's files under these names; "" for none.
    duplicate_of : str
        The first case with the very same voxels.
    near_duplicates, not_known : str
        Separated by semicolons: cases that look alike; structures of which nobody tells whether they are there.
    repairs : str
        What was done to the scan's voxels or geometry when it was taken in; "" for nothing.
    """

    id: str
    name: str
    split: str
    dataset: str
    source_case: str
    url: str
    licence: str
    citation: str
    patient: str
    phase: str
    modality: str
    kernel: str
    voxels_i: int
    voxels_j: int
    voxels_k: int
    spacing_i_mm: float
    spacing_j_mm: float
    spacing_k_mm: float
    orientation: str
    ct_sha256: Hash
    voxels_sha256: str
    ct_file: Inside
    combined_file: Inside
    combined_sha256: Hash
    original_file: Inside
    original_sha256: Hash
    shard: Inside
    duplicate_of: str
    near_duplicates: str
    not_known: str
    repairs: str
    pseudo_file: Inside = ""
    pseudo_sha256: Hash = ""


class MaskRow(_Row):
    """One mask of a released case.

    Attributes
    ----------
    id : str
        The case's.
    structure, name, label : str, str, int
        Canonical name, spelling of the label set, and number in the combined labels.
    file, sha256 : str
        "" where the layout has no file for single masks.
    source, detail : str
        "original", "revised", "pseudo", or "absent": annotated by the source and not there; which label set, revision
        or models.
    lost_ml, won_ml : float
        What it gave to and took from others where masks collided.
    people, agreement_dice : int, str
        How many people revised it, and the mean Dice of all pairs of them; 0 and "" for none or one.
    pseudo_file, pseudo_sha256 : str
        What models said before it was revised; "" where that is not told.
    """

    id: str
    structure: str
    name: str
    label: int
    file: Inside
    sha256: Hash
    source: str
    detail: str
    n_voxels: int
    volume_ml: float
    lost_ml: float
    won_ml: float
    people: int
    agreement_dice: str
    pseudo_file: Inside = ""
    pseudo_sha256: Hash = ""


Row = TypeVar("Row", bound=_Row)


def write_manifest(folder: Path, cases: Sequence[CaseRow], masks: Sequence[MaskRow]) -> list[str]:
    """Write both tables, and return which files there are now.

    Raises
    ------
    OutputError
        When the place can't be written to.
    """
    (folder / CASES).parent.mkdir(parents=True, exist_ok=True)
    written = []
    for name, kind, rows in ((CASES, CaseRow, cases), (MASKS, MaskRow, masks)):
        with whole_file(folder / name) as file:
            file.write(as_csv(kind, rows).encode())
        written.append(name)
        if can_write_parquet():
            parquet = str(PurePosixPath(name).with_suffix(".parquet"))
            _write_parquet(folder / parquet, kind, rows)
            written.append(parquet)
    return written


def can_write_parquet() -> bool:
    """Tell whether pyarrow is installed."""
    return find_spec("pyarrow") is not None


def column_types(kind: type[_Row]) -> dict[str, type]:
    """Return the columns of a table: str, int or float."""
    return {name: _COLUMN_TYPES.get(field.annotation, str) for name, field in kind.model_fields.items()}


def as_csv(kind: type[_Row], rows: Sequence[_Row]) -> str:
    """Return a table as text; the same rows always give the same."""
    text = io.StringIO()
    table = csv.DictWriter(text, list(kind.model_fields), lineterminator="\n")
    table.writeheader()
    table.writerows(row.model_dump() for row in rows)
    return text.getvalue()


def read_rows(kind: type[Row], path: Path) -> list[Row]:
    """Read a table.

    Raises
    ------
    AtlasError
        When it is missing, or a row is not what it should be.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(_rows(kind, file, path))
    except FileNotFoundError:
        raise AtlasError(f"{path}: is missing; expected a release of ctatlas") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AtlasError(f"{path}: can't be read ({error})") from None


def _rows(kind: type[Row], file: Any, path: Path) -> Iterator[Row]:
    for number, row in enumerate(csv.DictReader(file, strict=True), start=2):
        try:
            yield kind.model_validate(row)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise AtlasError(f"{path}: line {number}: {where}: {first['msg']}") from None


def _write_parquet(path: Path, kind: type[_Row], rows: Sequence[_Row]) -> None:
    arrow: Any = import_module("pyarrow")
    types = {int: arrow.int64(), float: arrow.float64()}
    schema = arrow.schema([(name, types.get(one, arrow.string())) for name, one in column_types(kind).items()])
    table = arrow.Table.from_pylist([row.model_dump() for row in rows], schema=schema)
    with whole_file(path) as file:
        import_module("pyarrow.parquet").write_table(table, file, compression="zstd")
