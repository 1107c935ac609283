"""The list of hot spots for a person: as a table, and in words."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from ctatlas.atlas.records import HotSpot

_COLUMNS = ("rank", "structure", "reason", "ml", "minutes", "score", "x_mm", "y_mm", "z_mm")
_WORTH_A_WORD_ML = 0.1
_BOX = ("i_lo", "j_lo", "k_lo", "i_hi", "j_hi", "k_hi")


def as_table(spots: Sequence[HotSpot]) -> str:
    """Return a CSV, one row a hot spot in the order in which to look: world mm (RAS) of the middle, box in voxels."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow((*_COLUMNS, *_BOX))
    for rank, spot in enumerate(spots, start=1):
        middle = [f"{mm:.1f}" for mm in spot.center_mm]
        figures = [f"{spot.ml:.3f}", f"{spot.minutes:.2f}", f"{spot.score:.4g}"]
        table.writerow((rank, spot.structure, spot.reason, *figures, *middle, *spot.lo, *spot.hi))
    return text.getvalue()


def in_words(spots: Sequence[HotSpot], unlisted_ml: Mapping[str, float] | None = None) -> str:
    """Return a page to read beside the viewer; `unlisted_ml` says what of each structure no hot spot holds."""
    little = _little(unlisted_ml or {})
    if not spots:
        return little or "No hot spots: 'ctatlas attend' has not looked at this case, or found nothing to look at.\n"
    total = sum(spot.minutes for spot in spots)
    lines = [f"{len(spots)} places to look at, about {total:.0f} minutes, the most expected gain a minute first.", ""]
    spent = 0.0
    for rank, spot in enumerate(spots, start=1):
        x, y, z = spot.center_mm
        where = f"{_toward(x, 'RL')}, {_toward(y, 'AP')}, {_toward(z, 'SI')}"
        slices = f"slices {spot.lo[2] + 1} to {spot.hi[2]}"
        spent += spot.minutes
        lines.append(f"{rank:3}. {spot.structure}: {spot.reason} ({spot.ml:.1f} mL, about {spot.minutes:.1f} min)")
        lines.append(f"     at {where} mm; {slices} of the third axis; {spent:.0f} min so far")
    return "\n".join(lines) + "\n" + (f"\n{little}" if little else "")


def _little(unlisted_ml: Mapping[str, float]) -> str:
    """Say what the maps show and the list leaves out."""
    most = sorted(((ml, name) for name, ml in unlisted_ml.items() if ml >= _WORTH_A_WORD_ML), reverse=True)
    if not most:
        return ""
    named = ", ".join(f"{name} {ml:.1f} mL" for ml, name in most)
    return f"Not listed, because little is gained there for the time: {named}. The attention maps show where.\n"


def _toward(mm: float, sides: str) -> str:
    """Say a coordinate as viewers do: R 12 is 12 mm toward the patient's right."""
    return f"{sides[mm < 0]} {abs(mm):.0f}"
