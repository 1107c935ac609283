"""Scores of many cases → means by sort of data and structure, in plain types and as tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ctatlas.training.evaluation.scores import Score
from ctatlas.training.evaluation.verdict import statuses

# As columns of the tables: what the data are is told above each table.
SORTS = ("phantom", "label map", "real", "held out")
# Source: the figures of the first version and of its prototype are means of these.
ELEVEN = (
    "liver", "spleen", "kidney_left", "kidney_right", "stomach", "aorta", "inferior_vena_cava", "pancreas", "heart",
    "vertebrae", "lungs",
)  # fmt: skip
FOURTEEN = (*(name for name in ELEVEN if name != "heart"), "urinary_bladder", "gallbladder", "hips", "femurs")


@dataclass(frozen=True, slots=True)
class Figure:
    """Means over the cases of one sort that have a structure, and the worst that was invented in those that lack it.

    Attributes
    ----------
    n : int
        Cases that have it. Means are over cases; `mean_volume_error` is that of the absolute values.
    n_absent : int
        Cases known to lack it.
    """

    sort: str
    structure: str
    n: int
    mean_dice: float | None
    mean_nsd: float | None
    mean_volume_error: float | None
    prior_dice: float | None
    n_absent: int
    largest_invented_ml: float
    largest_stray_ml: float


def summary(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Return the figures of every sort and structure in plain types."""
    keys = sorted({(each.sort, each.structure) for each in scores})
    return [
        asdict(_figure(sort, name, [s for s in scores if (s.sort, s.structure) == (sort, name)])) for sort, name in keys
    ]


def _figure(sort: str, structure: str, scores: Sequence[Score]) -> Figure:
    present = [each for each in scores if each.dice is not None]
    return Figure(
        sort,
        structure,
        len(present),
        _mean([each.dice for each in present]),
        _mean([each.nsd for each in present]),
        _mean([abs(each.volume_error) for each in present if each.volume_error is not None]),
        _mean([each.position_dice for each in present]),
        len(scores) - len(present),
        max(each.invented_ml for each in scores),
        max(each.stray_ml for each in scores),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def overall(figures: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Return the mean Dice over structures for each sort: eleven structures of the trunk, or fourteen held out."""
    means = {}
    for sort in SORTS:
        dice = {row["structure"]: row["mean_dice"] for row in figures if row["sort"] == sort}
        means[sort] = _mean([dice.get(name) for name in (FOURTEEN if sort == "held out" else ELEVEN)])
    return means


def table(figures: Sequence[dict[str, Any]], wrong: Collection[str] = ()) -> str:
    """Return the figures as Markdown: a row per structure; for every sort of data Dice (guess) · NSD · volume error."""
    sorts = [sort for sort in SORTS if any(row["sort"] == sort and row["n"] for row in figures)]
    head = ["structure", "status", *sorts, "invented, mL", "stray, mL"]
    judged = statuses(figures, wrong)
    lines = [_row(head), "| --- |" + " --- |" * (len(head) - 1)]
    for name in sorted({row["structure"] for row in figures}):
        own = {row["sort"]: row for row in figures if row["structure"] == name}
        if not any(row["n"] or row["largest_invented_ml"] for row in own.values()):
            continue
        worst = (max(row[key] for row in own.values()) for key in ("largest_invented_ml", "largest_stray_ml"))
        cells = [_cell(own.get(sort)) for sort in sorts]
        lines.append(_row([name, judged.get(name, "–").replace("_", " "), *cells, *(f"{ml:.1f}" for ml in worst)]))
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(row: dict[str, Any] | None) -> str:
    if row is None or row["mean_dice"] is None:
        return "–"
    prior = "" if row["prior_dice"] is None else f" ({row['prior_dice']:.2f})"
    return f"{row['mean_dice']:.3f}{prior} · {row['mean_nsd']:.2f} · {row['mean_volume_error']:.0%}, n = {row['n']}"
