"""Which slices belong together, and which series is meant."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from ctatlas.errors import ScanError
from ctatlas.volume.formats.dicom.headers import MULTI_FRAME, Contents, SeriesName, SetAside, SliceHeader

AT_LEAST_SLICES = 3  # fewer are no volume. Source: reference/volumes.md §2.2


@dataclass(frozen=True, slots=True)
class Series:
    """The CT slices of one series UID, and what else bears that UID."""

    uid: str
    name: SeriesName
    slices: tuple[SliceHeader, ...]
    set_aside: tuple[SetAside, ...]

    @property
    def is_multi_frame(self) -> bool:
        """Whether it holds enhanced CT, several slices in a file."""
        return any(other.what == MULTI_FRAME for other in self.set_aside)

    @property
    def may_be_volume(self) -> bool:
        """Whether somebody could mean it as a scan: enough slices, not all at one place."""
        return self.is_multi_frame or len({one.position_mm for one in self.slices}) >= AT_LEAST_SLICES

    @property
    def label(self) -> str:
        """Number and description for a message."""
        number = "without number" if self.name.number is None else str(self.name.number)
        description = "".join(letter for letter in self.name.description if letter.isprintable())[:40]
        return f'{number} "{description}"' if description else number


def ct_series(contents: Contents) -> list[Series]:
    """Group CT slices by series UID, lowest series number first.

    A series UID is globally unique, so study UIDs, acquisition numbers, image types and kernels do not split it.
    """
    uids = [one.series_uid for one in contents.slices]
    uids += [other.series_uid for other in contents.set_aside if other.what == MULTI_FRAME]
    series = [
        Series(
            uid,
            contents.names[uid],
            tuple(one for one in contents.slices if one.series_uid == uid),
            tuple(other for other in contents.set_aside if other.series_uid == uid),
        )
        for uid in dict.fromkeys(uids)
    ]
    return sorted(series, key=lambda one: (one.name.number is None, one.name.number or 0, one.uid))


def choose(contents: Contents, wanted: str | None, where: str) -> Series:
    """Return the one CT series of a place, or the wanted one.

    Parameters
    ----------
    contents : Contents
    wanted : str or None
        Series number, UID or description (whole, or a part with a letter that only one has; case is ignored).
    where : str
        Name of the place, for messages.

    Raises
    ------
    ScanError
        When there is none, or more than one and nothing says which.
    """
    present = ct_series(contents)
    if wanted is not None:
        return _wanted(present, wanted, where)
    candidates = [one for one in present if one.may_be_volume] or present
    if not candidates:
        raise ScanError(f"{where}: holds no CT series; found {_found(contents)}. Give the folder of a CT scan.")
    if len(candidates) > 1:
        listed = "; ".join(f"{one.label}, {len(one.slices) or 'multi-frame'} images" for one in candidates[:8])
        more = f"; and {len(candidates) - 8} more" if len(candidates) > 8 else ""
        raise ScanError(
            f"{where}: holds {len(candidates)} CT series ({listed}{more}); expected one. "
            "Choose one by number, UID or description (--series)."
        )
    return candidates[0]


def without_copies(series: Series) -> tuple[Series, int]:
    """Drop files that are copies of another, byte by byte, and count them."""
    first: dict[str, SliceHeader] = {}
    kept = []
    for one in series.slices:
        other = first.setdefault(one.instance_uid, one)
        if other is one or one.path.read_bytes() != other.path.read_bytes():
            kept.append(one)
    return replace(series, slices=tuple(kept)), len(series.slices) - len(kept)


def _wanted(present: list[Series], wanted: str, where: str) -> Series:
    """Return the series that a person named."""
    asked = wanted.strip().casefold()
    for matches in (
        [one for one in present if asked == one.uid],
        [one for one in present if asked == str(one.name.number)],
        [one for one in present if asked == one.name.description.casefold()],
        [one for one in present if asked and not asked.isdigit() and asked in one.name.description.casefold()],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            uids = ", ".join(one.uid for one in matches)
            raise ScanError(f"{where}: {len(matches)} series answer to {wanted!r}; choose by UID: {uids}.")
    listed = "; ".join(one.label for one in present) or "none"
    raise ScanError(f"{where}: no CT series answers to {wanted!r}; there are: {listed}.")


def _found(contents: Contents) -> str:
    """Say what lies there instead of CT slices."""
    counts = Counter(other.what for other in contents.set_aside)
    found = [f"{n} x {what}" for what, n in counts.most_common()]
    if contents.n_other_files:
        found.append(f"{contents.n_other_files} x file that is not DICOM")
    return ", ".join(found) or "no file"
