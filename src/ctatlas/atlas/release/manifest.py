"""The tables of a release: a row a case, a row a mask; CSV for everybody, Parquet where pyarrow is installed.

The rows are all that `verify` and `diff` know of a release besides its files, so what a stranger's table says is
checked here before anything is opened. Rows go to the disk as they come, for a release may have millions.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, BinaryIO, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ctatlas.atomic import whole_file
from ctatlas.errors import AtlasError

CASES = "manifest/cases.csv"
MASKS = "manifest/masks.csv"
ROWS_IN_A_GROUP = 2**14  # of Parquet: the same number always, for the same bytes
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


@dataclass(frozen=True, slots=True)
class Manifest:
    """Both tables while they are written."""

    add_case: Callable[[CaseRow], None]
    add_mask: Callable[[MaskRow], None]

    def add(self, case: CaseRow, masks: Iterable[MaskRow]) -> None:
        """Write the rows of a case."""
        self.add_case(case)
        for mask in masks:
            self.add_mask(mask)


@contextmanager
def writing_manifest(folder: Path) -> Iterator[Manifest]:
    """Write both tables, row by row; they are there when the block has ended well.

    Raises
    ------
    OutputError
        When the place can't be written to.
    """
    (folder / CASES).parent.mkdir(parents=True, exist_ok=True)
    with _table(CaseRow, folder / CASES) as add_case, _table(MaskRow, folder / MASKS) as add_mask:
        yield Manifest(add_case, add_mask)


def manifest_files() -> list[str]:
    """Return what tables a release has, relative to its folder."""
    written = [CASES, MASKS]
    return sorted([*written, *map(_parquet_of, written)] if can_write_parquet() else written)


def can_write_parquet() -> bool:
    """Tell whether pyarrow is installed."""
    return find_spec("pyarrow") is not None


def column_types(kind: type[_Row]) -> dict[str, type]:
    """Return the columns of a table: str, int or float."""
    return {name: _COLUMN_TYPES.get(field.annotation, str) for name, field in kind.model_fields.items()}


def read_rows(kind: type[Row], path: Path) -> Iterator[Row]:
    """Read a table, row by row.

    Raises
    ------
    AtlasError
        When it is missing, or a row is not what it should be.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            yield from _rows(kind, file, path)
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


@contextmanager
def _table(kind: type[_Row], path: Path) -> Iterator[Callable[[Any], None]]:
    """Write one table in each format; gives what takes a row."""
    with ExitStack() as stack:
        writers = [stack.enter_context(_csv(kind, stack.enter_context(whole_file(path))))]
        if can_write_parquet():
            other = path.with_name(PurePosixPath(_parquet_of(path.name)).name)
            writers.append(stack.enter_context(_parquet(kind, stack.enter_context(whole_file(other)))))

        def add(row: _Row) -> None:
            content = row.model_dump()
            for write in writers:
                write(content)

        yield add


def _parquet_of(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(".parquet"))


@contextmanager
def _csv(kind: type[_Row], file: BinaryIO) -> Iterator[Callable[[Mapping[str, object]], object]]:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    table = csv.DictWriter(text, list(kind.model_fields), lineterminator="\n")
    table.writeheader()
    yield table.writerow
    text.detach()  # flushes, and leaves the file to who opened it


@contextmanager
def _parquet(kind: type[_Row], file: BinaryIO) -> Iterator[Callable[[Mapping[str, object]], object]]:
    arrow: Any = import_module("pyarrow")
    types = {int: arrow.int64(), float: arrow.float64()}
    schema = arrow.schema([(name, types.get(one, arrow.string())) for name, one in column_types(kind).items()])
    group = _Group(list(schema.names))
    with import_module("pyarrow.parquet").ParquetWriter(file, schema, compression="zstd") as table:

        def write_group() -> None:
            table.write_table(arrow.Table.from_pydict(group.columns, schema=schema), ROWS_IN_A_GROUP)
            group.begin()

        def add(row: Mapping[str, object]) -> None:
            group.add(row)
            if group.n_rows == ROWS_IN_A_GROUP:
                write_group()

        yield add
        if group.n_rows or group.is_first:
            write_group()


class _Group:
    """The rows that go to the disk together, column by column."""

    def __init__(self, names: list[str]) -> None:
        self.columns: dict[str, list[object]] = {name: [] for name in names}
        self.n_rows, self.is_first = 0, True

    def add(self, row: Mapping[str, object]) -> None:
        for name, values in self.columns.items():
            values.append(row[name])
        self.n_rows += 1

    def begin(self) -> None:
        self.columns = {name: [] for name in self.columns}
        self.n_rows, self.is_first = 0, False
