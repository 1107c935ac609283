"""Places that may be asked of an annotator, as columns: a row is a box of one structure in one case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from ctatlas.atlas.records import PlaceRecord, PlacesRecord
from ctatlas.kernels.boxes import Box


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One place.

    Attributes
    ----------
    case, structure : str
    box : Box
        In voxels of the scan.
    minutes : float
        Expected time to correct it.
    gain : float
        Expected gain, from the attention's score.
    attention_ml : float
        Volume that needs eyes.
    entropy, class_entropy, bald : float
        Means over the box: entropy of the ensemble's mean p in bits; p times that; mutual information.
    foreground_ml, border_ml : float
        Volume of the predicted structure in the box, and of its border.
    patches : (m,) float
        Mean probabilities of the parts of the box.
    """

    case: str
    structure: str
    box: Box
    minutes: float
    gain: float
    attention_ml: float
    entropy: float
    class_entropy: float
    bald: float
    foreground_ml: float
    border_ml: float
    patches: np.ndarray


@dataclass(frozen=True, eq=False)
class Candidates:
    """All places, a column a fact; see `Candidate`."""

    case: np.ndarray
    structure: np.ndarray
    box: tuple[Box, ...]
    minutes: np.ndarray
    gain: np.ndarray
    attention_ml: np.ndarray
    entropy: np.ndarray
    class_entropy: np.ndarray
    bald: np.ndarray
    foreground_ml: np.ndarray
    border_ml: np.ndarray
    patches: np.ndarray
    asked: np.ndarray  # (n,) bool: what annotators have seen already

    @classmethod
    def of(cls, rows: Iterable[Candidate]) -> Candidates:
        """Gather places that nobody has seen yet."""
        held = list(rows)
        columns = {
            field.name: np.array([getattr(row, field.name) for row in held])
            for field in fields(Candidate)
            if field.name not in ("box", "patches")
        }
        patches = np.array([row.patches for row in held], np.float64) if held else np.zeros((0, 1))
        return cls(box=tuple(row.box for row in held), patches=patches, asked=np.zeros(len(held), bool), **columns)

    def __len__(self) -> int:
        return len(self.box)

    def part(self, rows: np.ndarray) -> Candidates:
        """Return some of the places, by number or by a mask."""
        numbers = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        columns = {
            field.name: getattr(self, field.name)[numbers] for field in fields(Candidates) if field.name != "box"
        }
        return Candidates(box=tuple(self.box[number] for number in numbers.tolist()), **columns)

    @cached_property
    def features(self) -> np.ndarray:
        """What makes places alike, (n, f) standardised: how sure, how large, which structure, and the picture of p."""
        amounts = [self.entropy, self.bald, np.log1p(self.foreground_ml), np.log1p(self.attention_ml)]
        names, kind = np.unique(self.structure, return_inverse=True)
        columns = np.column_stack([*amounts, self.patches, np.eye(len(names))[kind]])
        spread = columns.std(axis=0)
        standard: np.ndarray = (columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1)
        return standard


def places_record(rows: Iterable[Candidate]) -> PlacesRecord:
    """Say the places of one case in words of JSON."""
    return PlacesRecord(
        places=tuple(
            PlaceRecord(
                structure=row.structure,
                lo=row.box.lo,
                hi=row.box.hi,
                patches=np.rint(255 * row.patches).astype(np.uint8).tobytes().hex(),
                **{name: float(f"{getattr(row, name):.6g}") for name in _AMOUNTS},
            )
            for row in rows
        )
    )


def candidates_in(cases: Mapping[str, PlacesRecord]) -> Candidates:
    """Gather the places of many cases."""
    return Candidates.of(
        Candidate(
            case=case,
            structure=place.structure,
            box=Box(place.lo, place.hi),
            patches=np.frombuffer(bytes.fromhex(place.patches), np.uint8) / 255,
            **{name: getattr(place, name) for name in _AMOUNTS},
        )
        for case, record in cases.items()
        for place in record.places
    )


_AMOUNTS = (
    "minutes", "gain", "attention_ml", "entropy", "class_entropy", "bald", "foreground_ml", "border_ml",
)  # fmt: skip
