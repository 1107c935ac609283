"""Lay the means of several models side by side: `python scripts/compare_base_models.py OUT.md FIGURES.json …`.

FIGURES are what `benchmarks/base_model.py` writes, one file for each model or for several asked together.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctatlas.training.evaluation.aims import largest_invented
from ctatlas.training.evaluation.figures import SORTS, overall


def compared(told: Sequence[dict[str, Any]]) -> str:
    """Return a line per file as Markdown: mean Dice by sort of data, and the largest organ invented in a real CT."""
    head = ["model", *SORTS, "largest invented, mL"]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    for each in told:
        means = overall(each["summary"])
        ml, structure = largest_invented(each["summary"])
        cells = ["–" if (mean := means[sort]) is None else f"{mean:.3f}" for sort in SORTS]
        lines.append("| " + " | ".join([" + ".join(each["model"]), *cells, f"{ml:.1f} ({structure})"]) + " |")
    return "\n".join(lines) + "\n"


def main(out: Path, *figures: Path) -> None:
    """Write the table."""
    out.write_text(compared([json.loads(path.read_text(encoding="utf-8")) for path in figures]), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
