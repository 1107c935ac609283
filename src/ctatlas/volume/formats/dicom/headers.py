"""What lies at a place: the CT frames, and every other DICOM object with the reason why it is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctatlas.errors import ScanError
from ctatlas.volume.formats.dicom import elements, frames, media, pixel_format
from ctatlas.volume.formats.dicom.files import files_in, open_dicom, understanding
from ctatlas.volume.formats.dicom.frames import Frame, FrameValues, frame_of, frame_values, image_of
from ctatlas.volume.formats.dicom.walk import walked
from ctatlas.volume.limits import AT_MOST_SERIES_FILES

if TYPE_CHECKING:
    from pathlib import Path

    from ctatlas.volume.formats.dicom.elements import Header
    from ctatlas.volume.formats.dicom.files import DicomFile

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # and its multi-frame variants below it
_LOCALIZER_WORDS = ("LOCALIZER", "SCOUT", "TOPOGRAM")
_OWN = ("BurnedInAnnotation", "Modality", "SamplesPerPixel")
_NEEDED = tuple(sorted({*frames.NEEDED, *media.NEEDED, *pixel_format.NEEDED, *_OWN}))
_NAME = ("SOPClassUID", "SeriesDescription", "SeriesNumber")
NO_PLACE = "CT image without position, orientation or pixel spacing"


@dataclass(frozen=True, slots=True)
class SetAside:
    """A DICOM object that is no CT slice, and what it is instead, in words that fit behind a number ("3 localizer")."""

    path: Path
    series_uid: str
    what: str


@dataclass(frozen=True, slots=True)
class SeriesName:
    """What a person calls a series."""

    number: int | None
    description: str

    @property
    def label(self) -> str:
        """Number and description for a message."""
        number = "without number" if self.number is None else str(self.number)
        description = "".join(letter for letter in self.description if letter.isprintable())[:40]
        return f'{number} "{description}"' if description else number


@dataclass(frozen=True, slots=True)
class Contents:
    """All DICOM objects of a place."""

    frames: tuple[Frame, ...]
    set_aside: tuple[SetAside, ...]
    names: dict[str, SeriesName]  # by series UID
    n_other_files: int
    n_absent: int  # files that a DICOMDIR names and that are not there


def contents_of(place: Path) -> Contents:
    """Read the headers of one DICOM file, or of all in a folder and below; hidden files are passed over.

    Raises
    ------
    ScanError
        When a file cannot be read, is damaged, or there are more than anybody can mean.
    """
    found: list[Frame] = []
    set_aside: list[SetAside] = []
    names: dict[str, SeriesName] = {}
    named: set[str] = set()
    paths: list[Path] = []
    n_dicom = 0
    for path in files_in(place):
        paths.append(path)
        file = walked(path, _NEEDED) or open_dicom(path, _NEEDED)
        if file is None:
            continue
        n_dicom += 1
        if file.is_media_directory:
            named |= media.named_in(file)
            continue
        with understanding(path):
            uid = elements.text(file.dataset, "SeriesInstanceUID")
            if uid not in names:
                names[uid] = _name(path)
            what = _what_else(file)
            if what is not None:
                set_aside.append(SetAside(path, uid, what))
            else:
                _add_frames(file, uid, found, set_aside)
        if max(n_dicom, len(found)) > AT_MOST_SERIES_FILES:
            raise ScanError(f"{place.name}: holds over {AT_MOST_SERIES_FILES} DICOM images; give one scan's folder.")
    return Contents(tuple(found), tuple(set_aside), names, len(paths) - n_dicom, media.n_absent(named, paths))


def first_study_uid(path: Path) -> str:
    """Return the study a DICOM file belongs to, empty when it does not say or cannot be read."""
    try:
        file = open_dicom(path, ["SOPClassUID", "StudyInstanceUID"])
    except ScanError:
        return ""
    return "" if file is None else elements.text(file.dataset, "StudyInstanceUID")


def _name(path: Path) -> SeriesName:
    """Read the name of a file's series through pydicom, which knows its alphabet."""
    file = open_dicom(path, _NAME)
    if file is None:
        return SeriesName(None, "")
    description = file.dataset.get("SeriesDescription")
    return SeriesName(elements.integer(file.dataset, "SeriesNumber"), " ".join(str(description or "").split()))


def _what_else(file: DicomFile[Header]) -> str | None:
    """Say what an object is if it is no CT image, None for a CT image."""
    dataset = file.dataset
    modality, sop_class = elements.text(dataset, "Modality").upper(), elements.text(dataset, "SOPClassUID")
    if modality != "CT":
        return f"{modality} object" if modality else "object without modality"
    if sop_class == _SECONDARY_CAPTURE or sop_class.startswith(f"{_SECONDARY_CAPTURE}."):
        return "secondary capture"
    if elements.text(dataset, "BurnedInAnnotation").upper() == "YES":
        return "screen copy with burned-in text"
    if any(dataset.get_item(elements.tag(name)) is None for name in ("Rows", "Columns")):
        return "CT object without image"
    return "colour image" if (elements.integer(dataset, "SamplesPerPixel") or 1) != 1 else None


def _add_frames(file: DicomFile[Header], series_uid: str, found: list[Frame], set_aside: list[SetAside]) -> None:
    """Sort the frames of a CT image into slices and others."""
    n_frames = elements.integer(file.dataset, "NumberOfFrames")
    n_frames = 1 if n_frames is None else n_frames
    if not 1 <= n_frames <= AT_MOST_SERIES_FILES:
        raise ValueError(f"NumberOfFrames is {n_frames}")
    image = None
    for number, values in enumerate(frame_values(file.dataset, n_frames), start=1):
        what = _no_slice(values)
        if what is None:
            image = image or image_of(file, n_frames)
            found.append(frame_of(image, number, values))
        else:
            set_aside.append(SetAside(file.path, series_uid, what))


def _no_slice(values: FrameValues) -> str | None:
    """Say what a CT frame is if it is no slice of a volume."""
    image_type = " ".join(values.image_type).upper()
    if any(word in image_type for word in _LOCALIZER_WORDS):
        return "localizer"
    return None if values.has_place else NO_PLACE
