"""Which of several CT series is meant: by name, or by a rule that says why the others were passed over.

The rule is a table: the candidates are compared by its criteria in order, and the first that differs decides. Two that
no criterion tells apart are left to a person. Source of criteria and order: reference/volumes.md §2.7.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ctatlas.errors import ScanError
from ctatlas.volume.formats.dicom.grouping import AT_LEAST_SLICES, Group, differences, groups_of, n_places
from ctatlas.volume.formats.dicom.headers import Contents, SeriesName
from ctatlas.volume.formats.dicom.stack import Stack, blocks_of, stack

_AXIAL_COSINE = 0.8
_COVERS_MM = 100.0
_USUAL_STEP_MM = (0.5, 5.0)
_REFORMAT_WORDS = re.compile(r"MIP|MPR|MINIP|3D|VRT|SECONDARY|SUMMARY|SCREEN SAVE", re.IGNORECASE)
_SHARP_WORDS = re.compile(r"BONE|LUNG|EDGE|SHARP", re.IGNORECASE)
_LISTED = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stack that may be the scan, and what a person calls it."""

    name: SeriesName
    group: Group
    stack: Stack
    part: int  # of its series, from 1; 0 when the series is one stack

    @property
    def number(self) -> str:
        """Series number, with the part behind it where a series has several: "4", "4:2"."""
        number = "" if self.name.number is None else str(self.name.number)
        return f"{number}:{self.part}" if self.part else number

    @property
    def label(self) -> str:
        """What it is called in messages."""
        part = f" part {self.part}" if self.part else ""
        parted_by = f" ({self.group.parted_by})" if self.group.parted_by else ""
        return f"{self.name.label}{part}{parted_by}"

    @property
    def size(self) -> str:
        """How many images, how far apart."""
        n = len(self.stack.frames)
        apart = f" {self.stack.step_mm:.4g} mm apart" if n > 1 else ""
        return f"{n} image{'s' * (n != 1)}{apart}"


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing to prefer: the smaller `key` wins, and the other is passed over because it is `worse`."""

    worse: str
    key: Callable[[Candidate], float]


def _step(one: Candidate) -> float:
    """Return the distance from slice to slice, so that rounding of headers decides nothing."""
    return round(one.stack.step_mm, 2)


RULE = (
    Criterion("irregular", lambda one: not one.stack.is_mendable),
    Criterion("needs repair", lambda one: not one.stack.is_regular),
    Criterion("not an original axial image", lambda one: not _is_original_axial(one)),
    Criterion("not axial", lambda one: abs(one.stack.axes[2, 2]) < _AXIAL_COSINE),
    Criterion("a reformat or summary", lambda one: bool(_REFORMAT_WORDS.search(_words(one)))),
    Criterion(f"covers less than {_COVERS_MM:.0f} mm", lambda one: one.stack.span_mm < _COVERS_MM),
    Criterion("unusual slice distance", lambda one: not _USUAL_STEP_MM[0] <= _step(one) <= _USUAL_STEP_MM[1]),
    Criterion("larger slice distance", _step),
    Criterion("sharper kernel", lambda one: sharpness(one.stack.frames[0].kernel, one.name.description)),
    Criterion("fewer images", lambda one: -len(one.stack.frames)),
    Criterion("higher series number", lambda one: float("inf") if one.name.number is None else one.name.number),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen stack, and lines that say what else lies there and why it was passed over."""

    candidate: Candidate
    notes: tuple[str, ...]
    left_out: tuple[str, ...]  # images of the chosen series that do not belong to its stack


def choose(contents: Contents, wanted: str | None, where: str) -> Choice:
    """Return the CT series of a place that is meant.

    Parameters
    ----------
    contents : Contents
    wanted : str or None
        Series number, UID or description (whole, or a part with a letter that only one has; case is ignored), with
        ``:n`` behind it for part n of a series.
    where : str
        Name of the place, for messages.

    Raises
    ------
    ScanError
        When there is none, or the rule cannot tell two apart.
    """
    present = candidates_in(contents)
    fitting = present if wanted is None else _named(present, wanted, where)
    if not fitting:
        raise ScanError(f"{where}: holds no CT series; found {_found(contents)}. Give the folder of a CT scan.")
    best, *others = sorted([one for one in fitting if _may_be_volume(one)] or fitting, key=_rank)
    equal = [one for one in others if _rank(one) == _rank(best)]
    if equal:
        listed = "; ".join(f"{one.label}, {one.size}, UID {one.group.series_uid}" for one in [best, *equal][:_LISTED])
        raise ScanError(
            f"{where}: holds {len(equal) + 1} CT series that are equally fit ({listed}); expected one. "
            f"Choose one by number, UID or description (--series{' 4:2 is part 2 of series 4' * bool(best.part)})."
        )
    return Choice(best, tuple(_said(best, others, present, contents)), tuple(_left_out(best, present)))


def candidates_in(contents: Contents) -> list[Candidate]:
    """Return every stack of CT frames, lowest series number first."""
    groups = [block for group in groups_of(contents.frames) for block in blocks_of(group)]
    of_series: dict[str, list[Group]] = {}
    for group in groups:
        of_series.setdefault(group.series_uid, []).append(group)
    found = []
    for uid, together in of_series.items():
        volumes = [group for group in together if n_places(group.frames) >= AT_LEAST_SLICES]
        for group in together:
            part = volumes.index(group) + 1 if len(volumes) > 1 and group in volumes else 0
            found.append(Candidate(contents.names[uid], group, stack(group), part))
    return sorted(found, key=lambda one: (one.name.number is None, one.name.number or 0, one.group.series_uid))


