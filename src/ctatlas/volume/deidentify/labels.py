"""Names of segments and contours: ours where the structure is one that ctatlas knows, a number where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctatlas.anatomy import structure_called
from ctatlas.volume.deidentify.codes import structure_of
from ctatlas.volume.deidentify.vocabulary import is_known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset

# sequence of named things -> attribute with the name, attribute with the number, word for one that is not known
_NAMED = {
    "SegmentSequence": ("SegmentLabel", "SegmentNumber", "segment"),
    "StructureSetROISequence": ("ROIName", "ROINumber", "roi"),
}
_SAME_AS_NAME = {"SegmentSequence": "TrackingID"}


def rename(sequence: str, old: Sequence[Dataset], new: Sequence[Dataset]) -> bool:
    """Give the cleaned items of a sequence names that stand for what the old ones meant; return whether it has names.

    A name is told by its spelling, else by the code of the segment; two of one name get numbers.
    """
    if sequence not in _NAMED:
        return False
    name_at, number_at, word = _NAMED[sequence]
    taken: set[str] = set()
    for before, after in zip(old, new, strict=True):
        label = str(before.get(name_at, "") or "").strip()
        name = structure_called(label) or (is_known(name_at, label) and label) or structure_of(before)
        number = after.get(number_at)
        free = name or f"{word}_{int(number) if number is not None else len(taken) + 1}"
        while free in taken:
            free = f"{name or word}_{len(taken) + 1}"
        taken.add(free)
        setattr(after, name_at, free)
        if _SAME_AS_NAME.get(sequence, "") in after:
            setattr(after, _SAME_AS_NAME[sequence], free)
    return True
