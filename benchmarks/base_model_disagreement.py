"""Measure whether networks differ where they err: `python benchmarks/base_model_disagreement.py OUT.json`.

On data that no network saw, what the bundled model finds is held against the truth. Maps that claim to know where it is
wrong rank the voxels of the body: the entropy of one network or of three together, the disagreement of one network with
itself on a moved grid, and that of three networks. A border that is a voxel off is wrong, too; what is worth a person's
time are errors more than a few millimetres deep, counted apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy import ndimage

from ctatlas.atlas.members import variants
from ctatlas.atomic import whole_file
from ctatlas.inference import AS_ITS_CARD_SAYS, Scene
from ctatlas.kernels.spread import spread
from ctatlas.models import Model, card, load
from ctatlas.training.evaluation.cases import Case, label_maps, phantoms, real
from ctatlas.training.evaluation.scores import comparable, find
from ctatlas.training.evaluation.store import Store
from ctatlas.training.votes import vote_on
from ctatlas.volume import Grid

THREE = ("ctatlas/base", "ctatlas/base-b", "ctatlas/base-c")
MOVED = variants()["shift"].view
DEEP_MM = 5.0  # thickness of what counts as a deep error
AREA = 0.05  # of the body: what a person is asked to look at
STEPS = 256  # a map is stored in bytes


@dataclass(frozen=True, slots=True)
class Row:
    """How well a map finds the errors in one case.

    Attributes
    ----------
    sort, case, by, errors : str
        `by` names the map, `errors` is "all" or "deep".
    auroc : float
        Chance that a wrong voxel ranks before a right one.
    found : float
        Share of the wrong voxels in the `AREA` of the body that ranks first.
    wrong : float
        Share of the body that is wrong.
    """

    sort: str
    case: str
    by: str
    errors: str
    auroc: float
    found: float
    wrong: float


def maps(scene: Scene, team: Sequence[Model]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each map (i, j, k) uint8 by its name; the first of the team is the model whose errors are sought."""
    alone, *others = (vote_on(scene, [model], (AS_ITS_CARD_SAYS,)).mean for model in team)
    moved = vote_on(scene, team[:1], (MOVED,)).mean
    yield "entropy of one network", _in_steps(entropy(alone))
    yield "disagreement, one network on a moved grid", _in_steps(disagreement([alone, moved]))
    yield "disagreement, three networks", _in_steps(disagreement([alone, *others]))
    yield "entropy of the mean of three networks", _in_steps(entropy(sum(others, alone) / len(team)))


def entropy(mean: np.ndarray) -> np.ndarray:
    """Return the entropy of probabilities (c, i, j, k) at every voxel, 1 where all classes are equally likely."""
    total = sum(-p * np.log(np.maximum(p, 1e-6)) for p in mean)
    return np.asarray(total / np.log(len(mean)))


def disagreement(said: Sequence[np.ndarray]) -> np.ndarray:
    """Return how far probabilities (c, i, j, k) lie apart in the class, but for background, where that is most."""
    classes = range(1, len(said[0]))
    apart = (spread(len(said), sum(p[n] for p in said), sum(p[n] ** 2 for p in said)) for n in classes)
    return np.asarray(reduce(np.maximum, apart))


def _in_steps(shares: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(shares, 0, 1) * (STEPS - 1)).astype(np.uint8)


def mistakes(case: Case, name: str) -> np.ndarray:
    """Return where the model finds a structure that is not there, or misses one, (i, j, k) bool.

    What calibrated HU gives is left out: networks have no say in it.
    """
    truth, found = comparable(case.truth, find(case.volume, [name]))
    given = {"lungs", *card(name).calibrated.structures}
    wrong = np.zeros(truth.grid.shape, bool)
    for structure in set(truth.names) & set(found.names) - given:
        wrong |= truth.mask(structure) ^ found.mask(structure)
    return wrong


