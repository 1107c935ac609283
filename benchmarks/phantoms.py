"""Measure phantoms: `python benchmarks/phantoms.py OUT.json [--markdown TABLE.md] [--n 12]`.

Each drawn person's organs are painted on a grid that the fitting never saw, and set against the volumes drawn for them.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import ctatlas
from ctatlas.synthesis.fitting import SMALL_ML, Box, drawn_ml, fitted, organ_mm, painted_ml, trunk_mm
from ctatlas.synthesis.paint import paint
from ctatlas.synthesis.phantom import Phantom, draw_phantom

SEED = 71_001
GRID = (2.2, 0.7)  # step and offset in mm
FINE = (0.7, 0.3)  # for organs of a few mL


def on_grid(phantom: Phantom, box: Box, grid: tuple[float, float]) -> dict[str, float]:
    """Return the volumes of structures painted in a box."""
    step, offset = grid
    axes = [np.arange(low + offset, high, step) for low, high in box]
    return painted_ml(paint(phantom, axes[0], axes[1], axes[2]), step**3)


def measured(number: int) -> tuple[dict[str, tuple[float, float]], float]:
    """Return drawn and painted volume by organ of one person, and the seconds that drawing and fitting took."""
    started = time.process_time()
    phantom = fitted(draw_phantom(np.random.default_rng([SEED, number])))
    seconds = time.process_time() - started
    drawn, painted = drawn_ml(phantom), on_grid(phantom, trunk_mm(phantom), GRID)
    small = [] if phantom.mirrored else [name for name, ml in drawn.items() if ml < SMALL_ML]
    painted |= {name: on_grid(phantom, organ_mm(phantom, name), FINE)[name] for name in small}
    return {name: (ml, painted[name]) for name, ml in drawn.items()}, seconds


def rows(people: list[dict[str, tuple[float, float]]]) -> list[dict[str, Any]]:
    """Return one row an organ."""
    found = defaultdict(list)
    for person in people:
        for name, volumes in person.items():
            found[name].append(volumes)
    table = []
    for name, pairs in sorted(found.items()):
        drawn, painted = np.array(pairs).T
        off = np.abs(painted / drawn - 1)
        table.append(
            {
                "organ": name,
                "n": len(drawn),
                "median_ml": float(np.median(drawn)),
                "least_ml": float(drawn.min()),
                "most_ml": float(drawn.max()),
                "median_off": float(np.median(off)),
                "worst_off": float(off.max()),
            }
        )
    return table


def ml(volume: float) -> str:
    """Write a volume with three figures at most."""
    return f"{volume:.0f}" if volume >= 100 else f"{volume:.3g}"


def markdown(table: list[dict[str, Any]]) -> str:
    """Return the table of the manual."""
    lines = ["| organ | n | drawn, mL: median (range) | off by, %: median, worst |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {row['organ']} | {row['n']} | {ml(row['median_ml'])} ({ml(row['least_ml'])} to {ml(row['most_ml'])}) "
        f"| {100 * row['median_off']:.1f}, {100 * row['worst_off']:.1f} |"
        for row in table
    ]
    return "\n".join(lines) + "\n"


def main(
    out: Annotated[Path, typer.Argument(metavar="OUT.json")],
    markdown_to: Annotated[Path | None, typer.Option("--markdown")] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="How many people.")] = 12,
) -> None:
    """Measure how well phantoms have the volumes drawn for them."""
    people, seconds = zip(*(measured(number) for number in range(n)), strict=True)
    table = rows(list(people))
    out.parent.mkdir(parents=True, exist_ok=True)
    figures = {"version": ctatlas.__version__, "seed": SEED, "n": n, "seconds": float(np.median(seconds))}
    out.write_text(json.dumps(figures | {"organs": table}, indent=1) + "\n", encoding="utf-8")
    (markdown_to or out.with_suffix(".md")).write_text(markdown(table), encoding="utf-8")
    print(markdown(table) + f"\nprocessor seconds a person, median: {figures['seconds']:.1f}")


if __name__ == "__main__":
    typer.run(main)
