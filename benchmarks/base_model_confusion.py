"""Measure what is taken for what: `python benchmarks/base_model_confusion.py OUT.json [--markdown TABLE.md]`.

For every class of the bundled network that a labelled real CT shows: what the network calls the voxels that it misses,
classes that are never written among them, and what the reference calls those that it takes too much.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ctatlas.anatomy import structures
from ctatlas.atomic import whole_file
from ctatlas.inference import Scene
from ctatlas.inference.decide import decide
from ctatlas.inference.engine import answer
from ctatlas.models import Model, ModelCard, load
from ctatlas.training.evaluation.cases import real
from ctatlas.volume import Segmentation

NOTHING = "nothing"  # background of the network, or what the reference does not label
AT_LEAST_ML, AT_LEAST = 1.0, 0.02  # what is told: mL, and share of the true or found volume
AT_MOST = 3


@dataclass(frozen=True, slots=True)
class Row:
    """A class of the network in one case.

    Attributes
    ----------
    structure : str
    true_ml, found_ml : float
    missed_ml : dict
        True and not found, by what the network calls it.
    too_much_ml : dict
        Found and not true, by what the reference calls it.
    """

    structure: str
    true_ml: float
    found_ml: float
    missed_ml: dict[str, float]
    too_much_ml: dict[str, float]


def decided(scene: Scene, model: Model) -> Segmentation:
    """Return all classes that a network finds in a scan, as it says them."""
    slabs = answer(scene, model, scene.calibrated.body).slabs
    return decide(slabs, model.card, scene.volume.grid)


def confusions(found: Segmentation, truth: Segmentation, like: ModelCard) -> list[Row]:
    """Compare what a network finds with the truth, class by class.

    Parameters
    ----------
    found, truth : Segmentation
        On the same grid; `found` with every class of the network, which do not overlap.
    like : ModelCard
        Of the network.
    """
    present = {name for name, n in truth.n_voxels().items() if n}
    smallest = truth.select(sorted(name for name in present if not present & set(structures()[name].parts)))
    ml, from_hu = truth.grid.voxel_ml, set(like.calibrated.structures)
    rows = []
    for name in found.names:
        if name in present and not from_hu & set(structures()[name].parts):
            true, said = truth.mask(name), found.mask(name)
            missed, too_much = _by_name(true & ~said, found), _by_name(said & ~true, smallest)
            rows.append(Row(name, np.count_nonzero(true) * ml, np.count_nonzero(said) * ml, missed, too_much))
    return rows


def _by_name(where: np.ndarray, named: Segmentation) -> dict[str, float]:
    """Return the mL of some voxels by the structure they belong to."""
    ml = named.grid.voxel_ml
    counts = {name: np.count_nonzero(named.mask(name) & where) for name in named.names}
    counts[NOTHING] = np.count_nonzero(where) - sum(counts.values())
    return {name: n * ml for name, n in counts.items() if n}


def table(rows: Sequence[Row]) -> str:
    """Return a line per class: volumes, and what most of the errors are."""
    lines = ["| class | true, mL | found, mL | missed: what it is called | too much: what it is |"]
    lines.append("| --- | --: | --: | --- | --- |")
    for row in sorted(rows, key=lambda row: row.structure):
        missed, taken = told(row.missed_ml, row.true_ml), told(row.too_much_ml, row.found_ml)
        lines.append(f"| {row.structure} | {row.true_ml:.0f} | {row.found_ml:.0f} | {missed} | {taken} |")
    return "\n".join(lines) + "\n"


def told(ml: Mapping[str, float], of_ml: float) -> str:
    """Return the largest volumes, without those that hardly matter."""
    largest = sorted(ml.items(), key=lambda item: -item[1])[:AT_MOST]
    worth = [f"{name} {value:.0f}" for name, value in largest if value >= max(AT_LEAST_ML, AT_LEAST * of_ml)]
    return ", ".join(worth) or "–"


def main(
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
    model: Annotated[str, typer.Option(help="A network of this trainer.")] = "ctatlas/base",
    case: Annotated[str, typer.Option(help="A labelled real CT that it never saw.")] = "lidc-0001",
    data: Path = Path("../shared/data"),
    table_file: Annotated[Path | None, typer.Option("--markdown", help="Write the table for the docs here.")] = None,
) -> None:
    """Count voxels by what they are and what they are called, and print a table."""
    network, scan = load(model), real(data, case)
    rows = confusions(decided(Scene(scan.volume), network), scan.truth, network.card)
    with whole_file(out) as file:
        file.write((json.dumps([asdict(row) for row in rows], indent=1) + "\n").encode())
    if table_file:
        table_file.write_text(table(rows), encoding="utf-8")
    typer.echo(table(rows))


if __name__ == "__main__":
    typer.run(main)