def sharpness(kernel: str, description: str) -> int:
    """Return 0 for a soft-tissue kernel, 2 for a sharp one, 1 when its name is not known."""
    kinds = {row["kind"] for row in _kernels() if re.fullmatch(row["pattern"], kernel.strip(), re.IGNORECASE)}
    if "sharp" in kinds or (not kinds and _SHARP_WORDS.search(description)):
        return 2
    return 0 if "soft" in kinds else 1


@cache
def _kernels() -> list[dict[str, str]]:
    with Path(__file__).with_name("kernels.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def _may_be_volume(one: Candidate) -> bool:
    return n_places(one.group.frames) >= AT_LEAST_SLICES


def _rank(one: Candidate) -> tuple[float, ...]:
    return tuple(float(criterion.key(one)) for criterion in RULE)


def _is_original_axial(one: Candidate) -> bool:
    return tuple(word.upper() for word in one.stack.frames[0].image_type[:3]) == ("ORIGINAL", "PRIMARY", "AXIAL")


def _words(one: Candidate) -> str:
    return " ".join((*one.stack.frames[0].image_type, one.name.description))


def _named(present: list[Candidate], wanted: str, where: str) -> list[Candidate]:
    """Return the parts of the series that a person named."""
    asked = wanted.strip().casefold()
    series = {one.group.series_uid: one.name for one in present}
    split = _split(asked)
    for name, part in ((asked, 0), *([split] if split else [])):
        for fits in (
            lambda uid, _, name=name: name == uid,
            lambda _, said, name=name: name == str(said.number),
            lambda _, said, name=name: name == said.description.casefold(),
            lambda _, said, name=name: name and not name.isdigit() and name in said.description.casefold(),
        ):
            uids = [uid for uid, said in series.items() if fits(uid, said)]
            if len(uids) > 1:
                raise ScanError(f"{where}: {len(uids)} series answer to {wanted!r}; choose by UID: {', '.join(uids)}.")
            found = [one for one in present if one.group.series_uid in uids and part in (0, one.part)]
            if found:
                return found
    listed = "; ".join(
        f"{one.number or one.group.series_uid} {one.label}" if one.part else one.label for one in present
    )
    raise ScanError(f"{where}: no CT series answers to {wanted!r}; there are: {listed or 'none'}.")


def _split(asked: str) -> tuple[str, int] | None:
    """Divide "4:2" into series and part."""
    name, colon, part = asked.rpartition(":")
    return (name, int(part)) if colon and part.isdecimal() and int(part) else None


def _said(best: Candidate, others: list[Candidate], present: list[Candidate], contents: Contents) -> list[str]:
    """Say what was chosen, what was passed over and why, and what else lies there."""
    notes = []
    if others:
        passed = [f"{one.label} ({one.size}; {_worse(one, best)})" for one in others]
        more = f"; and {len(passed) - _LISTED} more" if len(passed) > _LISTED else ""
        notes.append(f"took CT series {best.label} ({best.size}); passed over {'; '.join(passed[:_LISTED])}{more}")
    if contents.n_absent:
        files = "files that are" if contents.n_absent > 1 else "file that is"
        notes.append(f"the DICOMDIR names {contents.n_absent} {files} not there")
    small = [one for one in present if not _may_be_volume(one) and one.group.series_uid != best.group.series_uid]
    elsewhere = [f"CT series {one.label} of {one.size}" for one in small]
    elsewhere += _others(contents)
    if elsewhere:
        more = f"; and {len(elsewhere) - _LISTED} more" if len(elsewhere) > _LISTED else ""
        notes.append(f"passed over as no CT volume: {'; '.join(elsewhere[:_LISTED])}{more}")
    return notes


def _left_out(best: Candidate, present: Sequence[Candidate]) -> list[str]:
    """Name images of the chosen series that do not belong to the stack, and by what they differ."""
    return [
        f"{one.size.split(' ', 1)[0]} of its images left out (other {' and '.join(differences(best.group, one.group))})"
        for one in present
        if one.group.series_uid == best.group.series_uid and one is not best and not one.part
    ]


def _worse(one: Candidate, best: Candidate) -> str:
    """Name the criterion by which a candidate fell behind."""
    return next(criterion.worse for criterion in RULE if criterion.key(one) > criterion.key(best))


def _others(contents: Contents) -> list[str]:
    """Name the objects that are no CT slices, by series."""
    counts = Counter((other.series_uid, other.what) for other in contents.set_aside)
    return [f"{n} x {what} (series {contents.names[uid].label})" for (uid, what), n in counts.items()]


def _found(contents: Contents) -> str:
    """Say what lies there instead of CT slices."""
    counts = Counter(other.what for other in contents.set_aside)
    found = [f"{n} x {what}" for what, n in counts.most_common()]
    if contents.n_other_files:
        found.append(f"{contents.n_other_files} x file that is not DICOM")
    return ", ".join(found) or "no file"
