"""The scans of a place under names of their own: one file, a DICOM folder, a folder or an archive of many scans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.volume.choices import AS_IT_IS, Choices
from ctatlas.volume.listing import CASE_FILES, scans_below, stem, unknown
from ctatlas.volume.names import safe_name, unique_names
from ctatlas.volume.opening import opened
from ctatlas.volume.reading import ARCHIVES, kind_at, look, read

if TYPE_CHECKING:
    from ctatlas.volume.scan import ScanFacts, Volume


@dataclass(frozen=True, slots=True)
class ScanSource:
    """One scan that can be read.

    Attributes
    ----------
    case : str
        A name that is safe as a file or folder name on every system and unique among the sources of one call.
    path : Path
        The file, the DICOM folder, or the archive.
    choices : Choices
        How to read it, as far as that was decided.
    inside : str
        Which of several scans of an archive, as a path in it.
    """

    case: str
    path: Path
    choices: Choices = AS_IT_IS
    inside: str = ""

    def read(self) -> Volume:
        """Read the scan, or refuse it with `ScanError`."""
        return read(self.path, self.choices, inside=self.inside)

    def look(self) -> ScanFacts | None:
        """Tell what `read` would say, from headers alone, or refuse the scan; None where headers tell nothing."""
        return look(self.path, self.choices)


def scans_in(
    path: Path | str, choices: Choices = AS_IT_IS, *, surely: Callable[[Path], bool] = unknown
) -> list[ScanSource]:
    """List the scans of a file, a folder or an archive, in the order of their names.

    Parameters
    ----------
    path : Path or str
        A scan's file; a DICOM folder (one study, in any sub-folders); a folder of such files, such folders, or case
        folders with a `ct.nii.gz`, at any depth; or a zip or tar archive of any of these.
    choices : Choices, optional
        Handed on to `read`.
    surely : callable, optional
        Tells of a file in a folder that it is known to be a scan, so that nobody need look into it.

    Returns
    -------
    list of ScanSource
        At least one.

    Raises
    ------
    ScanError
        When nothing lies there that could be a scan.
    """
    place = Path(path)
    if place.is_dir():
        found = scans_below(place, str(place), surely)
        names = unique_names(_case_name(scan, place) for scan in found)
        return [ScanSource(name, scan, choices) for name, scan in zip(names, found, strict=True)]
    if kind_at(place) not in ARCHIVES:
        return [ScanSource(case_name(place), place, choices)]
    with opened(place) as folder:
        found = scans_below(folder, place.name)
        insides = [scan.relative_to(folder).as_posix() for scan in found]
        if len(found) == 1:
            return [ScanSource(case_name(place), place, choices, insides[0])]
        names = unique_names(_case_name(scan, folder) for scan in found)
        return [ScanSource(name, place, choices, inside) for name, inside in zip(names, insides, strict=True)]


def case_name(place: Path) -> str:
    """Return what to call the case that a single file or folder is."""
    named = place if place.name not in ("", "..") else place.resolve()
    return safe_name(stem(named.name))


def _case_name(scan: Path, place: Path) -> str:
    """Return the part of a scan's path that tells it from the others."""
    inside = scan.relative_to(place)
    if inside.name.lower() in CASE_FILES:
        inside = inside.parent
    parts = [*inside.parts[:-1], stem(inside.name) if scan.is_file() else inside.name]
    return "_".join(part for part in parts if part) or place.resolve().name
