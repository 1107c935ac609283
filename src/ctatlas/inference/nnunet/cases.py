"""Which files of a folder make up the cases that nnU-Net would predict."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ctatlas.errors import ScanError


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """One case: its name, the file of each channel, and for a cascade the labels of the former stage."""

    name: str
    channels: tuple[Path, ...]
    previous: Path | None = None


def cases_in(folder: Path, ending: str, n_channels: int, previous: Path | None = None) -> list[CaseFiles]:
    """List the cases of a folder, `<case>_0000<ending>` and so on, in the order of their names.

    Parameters
    ----------
    folder : Path
    ending : str
        As in dataset.json, such as `.nii.gz`.
    n_channels : int
        How many the model reads.
    previous : Path, optional
        A folder of `<case><ending>`: the former stage's labels.

    Raises
    ------
    ScanError
        When there is no case, or a channel or the labels of one are missing.
    """
    if not folder.is_dir():
        raise ScanError(f"{folder}: there is no such folder; expected one of <case>_0000{ending}")
    files = sorted(path.name for path in folder.iterdir() if path.name.endswith(ending) and not _is_hidden(path))
    channel = re.compile(rf"(.+)_(\d{{4}}){re.escape(ending)}")
    found: dict[str, dict[int, Path]] = {}
    for name in files:
        if match := channel.fullmatch(name):
            found.setdefault(match[1], {})[int(match[2])] = folder / name
    if not found:
        raise ScanError(_no_case(folder, ending, files))
    wanted = list(range(n_channels))
    wrong = {case: sorted(there) for case, there in found.items() if sorted(there) != wanted}
    if wrong:
        case, there = next(iter(wrong.items()))
        more = f" (and {len(wrong) - 1} more cases)" if len(wrong) > 1 else ""
        raise ScanError(f"{folder}: {case} has channels {_numbers(there)}, the model reads {_numbers(wanted)}{more}")
    return [_case(name, found[name], previous, ending) for name in sorted(found)]


def part_of(cases: Sequence[CaseFiles], part: int, parts: int) -> list[CaseFiles]:
    """Return every `parts`-th case from the `part`-th on, counted from 0, as nnU-Net shares them out."""
    return list(cases[part::parts])


def _case(name: str, channels: dict[int, Path], previous: Path | None, ending: str) -> CaseFiles:
    labels = None if previous is None else previous / f"{name}{ending}"
    if labels is not None and not labels.is_file():
        raise ScanError(f"{labels}: there is no such file; the former stage of the cascade has to predict {name} first")
    return CaseFiles(name, tuple(channels[number] for number in sorted(channels)), labels)


def _no_case(folder: Path, ending: str, files: Sequence[str]) -> str:
    if files:
        stem = files[0].removesuffix(ending)
        return f"{folder}: {files[0]} has no number of a channel; nnU-Net calls it {stem}_0000{ending}: rename it"
    there = next((path.name for path in sorted(folder.iterdir()) if path.is_file() and not _is_hidden(path)), "nothing")
    return f"{folder}: no files end in {ending}, which this model reads; there is {there}: 'ctatlas convert' may help"


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(f"{number:04d}" for number in numbers)
