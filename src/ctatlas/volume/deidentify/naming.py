"""Where a de-identified file goes: names and folders are made anew from pseudonyms."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.anatomy import structure_called
from ctatlas.volume.deidentify.key import Key
from ctatlas.volume.deidentify.markers import identity_of
from ctatlas.volume.deidentify.profile import objects

if TYPE_CHECKING:
    from pydicom import Dataset

# Names of files and folders that tell what, not who.
_PLAIN_NAMES = ("ct", "image", "mr", "pet", "combined_labels", "labels", "mask", "body")
_FOLDERS_OF_A_CASE = ("segmentations", "predictions", "original", "assembled")
_FOLDERS_OF_CASES = ("images", "imagestr", "imagests", "labels", "labelstr", "labelsts", "masks")
_CHANNEL = re.compile(r"_\d{4}$")  # of nnU-Net's images; its labels have none


def target_of_object(header: Dataset, key: Key) -> str:
    """Name a DICOM object after its patient, study, series and itself."""
    name, _ = objects()[str(header.SOPClassUID)]
    study = key.letters("study", str(header.StudyInstanceUID))
    series = key.letters("series", str(header.SeriesInstanceUID))
    instance = key.letters("instance", str(header.SOPInstanceUID), 16)
    return f"{key.patient(identity_of(header))}/study-{study}/{name}-{series}/{instance}.dcm"


def target_of_image(path: Path, source: Path, ending: str, key: Key) -> str:
    """Name an image after its case: the folders it lies in, or its own name where that tells one case from another.

    Parameters
    ----------
    path : Path
        A NIfTI, NRRD or MetaImage file.
    source : Path
        The place that is de-identified: the file itself or a folder above it.
    ending : str
        Of the new file.
    """
    inside = path.relative_to(source).parts if source.is_dir() else (source.name,)
    stem = inside[-1].split(".")[0]
    case = [part for part in inside[:-1] if part.lower() not in (*_FOLDERS_OF_A_CASE, *_FOLDERS_OF_CASES)]
    kept = [part.lower() for part in inside[:-1] if part.lower() in (*_FOLDERS_OF_A_CASE, *_FOLDERS_OF_CASES)]
    if stem.lower() in _PLAIN_NAMES or structure_called(stem) is not None:
        name, case = stem, case or [_name_of(source)]
    elif kept and kept[-1] in _FOLDERS_OF_A_CASE:  # one of its masks, of a structure that is not known
        name, case = f"mask-{key.letters('mask', stem)}", case or [_name_of(source)]
    else:
        name, case = "image", [*case, _CHANNEL.sub("", stem)]
    return "/".join([key.patient("\0".join(case)), *kept, name + ending])


def _name_of(source: Path) -> str:
    whole = source.resolve()
    return whole.name if whole.is_dir() else whole.parent.name
