"""Read one regular CT series from DICOM files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctatlas.errors import ScanError
from ctatlas.volume.choices import AS_IT_IS, Choices
from ctatlas.volume.formats.dicom.headers import MULTI_FRAME, NO_PLACE, SliceHeader, contents_of
from ctatlas.volume.formats.dicom.pixels import check_format, format_notes, put_slice
from ctatlas.volume.formats.dicom.series import Series, choose, without_copies
from ctatlas.volume.formats.dicom.stack import Stack, stack
from ctatlas.volume.hounsfield import HounsfieldValues
from ctatlas.volume.limits import check_grid, check_shape
from ctatlas.volume.scan import ImagePlane, ScanFacts, SliceFacts, Volume

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path, choices: Choices = AS_IT_IS) -> Volume:
    """Read the CT series of a folder (and what lies below it), or of one file.

    Parameters
    ----------
    path : Path
    choices : Choices, optional
        Which of several series.

    Returns
    -------
    Volume
        HU, int16 where possible, axes (column, row, slice); slices sorted along their normal, each with its own
        rescale.

    Raises
    ------
    ScanError
        When there is no CT series, more than one, or one that is not a complete, evenly spaced, untilted stack.
    """
    where = path.name or str(path)
    chosen = choose(contents_of(path), choices.series, where)
    _check_readable(chosen, path, where)
    chosen, n_copies = without_copies(chosen)
    stacked = stack(chosen, where)
    check_shape(stacked.grid.shape, 2, where)
    check_grid(stacked.grid, where)
    for one in stacked.slices:
        check_format(one.pixels, one.path.name)
    values = HounsfieldValues(stacked.grid.shape, where)
    for one in stacked.slices:
        put_slice(one, values)
    return Volume(values.array(), stacked.grid, _facts(chosen, stacked, where, n_copies))


def _check_readable(series: Series, path: Path, where: str) -> None:
    """Refuse what is CT but cannot be stacked for lack of a reader or of positions."""
    if series.is_multi_frame:
        raise ScanError(
            f"{where}: series {series.label} is {MULTI_FRAME}, which is not read yet; "
            "export it as single-frame CT images."
        )
    if path.is_file():
        raise ScanError(f"{where}: is one image of a series; give the folder that holds the whole series.")
    n_lost = sum(other.what == NO_PLACE for other in series.set_aside)
    if n_lost:
        raise ScanError(
            f"{where}: series {series.label} has {n_lost} images without position; expected "
            "ImagePositionPatient and ImageOrientationPatient in each. Export the series anew."
        )


def _facts(series: Series, stacked: Stack, where: str, n_copies: int) -> ScanFacts:
    """Gather what the headers told, and what had to be decided."""
    first = stacked.slices[0]
    notes = [*stacked.notes, *format_notes([one.pixels for one in stacked.slices])]
    studies = {one.study_uid for one in stacked.slices}
    if len(studies) > 1:
        notes.append(f"the images of this series name {len(studies)} studies")
    if n_copies:
        notes.append(f"{n_copies} files were copies of others and left out")
    if series.set_aside:
        kinds = ", ".join(sorted({other.what for other in series.set_aside}))
        notes.append(f"{len(series.set_aside)} objects of this series are no CT slices ({kinds}) and were left out")
    return ScanFacts(
        source=where,
        kind="dicom",
        modality="CT",
        study_uid=first.study_uid or None,
        series_uid=series.uid,
        frame_of_reference_uid=first.frame_of_reference_uid or None,
        series_number=series.name.number,
        series_description=series.name.description or None,
        kernel=first.kernel or None,
        patient_position=first.patient_position or None,
        plane=_plane(first),
        slices=tuple(SliceFacts(one.instance_uid, _xyz(one.position_mm)) for one in stacked.slices),
        notes=tuple(notes),
    )


def _plane(one: SliceHeader) -> ImagePlane:
    """Return what the images have in common."""
    a, b, c, d, e, f = one.orientation
    between_rows, between_columns = one.spacing_mm
    return ImagePlane((a, b, c, d, e, f), (between_rows, between_columns), one.pixels.rows, one.pixels.columns)


def _xyz(position: tuple[float, ...]) -> tuple[float, float, float]:
    x, y, z = position
    return x, y, z
