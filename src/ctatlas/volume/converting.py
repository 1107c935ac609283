"""Read in one format, write in another: scans to scans, segmentations to segmentations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.errors import OutputError
from ctatlas.progress import Progress
from ctatlas.volume.choices import MaskChoices
from ctatlas.volume.formats.detached import data_file
from ctatlas.volume.opening import opened
from ctatlas.volume.reading_masks import read_segmentation, segmentation_kind
from ctatlas.volume.writing import SEGMENTATION_WRITERS, VOLUME_WRITERS, Writer, write, writer_kind

if TYPE_CHECKING:
    from ctatlas.volume.grid import Grid
    from ctatlas.volume.sources import ScanSource

FOLDER_OF_SCANS = "nifti"  # what a folder is filled with when nobody says otherwise
FOLDER_OF_MASKS = "masks"


def holds_masks(place: Path, out: Path, kind: str | None) -> bool:
    """Tell whether a conversion is one of masks: by what the input surely is, else by what only masks are written as.

    Raises
    ------
    ScanError
        When nothing lies there or it cannot be read.
    """
    with opened(place) as inside:
        if segmentation_kind(inside, surely=True):
            return True
        asks_for_masks = (kind or _said(out)) in SEGMENTATION_WRITERS
        return asks_for_masks and bool(segmentation_kind(inside))


def scan_file(out: Path, case: str, kind: str | None, *, n_scans: int) -> tuple[Path, str]:
    """Return where a scan goes and as what it is written.

    A single scan goes to `out` where that ends like a file; else each gets a file of its own name in that folder.

    Raises
    ------
    OutputError
        When the ending or kind is none that scans are written as, or they contradict each other.
    """
    if kind is not None and kind not in VOLUME_WRITERS:
        raise OutputError(f"{out}: scans are not written as {kind}; expected {', '.join(VOLUME_WRITERS)}.")
    if not _names_file(out) or (n_scans > 1 and not _said(out)):
        chosen = kind or FOLDER_OF_SCANS
        return out / f"{case}{VOLUME_WRITERS[chosen].endings[0]}", chosen
    if n_scans > 1:
        raise OutputError(f"{out}: is one file, and there are {n_scans} scans; give a folder, and --as for its format.")
    if _said(out) not in VOLUME_WRITERS:
        endings = [ending for writer in VOLUME_WRITERS.values() for ending in writer.endings]
        what = "only masks are written so, and there are none" if _said(out) else f"scans are not {out.suffix} files"
        raise OutputError(f"{out}: {what}; expected {', '.join(endings)}, or a folder that is there.")
    _refuse_contradiction(out, kind, _said(out))
    return out, kind or _said(out)


def masks_kind(out: Path, kind: str | None) -> str:
    """Return as what masks are written: as asked for, as the ending says, or else as a folder.

    Raises
    ------
    OutputError
        When the ending or kind is none that masks are written as, or they contradict each other.
    """
    if kind is None:
        return writer_kind(SEGMENTATION_WRITERS, out) if _names_file(out) else FOLDER_OF_MASKS
    if kind not in SEGMENTATION_WRITERS:
        raise OutputError(f"{out}: masks are not written as {kind}; expected {', '.join(SEGMENTATION_WRITERS)}.")
    if _names_file(out):
        _refuse_contradiction(out, kind, _kind_by_ending(SEGMENTATION_WRITERS, out))
    elif kind != FOLDER_OF_MASKS:
        ending = next(iter(SEGMENTATION_WRITERS[kind].endings), ".dcm")
        raise OutputError(f"{out}: {kind} is one file; give a name that ends in {ending}.")
    return kind


def _names_file(out: Path) -> bool:
    return bool(out.suffix) and not out.is_dir()


def _said(out: Path) -> str:
    """Return the kind, of scans or else of masks, that the longest fitting ending of a name says; or nothing."""
    return _kind_by_ending({**SEGMENTATION_WRITERS, **VOLUME_WRITERS}, out)


def _kind_by_ending(writers: Mapping[str, Writer], out: Path) -> str:
    try:
        return writer_kind(writers, out)
    except OutputError:
        return ""


def _refuse_contradiction(out: Path, kind: str | None, said: str) -> None:
    if kind and said and said != kind:
        raise OutputError(f"{out}: its ending says {said}, and --as says {kind}; change one of them.")


def convert_scan(
    folder: Path, progress: Progress, *, source: ScanSource, file: Path, kind: str, overwrite: bool
) -> Mapping[str, object]:
    """Convert one scan; return what it is, in words of JSON.

    Raises
    ------
    ScanError, OutputError
        When it cannot be read without guessing, or not written.
    """
    for written in (file, data_file(file)):
        if written is not None:
            refuse_to_replace(written, overwrite=overwrite)
    progress.stage("read", 1)
    scan = source.read()
    progress.stage("write", 1)
    _make(folder)
    write(scan, file, kind=kind)
    told = {"values": str(scan.array.dtype), "repairs": list(scan.facts.repairs), "notes": list(scan.facts.notes)}
    return {"kind": "scan", "from": scan.facts.kind, "to": kind, "file": str(file), **_geometry(scan.grid), **told}


def convert_masks(
    folder: Path,
    progress: Progress,
    *,
    source: Path,
    file: Path,
    kind: str,
    overwrite: bool,
    reference: ScanSource | None = None,
    label_set: str | None = None,
) -> Mapping[str, object]:
    """Convert one segmentation; return what is in it, in words of JSON.

    Parameters
    ----------
    reference : ScanSource, optional
        The CT that the masks lie on.

    Raises
    ------
    ScanError, OutputError
        When it cannot be read without guessing, or not written.
    """
    refuse_to_replace(file, overwrite=overwrite and kind != FOLDER_OF_MASKS)
    progress.stage("read", 1)
    scan, place = (reference.read(), reference.path) if reference else (None, None)
    found = read_segmentation(source, scan=scan, source=place, label_set=label_set)
    progress.stage("write", 1)
    _make(folder)
    write(found, file, MaskChoices(found.grid, scan, place, label_set), kind=kind)
    told = {"n_voxels": found.n_voxels(), "notes": list(found.notes)}
    return {"kind": "masks", "to": kind, "file": str(file), **_geometry(found.grid), **told}


def refuse_to_replace(file: Path, *, overwrite: bool) -> None:
    """Refuse to write over files, and to mix masks with those that lie in a folder."""
    stands = any(file.iterdir()) if file.is_dir() else file.exists()
    if stands and not overwrite:
        hint = "give an empty folder" if file.is_dir() else "choose another name, or give --overwrite"
        raise OutputError(f"{file}: stands there already; {hint}.")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: the folder cannot be made: {error.strerror}.") from error


def _geometry(grid: Grid) -> dict[str, object]:
    spacing = [round(mm, 6) for mm in grid.spacing_mm]
    return {"shape": list(grid.shape), "spacing_mm": spacing, "orientation": grid.orientation}
