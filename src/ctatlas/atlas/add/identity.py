"""What a scan's files say of patient and scanner, made such that nobody is known by it: nothing else enters an atlas.

Voxels come from the reader, which takes no name along; what is kept of a DICOM header is in `Scanner` and the
vocabulary of `volume.deidentify`. The patient is a keyed hash, alike for all scans of one person.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.atlas.records import Scanner
from ctatlas.errors import ScanError
from ctatlas.volume import ScanFacts
from ctatlas.volume.deidentify import Key
from ctatlas.volume.deidentify.dicom import read_start, read_whole
from ctatlas.volume.deidentify.markers import identity_of
from ctatlas.volume.deidentify.refusals import refuse, refuse_content
from ctatlas.volume.deidentify.vocabulary import is_known
from ctatlas.volume.formats.dicom.files import files_in, open_dicom

if TYPE_CHECKING:
    from pydicom import Dataset

_TOLD = ("SOPClassUID", "SOPInstanceUID", "Manufacturer", "ManufacturerModelName", "KVP", "SliceThickness")
_PHASES = Path(__file__).parent / "data" / "phases.csv"
_QUOTED = re.compile(r'"[^"]*"')  # descriptions, in what readers say of series


class NamelessError(ScanError):
    """Refuse a scan in words that hold no value and no name of its files."""


@dataclass(frozen=True, slots=True)
class Who:
    """Whose scan it is, as a pseudonym, and how it was taken."""

    patient: str = ""
    scanner: Scanner = field(default_factory=Scanner)
    phase: str | None = None


def who_of(place: Path, facts: ScanFacts, key: Key, *, allow_head: bool = False) -> Who:
    """Return what may be known of a scan that was read from a place.

    Raises
    ------
    NamelessError
        When one of the images that the scan was made of can't be de-identified either: it says that it shows a head,
        or is a copy of a screen, has text in its pixels, …
    """
    if facts.kind != "dicom":
        return Who(scanner=Scanner(modality=facts.modality))
    told, path = _first_of_series(place, facts, allow_head=allow_head)
    start = read_start(path)
    return Who(key.patient(identity_of(start)), _scanner(told, facts), phase_in(facts.series_description or ""))


def phase_in(description: str) -> str | None:
    """Return the contrast phase that a series is called after; None when no word or several speak of one.

    Examples
    --------
    >>> phase_in("Abdomen  5.0  B30f portalvenoes"), phase_in("Abdomen 5.0"), phase_in("arterial + portal")
    ('portal', None, None)
    """
    phases = {phase for pattern, phase in _phase_words() if pattern.search(description)}
    return phases.pop() if len(phases) == 1 else None


def without_names(text: str, place: Path, instead: str) -> str:
    """Return what was said about a DICOM scan without descriptions of its series and the names of its folders."""
    said = _QUOTED.sub("(named)", text)
    for part in sorted({place.name, *place.parts[1:]}, key=len, reverse=True):
        if len(part) > 1:
            said = said.replace(part, instead)
    return said


def _first_of_series(place: Path, facts: ScanFacts, *, allow_head: bool) -> tuple[Dataset, Path]:
    """Return the first image that the scan was made of, once none of them was found to tell who it is of."""
    taken = {one.instance_uid for one in facts.slices}
    images: list[tuple[Dataset, Path]] = []
    refused: dict[str, int] = {}
    for path in files_in(place):
        file = open_dicom(path, _TOLD)
        if file is None or str(file.dataset.get("SOPInstanceUID", "")).strip("\0 ") not in taken:
            continue
        images.append((file.dataset, path))
        try:
            image = read_whole(path)
            refuse(image, allow_head=allow_head)
            refuse_content(image)
        except ScanError as error:
            refused[str(error)] = refused.get(str(error), 0) + 1
    for reason, n in refused.items():
        raise NamelessError(f"{n} of its {len(images)} images: {reason}" if n < len(images) else reason)
    if not images:
        raise NamelessError("its series is not there any more; was the folder changed meanwhile?")
    return images[0]


def _scanner(dataset: Dataset, facts: ScanFacts) -> Scanner:
    return Scanner(
        modality=facts.modality,
        kernel=_known("ConvolutionKernel", facts.kernel),
        patient_position=_known("CS", facts.patient_position),
        manufacturer=_known("Manufacturer", dataset.get("Manufacturer")),
        model=_known("ManufacturerModelName", dataset.get("ManufacturerModelName")),
        kilovolts=_number(dataset, "KVP"),
        slice_thickness_mm=_number(dataset, "SliceThickness"),
    )


def _known(attribute: str, value: object) -> str | None:
    """Return a text only if it is in the vocabulary: any other may be a name."""
    text = str(value or "").strip("\0 ")
    return text if text and is_known(attribute, text) else None


def _number(dataset: Dataset, keyword: str) -> float | None:
    try:
        value = float(str(dataset.get(keyword)))
    except ValueError:
        return None
    return value if 0 < value < 1000 else None


@cache
def _phase_words() -> tuple[tuple[re.Pattern[str], str], ...]:
    with _PHASES.open(encoding="utf-8", newline="") as file:
        return tuple((re.compile(row["words"], re.IGNORECASE), row["phase"]) for row in csv.DictReader(file))
