"""Which structures of a case can be compared: those that the reference annotates and the prediction tells about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from ctatlas.anatomy import made_of, structures
from ctatlas.benchmark.evaluate.notes import Note
from ctatlas.volume import Segmentation

Parts = Mapping[str, tuple[str, ...]]
_NAMED = 6  # parts that a note lists


@dataclass(frozen=True, slots=True)
class Match:
    """What of one case is compared.

    Attributes
    ----------
    gt_parts, pred_parts : mapping of str to tuple of str
        Structure -> what the masks of the reference and of the prediction are put together from, mostly itself.
    untold : tuple of str
        Annotated, but the prediction does not tell about them.
    not_annotated : tuple of str
        Predicted, but nobody looked for them in the reference.
    """

    gt_parts: Parts
    pred_parts: Parts
    untold: tuple[str, ...]
    not_annotated: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The structures that are compared."""
        return tuple(self.gt_parts)

    @property
    def notes(self) -> Iterator[Note]:
        """Tell what is put together."""
        for side, parts in (("reference", self.gt_parts), ("prediction", self.pred_parts)):
            for name, several in parts.items():
                if several != (name,):
                    more = f" and {len(several) - _NAMED} more" if len(several) > _NAMED else ""
                    text = f"the {side}'s is put together from {', '.join(several[:_NAMED])}{more}"
                    yield Note("put_together", text, structure=name)


def matched(annotated: Sequence[str], told: Sequence[str], wanted: Sequence[str] = ()) -> Match:
    """Match the structures of a case by name.

    What one side keeps as a whole and the other in parts is compared as the whole: `lung_left` against its two lobes.

    Parameters
    ----------
    annotated, told : sequence of str
        The structures that the reference and the prediction tell about, absent ones too.
    wanted : sequence of str
        Only these; all by default.
    """
    pairs: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [  # name, and what it is made of on each side
        (name, (name,), parts) for name in annotated if (parts := _made_of(name, told))
    ]
    matched_names = {name for name, _, _ in pairs}
    pairs += [
        (name, parts, (name,)) for name in told if name not in matched_names and (parts := _made_of(name, annotated))
    ]
    chosen = [pair for pair in pairs if not wanted or pair[0] in wanted]
    used_of_gt = {part for _, parts, _ in chosen for part in parts}
    used_of_pred = {part for _, _, parts in chosen for part in parts}
    return Match(
        gt_parts={name: parts for name, parts, _ in chosen},
        pred_parts={name: parts for name, _, parts in chosen},
        untold=tuple(name for name in annotated if name not in used_of_gt and (not wanted or name in wanted)),
        not_annotated=tuple(name for name in told if name not in used_of_pred and (not wanted or name in wanted)),
    )


def put_together(masks: Segmentation, parts: Parts) -> Segmentation:
    """Return the masks of all structures that are compared, unions made of their parts."""
    unions = {name: several for name, several in parts.items() if several != (name,)}
    kept = masks.select(name for name in masks.names if name not in unions)
    return kept.with_masks((name, reduce(np.logical_or, map(masks.mask, several))) for name, several in unions.items())


def _made_of(name: str, available: Sequence[str]) -> tuple[str, ...]:
    if name in available:
        return (name,)
    known = structures()
    return made_of(name, [one for one in available if one in known]) if name in known else ()
