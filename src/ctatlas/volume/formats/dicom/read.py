"""Read one CT from DICOM files: frames -> groups -> stack -> (repair) -> values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctatlas.errors import ScanError
from ctatlas.volume.choices import AS_IT_IS, Choices
from ctatlas.volume.formats.dicom.choice import Choice, choose
from ctatlas.volume.formats.dicom.decoding import check_frames, hounsfield
from ctatlas.volume.formats.dicom.grouping import AT_LEAST_SLICES
from ctatlas.volume.formats.dicom.headers import NO_PLACE, Contents, contents_of
from ctatlas.volume.formats.dicom.pixel_format import format_notes
from ctatlas.volume.formats.dicom.repair import Plan, plan, resampled
from ctatlas.volume.limits import check_grid, check_shape
from ctatlas.volume.scan import ImagePlane, ScanFacts, SliceFacts, Volume

if TYPE_CHECKING:
    from pathlib import Path

    from ctatlas.volume.formats.dicom.stack import Stack


def read(path: Path, choices: Choices = AS_IT_IS) -> Volume:
    """Read the CT series of a folder (and what lies below it), or of one enhanced multi-frame file.

    Parameters
    ----------
    path : Path
    choices : Choices, optional
        Which of several series, and whether to resample one that is tilted, incomplete or unevenly spaced.

    Returns
    -------
    Volume
        HU, int16 where possible, axes (column, row, slice); slices sorted along their normal, each with its own
        rescale. `facts.slices` are the images as they were, whatever was resampled.

    Raises
    ------
    ScanError
        When there is no CT series, none that the rule prefers, or one that needs what was not allowed.
    """
    chosen, planned = _planned(path, choices)
    where = path.name or str(path)
    array = resampled(hounsfield(chosen.candidate.stack.frames, where), planned)
    return Volume(array, planned.grid, _facts(chosen, planned, where))


def look(path: Path, choices: Choices = AS_IT_IS) -> ScanFacts:
    """Tell from the headers alone what `read` would say of a scan, or refuse it so; of pixels it knows nothing.

    Raises
    ------
    ScanError
        As `read` does, except for what is wrong with pixels.
    """
    chosen, planned = _planned(path, choices)
    return _facts(chosen, planned, path.name or str(path))


def _planned(path: Path, choices: Choices) -> tuple[Choice, Plan]:
    """Choose a series, check it, and say how its slices become a grid."""
    where = path.name or str(path)
    contents = contents_of(path)
    chosen = choose(contents, choices.series, where)
    _check(chosen, contents, choices, path)
    try:
        planned = plan(chosen.candidate.stack)
    except ValueError as error:
        raise ScanError(f"{where}: {error}. The headers are broken: export the series anew.") from error
    check_shape(planned.grid.shape, 2, where)
    check_grid(planned.grid, where)
    return chosen, planned


def _check(chosen: Choice, contents: Contents, choices: Choices, path: Path) -> None:
    """Refuse what is CT but no scan as it is, in one line that names every defect."""
    stack, where = chosen.candidate.stack, path.name or str(path)
    series = f"series {chosen.candidate.label}"
    check_frames(stack.frames)
    if path.is_file() and len(stack.frames) == 1:
        raise ScanError(f"{where}: is one image of a series; give the folder that holds the whole series.")
    uid = chosen.candidate.group.series_uid
    n_lost = sum(other.what == NO_PLACE for other in contents.set_aside if other.series_uid == uid)
    if n_lost:
        raise ScanError(
            f"{where}: {series} has {n_lost} image{'s' * (n_lost > 1)} without position; expected "
            "ImagePositionPatient and ImageOrientationPatient in each. Export the series anew."
        )
    defects = [defect.text for defect in stack.defects]
    at_least = AT_LEAST_SLICES if choices.series is None else 2  # who names a series knows that it is short
    n = len(stack.frames)
    if n < at_least:
        defects.append(f"a volume has at least {at_least} images")
    may_mend = stack.is_mendable and n >= at_least
    if defects and not (may_mend and choices.repair):
        raise ScanError(
            f"{where}: {series} of {n} image{'s' * (n != 1)} is irregular: "
            f"{'; '.join([*defects, *chosen.left_out])}. {_remedy(stack, may_mend=may_mend)}"
        )


def _remedy(stack: Stack, *, may_mend: bool) -> str:
    """Say what to do about a stack that is refused."""
    if may_mend:
        return "Export the whole series anew, or have it resampled: --repair"
    if stack.is_regular:
        named = ", or read what there is by naming it: --series" if len(stack.frames) == 2 else ""
        return f"Give the folder of the whole series{named}"
    return "This cannot be mended by resampling: export the whole series anew."


def _facts(chosen: Choice, planned: Plan, where: str) -> ScanFacts:
    """Gather what the headers told, and what had to be decided."""
    stack, name, group = chosen.candidate.stack, chosen.candidate.name, chosen.candidate.group
    first = stack.frames[0]
    notes = [*chosen.notes, *chosen.left_out]
    if stack.lean and not stack.lean.matters(min(first.spacing_mm)):
        leaning = "slices lean by {0.degrees:.2f} degrees ({0.shift_mm:.2f} mm in all); taken for upright"
        notes.append(leaning.format(stack.lean))
    notes += format_notes((frame.image.pixels for frame in stack.frames), (frame.rescale for frame in stack.frames))
    studies = {frame.image.study_uid for frame in stack.frames}
    if len(studies) > 1:
        notes.append(f"the images of this series name {len(studies)} studies")
    if group.n_copies:
        were = "images were copies" if group.n_copies > 1 else "image was a copy"
        notes.append(f"{group.n_copies} {were} of others and left out")
    return ScanFacts(
        source=where,
        kind="dicom",
        modality="CT",
        study_uid=first.image.study_uid or None,
        series_uid=group.series_uid,
        frame_of_reference_uid=first.image.frame_of_reference_uid or None,
        series_number=name.number,
        series_description=name.description or None,
        kernel=first.kernel or None,
        patient_position=first.image.patient_position or None,
        plane=ImagePlane(
            (*stack.axes[0].tolist(), *stack.axes[1].tolist()),
            (first.spacing_mm[0], first.spacing_mm[1]),
            first.image.pixels.rows,
            first.image.pixels.columns,
        ),
        slices=tuple(
            SliceFacts(frame.image.instance_uid, _xyz(frame.position_mm), frame.number) for frame in stack.frames
        ),
        repairs=planned.lines,
        notes=tuple(notes),
    )


def _xyz(position: tuple[float, ...]) -> tuple[float, float, float]:
    x, y, z = position
    return x, y, z
