"""What a DICOMDIR says lies beside it: no more than a hint that files got lost on the way."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ctatlas.volume.formats.dicom import elements
from ctatlas.volume.formats.dicom.files import parser_errors, quietly

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ctatlas.volume.formats.dicom.elements import Header
    from ctatlas.volume.formats.dicom.files import DicomFile

NEEDED = ("DirectoryRecordSequence",)
_AT_MOST_BYTES = 16 * 2**20  # some 40,000 records


def named_in(directory: DicomFile[Header]) -> set[str]:
    """Return the paths of all files that a DICOMDIR names; none when it cannot be understood."""
    with quietly(), suppress(*parser_errors()):
        if directory.path.stat().st_size <= _AT_MOST_BYTES:
            records = elements.items(directory.dataset, "DirectoryRecordSequence")
            names = (elements.texts(record, "ReferencedFileID") for record in records)
            return {_same(directory.path.parent.joinpath(*parts)) for parts in names if parts}
    return set()


def n_absent(named: set[str], present: Iterable[Path]) -> int:
    """Count the files that were named and are not there."""
    return len(named.difference(_same(path) for path in present))


def _same(path: Path) -> str:
    """Return a path as the media for which a DICOMDIR is made compare it."""
    return path.as_posix().casefold()
