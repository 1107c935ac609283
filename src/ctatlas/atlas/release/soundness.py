"""Whether the files of one released case agree: geometry, values, combined labels and single masks, no stray text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ctatlas.atlas.assemble import combined
from ctatlas.errors import CtatlasError, ScanError
from ctatlas.volume import Grid, LabelMap, Segmentation, read_labels
from ctatlas.volume.formats import nifti
from ctatlas.volume.formats.gzip_stream import decompressing
from ctatlas.volume.formats.nifti_header import HEADER_BYTES, header_kind

_TEXTS = ("descrip", "aux_file", "intent_name", "db_name")


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """The files of one released case, where they lie now, and what is said of them.

    Attributes
    ----------
    ids : mapping of str to int
        Structure -> number in the combined labels.
    earlier : sequence of Path
        The source's labels, and what models said before people corrected it.
    masks : mapping of str to Path
        Of structures with a file of their own.
    n_voxels : mapping of str to int
        Of these masks.
    """

    ids: Mapping[str, int]
    ct: Path | None = None
    combined: Path | None = None
    earlier: Sequence[Path] = ()
    masks: Mapping[str, Path] = field(default_factory=dict)
    n_voxels: Mapping[str, int] = field(default_factory=dict)

    @property
    def images(self) -> list[Path]:
        """All that are there."""
        return [path for path in (self.ct, self.combined, *self.earlier, *self.masks.values()) if path is not None]


def image_faults(files: CaseFiles) -> Iterator[str]:
    """Yield what is wrong with the files of one case, a line each."""
    try:
        for path in files.images:
            yield from _texts(path)
        yield from _voxel_faults(files)
    except CtatlasError as error:
        yield str(error)


def grid_of(path: Path) -> Grid:
    """Return where an image's voxels lie, from its header alone; raises `ScanError`."""
    return nifti.read_header(path).grid


def read_on(path: Path, grid: Grid) -> LabelMap:
    """Read labels that must lie on a grid.

    Raises
    ------
    ScanError
        When they do not, or can't be read.
    """
    found = read_labels(path)
    if not found.grid.is_like(grid):
        shapes = (" x ".join(map(str, one.shape)) for one in (found.grid, grid))
        raise ScanError("{}: lies on another grid ({} voxels) than the scan ({})".format(path.name, *shapes))
    return found


def as_mask(labels: LabelMap, name: str) -> np.ndarray:
    """Return a mask's voxels, (i, j, k) bool.

    Raises
    ------
    ScanError
        When it holds another value than 0 and 1.
    """
    highest = int(labels.labels.max())
    if highest > 1:
        raise ScanError(f"{name}: holds the value {highest}; expected 0 and 1")
    mask: np.ndarray = labels.labels == 1
    return mask


def _voxel_faults(files: CaseFiles) -> Iterator[str]:
    if not files.images:
        return
    grid = grid_of(files.images[0])
    for path in files.earlier:
        read_on(path, grid)
    masks = Segmentation.from_masks(
        grid, ((name, as_mask(read_on(path, grid), path.name)) for name, path in files.masks.items())
    )
    for name, n_voxels in masks.n_voxels().items():
        if n_voxels != files.n_voxels[name]:
            yield f"{files.masks[name].name}: has {n_voxels} voxels; the manifest says {files.n_voxels[name]}"
    if files.combined is None:
        return
    labels = read_on(files.combined, grid).labels
    found = {int(value) for k in range(grid.shape[2]) for value in np.unique(labels[:, :, k])}
    strange = sorted(found - {0, *files.ids.values()})
    if strange:
        yield f"{files.combined.name}: holds label {strange[0]}, which no structure of the release has"
    elif masks.names and (apart := int(np.count_nonzero(labels != combined(masks, files.ids)))):
        yield f"{files.combined.name}: differs from the single masks in {apart} voxels"


def _texts(path: Path) -> Iterator[str]:
    """Yield what a header says in words, or behind itself: nobody looked whether it tells who the patient is."""
    nifti.read_header(path)  # refuses what is none
    with path.open("rb") as file:
        stream = decompressing(file) if path.name.endswith(".gz") else file
        block = stream.read(HEADER_BYTES)
    size = int.from_bytes(block[:4], "little")
    kind = header_kind(2 if size == 540 else 1)
    header = kind(block[: 540 if size == 540 else 348], endianness="<" if size in (348, 540) else ">", check=False)
    said = [name for name in _TEXTS if name in header and bytes(header[name].tobytes()).strip(b"\0 ")]
    if said:
        yield f"{path.name}: its header has text in {', '.join(said)}, which may tell who the patient is"
    if float(header["vox_offset"]) > header["sizeof_hdr"] + 4:
        yield f"{path.name}: has an extension behind its header, which may tell who the patient is"
