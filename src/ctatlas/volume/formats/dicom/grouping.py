"""Which frames belong together: one group for every stack of slices that a series could mean.

Frames of a group share series, frame of reference, kind of object, matrix, pixel spacing and orientation. Acquisition,
time, contrast and the like divide a group only where several images lie at the same place, or where it is several
stacks beside each other (`stack.blocks_of`), because real series carry many of them along one stack.
Source of keys and order: reference/volumes.md §2.2, run on 23 phantoms.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ctatlas.volume.formats.dicom.decoding import same_pixels
from ctatlas.volume.formats.dicom.frames import SEPARATORS, Frame

AT_LEAST_SLICES = 3  # fewer are no volume. Source: reference/volumes.md §2.2
_ORIENTATION_APART = 1e-3  # per component
_SPACING_APART = 1e-3  # of the spacing
_PLACE_DECIMALS = 2  # 0.01 mm
# What all frames of a group have in common, in words for those that differ.
_EXACT_KEYS: dict[str, Callable[[Frame], Hashable]] = {
    "series": lambda frame: frame.image.series_uid,
    "frame of reference": lambda frame: frame.image.frame_of_reference_uid,
    "kind of object": lambda frame: frame.image.sop_class,
    "image size": lambda frame: (frame.image.pixels.rows, frame.image.pixels.columns),
    "photometric interpretation": lambda frame: frame.image.pixels.photometric,
}
_NEAR_KEYS = ("pixel spacing", "orientation")


@dataclass(frozen=True, slots=True)
class Group:
    """Frames that may be one stack.

    Attributes
    ----------
    key : tuple
        What all its frames share, in the order of `_EXACT_KEYS` and `_NEAR_KEYS`.
    parted_by : str
        What told it apart from others at the same positions, such as "acquisition 2"; empty if nothing had to.
    n_copies : int
        Images that were there twice and are left out.
    clashes : tuple of str
        SOP instance UIDs that different images bear.
    """

    key: tuple[Hashable, ...]
    frames: tuple[Frame, ...]
    parted_by: str = ""
    n_copies: int = 0
    clashes: tuple[str, ...] = ()

    @property
    def series_uid(self) -> str:
        """UID of the series all frames belong to."""
        return self.frames[0].image.series_uid


def groups_of(frames: Sequence[Frame]) -> list[Group]:
    """Divide frames into groups, in the order of their first frames."""
    found = []
    for key, together in _by_key(frames).items():
        kept, clashes = _without_copies(together)
        n_copies = len(together) - len(kept)
        found += [Group(key, tuple(part), parted_by, n_copies, tuple(clashes)) for part, parted_by in _parted(kept)]
    return found


def differences(one: Group, other: Group) -> list[str]:
    """Name what keeps two groups of a series apart."""
    if one.parted_by or other.parted_by:
        return [other.parted_by or "place"]
    names = (*_EXACT_KEYS, *_NEAR_KEYS)
    return [name for name, a, b in zip(names, one.key, other.key, strict=True) if a != b]


def n_places(frames: Iterable[Frame]) -> int:
    """Count the positions of frames, to 0.01 mm."""
    return len({_place(frame) for frame in frames})


def divisions(frames: Iterable[Frame]) -> Iterator[list[tuple[list[Frame], str]]]:
    """Yield every way to divide frames by one fact: the parts, each with its fact in words, such as "acquisition 2"."""
    for at, word in enumerate(SEPARATORS.values()):
        parts: dict[str, list[Frame]] = defaultdict(list)
        for frame in frames:
            parts[frame.separators[at]].append(frame)
        if len(parts) > 1:
            yield [(part, f"{word} {value}".strip()) for value, part in sorted(parts.items())]


def _by_key(frames: Sequence[Frame]) -> dict[tuple[Hashable, ...], list[Frame]]:
    """Sort frames by what the frames of a stack share."""
    exact: dict[tuple[Hashable, ...], list[Frame]] = defaultdict(list)
    for frame in frames:
        exact[tuple(key(frame) for key in _EXACT_KEYS.values())].append(frame)
    found: dict[tuple[Hashable, ...], list[Frame]] = defaultdict(list)
    for key, together in exact.items():
        spacings = np.array([frame.spacing_mm for frame in together])
        orientations = _clusters(np.array([frame.orientation for frame in together]), _ORIENTATION_APART)
        for frame, *near in zip(together, _clusters(np.log(spacings), _SPACING_APART), orientations, strict=True):
            found[*key, *near].append(frame)
    return found


def _clusters(values: np.ndarray, tolerance: float) -> list[int]:
    """Give numbers to groups of vectors (n, d) whose every component is within the tolerance of the group's first."""
    numbers = np.full(len(values), -1)
    for number in range(len(values)):
        left = np.flatnonzero(numbers < 0)
        if not left.size:
            break
        near = np.abs(values[left] - values[left[0]]).max(axis=1) <= tolerance
        near[0] = True
        numbers[left[near]] = number
    return numbers.tolist()


def _without_copies(frames: list[Frame]) -> tuple[list[Frame], list[str]]:
    """Leave out frames that are another's copy, pixel by pixel; name the UIDs that different images bear."""
    first: dict[tuple[str, int], Frame] = {}
    kept, clashes = [], dict[str, None]()
    for frame in frames:
        other = first.setdefault((frame.image.instance_uid, frame.number), frame)
        if other is frame:
            kept.append(frame)
        elif _place(other) != _place(frame) or other.rescale != frame.rescale or not same_pixels(other, frame):
            kept.append(frame)
            clashes[frame.image.instance_uid] = None
    return kept, list(clashes)


def _parted(frames: list[Frame], parted_by: str = "") -> list[tuple[list[Frame], str]]:
    """Divide frames of which several lie at each place, by the first fact that leaves whole stacks; else keep them."""
    n = n_places(frames)
    if n == len(frames):
        return [(frames, parted_by)]
    for parts in divisions(frames):
        is_even = len({len(part) for part, _ in parts}) == 1
        if is_even and n >= AT_LEAST_SLICES and all(n_places(part) == n for part, _ in parts):
            named = ((part, f"{parted_by}, {fact}".strip(", ")) for part, fact in parts)
            return [division for part, name in named for division in _parted(part, name)]
    return [(frames, parted_by)]


def _place(frame: Frame) -> tuple[float, ...]:
    return tuple(round(mm, _PLACE_DECIMALS) for mm in frame.position_mm)
