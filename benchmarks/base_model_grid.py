"""Measure what a network's grid costs: `python benchmarks/base_model_grid.py OUT.json [--markdown TABLE.md]`.

The truth of a case is brought to a coarse grid, where every voxel gets the structure that has most of it, and back, as
`segment` brings back what a network says. The Dice with the truth is what a network that never errs would have.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ctatlas.atomic import whole_file
from ctatlas.inference.restore import restore
from ctatlas.inference.route import Route, plan
from ctatlas.kernels.boxes import Box
from ctatlas.kernels.resample import shrink
from ctatlas.measure.overlap import dice
from ctatlas.models import ModelCard, card
from ctatlas.training.evaluation.cases import Case, phantoms, real
from ctatlas.training.evaluation.store import Store

STEPS_MM = (4.0, 3.0, 2.0)


def at_best(case: Case, names: Sequence[str], like: ModelCard, step_mm: float) -> dict[str, float]:
    """Return the Dice by structure of a truth that went to a grid of some step and back."""
    grid = case.volume.grid
    asked = like.model_copy(update={"input": like.input.model_copy(update={"spacing_mm": (step_mm,) * 3})})
    route = plan(grid, asked, Box((0, 0, 0), grid.shape))
    found = _back(_certain(case, names, route), route)
    return {name: dice(case.truth.mask(name), found == n) for n, name in enumerate(names, start=1)}


def _certain(case: Case, names: Sequence[str], route: Route) -> np.ndarray:
    """Return 1 for the class that has most of a voxel of the coarse grid, else 0, (c, x, y, z) float32."""
    shares = np.stack([shrink(case.truth.mask(name), route.shrinking()) for name in names])
    winner = np.concatenate([1 - shares.sum(axis=0, keepdims=True), shares]).argmax(axis=0)
    classes = np.arange(len(names) + 1)[:, None, None, None]
    return np.stack([route.to_network(mask) for mask in winner == classes]).astype(np.float32)


def _back(probabilities: np.ndarray, route: Route) -> np.ndarray:
    """Return the winning class of every voxel of the scan, (i, j, k) uint8."""
    found = np.zeros(route.scan.shape, np.uint8, order="F")
    for slab in restore(probabilities, route):
        found[slab.box.slices] = np.argmax([slab.probability(n) for n in range(slab.n_classes)], axis=0)
    return found


def parts_of(case: Case, like: ModelCard) -> list[str]:
    """Return the network's structures that a case has."""
    present = {name for name, n in case.truth.n_voxels().items() if n}
    return [each.name for each in like.classes if each.is_structure and each.name in present]


def cases(store: Store, data: Path, n_phantoms: int) -> Iterator[Case]:
    """Yield the labelled real CTs and unseen phantoms."""
    yield real(data, "lidc-0001")
    yield real(data, "ts-example")
    yield from phantoms(store, n_phantoms)


def table(rows: dict[str, dict[str, list[float]]]) -> str:
    """Return a line per structure, a column per step: mean (n)."""
    heads = [f"{step:g} mm" for step in STEPS_MM]
    lines = ["| structure | n | " + " | ".join(heads) + " |", "| --- | --: |" + " --: |" * len(heads)]
    for name, by_step in sorted(rows.items()):
        means = " | ".join(f"{np.mean(by_step[head]):.3f}" for head in heads)
        lines.append(f"| {name} | {len(by_step[heads[0]])} | {means} |")
    return "\n".join(lines) + "\n"


def main(
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
    model: Annotated[str, typer.Option(help="Whose structures, and whose way to its grid.")] = "ctatlas/base",
    data: Path = Path("../shared/data"),
    n_phantoms: Annotated[int, typer.Option("--phantoms")] = 4,
    folder: Annotated[Path, typer.Option("--store", help="Keeps drawn cases.")] = Path("build/evaluation"),
    table_file: Annotated[Path | None, typer.Option("--markdown", help="Write the table for the docs here.")] = None,
) -> None:
    """Bring truths to grids and back, and print a table."""
    like = card(model)
    rows: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for case in cases(Store(folder), data, n_phantoms):
        for step in STEPS_MM:
            for name, value in at_best(case, parts_of(case, like), like, step).items():
                rows[name][f"{step:g} mm"].append(value)
        typer.echo(case.name, err=True)
    with whole_file(out) as file:
        file.write((json.dumps(rows, indent=1) + "\n").encode())
    if table_file:
        table_file.write_text(table(rows), encoding="utf-8")
    typer.echo(table(rows))


if __name__ == "__main__":
    typer.run(main)
