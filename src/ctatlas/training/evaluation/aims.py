"""What the bundled model was meant to reach, set down before it was trained, beside what it reaches."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ctatlas.training.evaluation.figures import overall
from ctatlas.training.evaluation.verdict import INVENTED_ML

PATIENTS = ("real", "held out", "unlabelled")


@dataclass(frozen=True, slots=True)
class Aim:
    """A mean Dice on one sort of data: of a structure, or the mean that `figures.overall` takes."""

    sort: str
    figure: str
    at_least: float


@cache
def aims() -> tuple[Aim, ...]:
    """Return all aims."""
    text = files("ctatlas.training.evaluation").joinpath("data", "aims.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return tuple(Aim(row["sort"], row["figure"], float(row["at_least"])) for row in rows)


def reached(aim: Aim, figures: Sequence[dict[str, Any]]) -> float | None:
    """Return what was measured for an aim; None where it was not."""
    if aim.figure == "mean":
        return overall(figures)[aim.sort]
    return next(
        (row["mean_dice"] for row in figures if (row["sort"], row["structure"]) == (aim.sort, aim.figure)), None
    )


def largest_invented(figures: Sequence[dict[str, Any]]) -> tuple[float, str]:
    """Return the largest organ found in a real CT that does not have it, in mL, and which it is."""
    return max(
        ((row["largest_invented_ml"], row["structure"]) for row in figures if row["sort"] in PATIENTS),
        default=(0.0, ""),
    )


def aims_table(figures: Sequence[dict[str, Any]]) -> str:
    """Return aims and what was reached as Markdown."""
    lines = ["| data | figure | aim | reached |", "| --- | --- | ---: | ---: |"]
    for aim in aims():
        value = reached(aim, figures)
        shown = "–" if value is None else f"{value:.3f}" if value < aim.at_least else f"**{value:.3f}**"
        lines.append(f"| {aim.sort} | {aim.figure} | {aim.at_least:.2f} | {shown} |")
    ml, structure = largest_invented(figures)
    shown = f"{ml:.1f} ({structure})" if ml > INVENTED_ML else f"**{ml:.1f}**"
    lines.append(f"| every real CT | largest invented organ, mL | at most {INVENTED_ML:g} | {shown} |")
    return "\n".join(lines) + "\n"
