"""What a model's figures allow to say of each structure: usable, experimental or not usable."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

USABLE_FROM = 0.5  # mean Dice on every sort of data on which the structure was measured
INVENTED_ML = 5.0
CASES = 3  # of fewer, all sorts of data together, a mean says too little


def statuses(figures: Sequence[Mapping[str, Any]], wrong: Collection[str] = ()) -> dict[str, str]:
    """Judge every structure by its figures.

    "not_usable": does not beat the guess from place alone on some sort of data. "usable": beats it everywhere with a
    mean Dice of at least `USABLE_FROM`, was measured in at least `CASES` cases, was never found larger than
    `INVENTED_ML` where it is not, and is not among those that look wrong in a real scan. "experimental": the rest, and
    what was never measured.
    """
    judged: dict[str, str] = {}
    rows = [row for row in figures if row["mean_dice"] is not None]
    for name in sorted({row["structure"] for row in rows}):
        own = [row for row in rows if row["structure"] == name]
        invented = max(row["largest_invented_ml"] for row in figures if row["structure"] == name)
        beaten = all(row["mean_dice"] > (row["prior_dice"] or 0) for row in own)
        good = all(row["mean_dice"] >= USABLE_FROM for row in own) and invented <= INVENTED_ML
        good = good and name not in wrong and sum(row["n"] for row in own) >= CASES
        judged[name] = "not_usable" if not beaten else "usable" if good else "experimental"
    return judged