def deep(wrong: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the errors without those that are thinner than `DEEP_MM`."""
    spacing = grid.spacing_mm  # a voxel's middle lies half a voxel from its border
    inside = ndimage.distance_transform_edt(wrong, sampling=spacing) - min(spacing) / 2 >= DEEP_MM / 2
    return wrong & (ndimage.distance_transform_edt(~inside, sampling=spacing) <= DEEP_MM / 2)


def ranked(values: np.ndarray, wrong: np.ndarray) -> tuple[float, float]:
    """Return AUROC, and the share of the wrong voxels among the `AREA` of all voxels that rank first.

    Parameters
    ----------
    values : (n,) uint8
    wrong : (n,) bool
    """
    bad = np.bincount(values[wrong], minlength=STEPS)[::-1].astype(float)
    good = np.bincount(values[~wrong], minlength=STEPS)[::-1].astype(float)
    auroc = float((bad * (good.sum() - good.cumsum() + good / 2)).sum() / (bad.sum() * good.sum()))
    looked_at = np.concatenate([[0], (bad + good).cumsum()])
    return auroc, float(np.interp(AREA * values.size, looked_at, np.concatenate([[0], bad.cumsum()])) / bad.sum())


def rows_of(case: Case, models: Sequence[str], team: Sequence[Model]) -> list[Row]:
    """Rank the body's voxels by every map."""
    wrong, scene = mistakes(case, models[0]), Scene(case.volume)
    body = scene.calibrated.body | wrong
    sorts = {"all": wrong, "deep": deep(wrong, case.volume.grid)}
    rows = []
    for by, values in maps(scene, team):
        for errors, where in sorts.items():
            if where.any():
                auroc, found = ranked(values[body], where[body])
                rows.append(Row(case.sort, case.name, by, errors, auroc, found, float(where.sum() / body.sum())))
    return rows


def means(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Return the means of each sort of data, map and sort of errors."""
    keys = list(dict.fromkeys((row.sort, row.by, row.errors) for row in rows))
    return [_mean(key, [row for row in rows if (row.sort, row.by, row.errors) == key]) for key in keys]


def _mean(key: tuple[str, str, str], rows: Sequence[Row]) -> dict[str, object]:
    told = {name: float(np.mean([getattr(row, name) for row in rows])) for name in ("auroc", "found", "wrong")}
    return {"sort": key[0], "by": key[1], "errors": key[2], "n": len(rows), **told}


def table(figures: Sequence[Mapping[str, object]]) -> str:
    """Return the means as Markdown: a row per sort of data and map."""
    head = f"| data | where it looks first | AUROC, all errors | found in {AREA:.0%} of the body | "
    head += f"AUROC, deeper than {DEEP_MM:g} mm | found in {AREA:.0%} |"
    lines = [head, "| --- | --- | ---: | ---: | ---: | ---: |"]
    by_key = {(row["sort"], row["by"], row["errors"]): row for row in figures}
    for sort, by in dict.fromkeys((row["sort"], row["by"]) for row in figures):
        own = [by_key.get((sort, by, errors)) for errors in ("all", "deep")]
        cells = ["– | –" if row is None else f"{row['auroc']:.3f} | {row['found']:.2f}" for row in own]
        lines.append(f"| {sort}, n = {own[0]['n'] if own[0] else 0} | {by} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
    model: Annotated[list[str] | None, typer.Option(help="Networks of one recipe; the first one's errors.")] = None,
    data: Path = Path("../shared/data"),
    n_phantoms: Annotated[int, typer.Option("--phantoms")] = 4,
    n_label_maps: Annotated[int, typer.Option("--label-maps")] = 4,
    folder: Annotated[Path, typer.Option("--store", help="Keeps drawn cases.")] = Path("build/evaluation"),
    table_file: Annotated[Path | None, typer.Option("--markdown", help="Write the table for the docs here.")] = None,
) -> None:
    """Rank voxels by every map in every case, and print a table."""
    models, store = model or list(THREE), Store(folder)
    team, rows = [load(name) for name in models], []
    for case in (*phantoms(store, n_phantoms), *label_maps(store, data, n_label_maps), real(data, "lidc-0001")):
        rows += rows_of(case, models, team)
        typer.echo(case.name, err=True)
    told = {"models": models, "means": means(rows), "rows": [asdict(row) for row in rows]}
    with whole_file(out) as file:
        file.write((json.dumps(told, indent=1) + "\n").encode())
    if table_file:
        table_file.write_text(table(told["means"]), encoding="utf-8")
    typer.echo(table(told["means"]))


if __name__ == "__main__":
    typer.run(main)
