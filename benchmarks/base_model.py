"""Measure a model on data it never saw: `python benchmarks/base_model.py OUT.json [--model …]`.

Three sorts of cases: phantoms of another seed, completed label maps of another seed, and the labelled real CT
`lidc-0001`. Beside every Dice stands that of a position prior: the average of 40 people, fitted to the case's true
organ centres by one scale and shift per axis. The fit sees the truth, so no guess from position alone could be better.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import ctatlas
from ctatlas.anatomy import label_set, structures
from ctatlas.measure.overlap import dice
from ctatlas.models import card
from ctatlas.synthesis.cases import draw_case, make_case, structure_ids
from ctatlas.synthesis.imaging import draw_scanner, render
from ctatlas.synthesis.intensities import draw_intensities
from ctatlas.synthesis.label_maps import complete, fit
from ctatlas.synthesis.paint import paint
from ctatlas.synthesis.phantom import draw_phantom
from ctatlas.volume import Grid, ScanFacts, Segmentation, Volume, read

UNSEEN_SEED = 90_001  # the shipped network was trained with seed 1
PRIOR_MM = 6.0
PRIOR_PEOPLE = 40
PRIOR_ORIGIN = (-300.0, -240.0, -440.0)
UNION = {
    "lungs": ("lung_left", "lung_right"),
    "hips": ("hip_left", "hip_right"),
    "femurs": ("femur_left", "femur_right"),
}


@dataclass(frozen=True, slots=True)
class Case:
    """A scan and what is known to be in it."""

    sort: str
    name: str
    volume: Volume
    truth: Mapping[str, np.ndarray]
    complete: bool  # whether a structure without truth is known to be absent


def phantom_cases(n: int) -> Iterator[Case]:
    """Yield phantoms that no training run draws."""
    for number in range(n):
        case = make_case(draw_case(UNSEEN_SEED, number, shape=(192, 192, 112)))
        yield Case("phantom", f"phantom-{number}", case.volume, dict(case.truth.items()), complete=True)


def label_map_cases(data: Path, n: int) -> Iterator[Case]:
    """Yield completions of the label maps with people, phases and noise that no training run draws."""
    from ctatlas.training.pool import SPACING_MM, label_map_of

    names = ("hra-male", "hra-female", "spl-abdomen", "cort-prostate")
    ids, by_id = structure_ids()
    for number in range(n):
        name = names[number % len(names)]
        rng = np.random.default_rng([UNSEEN_SEED, number])
        sex = "female" if "female" in name else None if name.startswith("spl") else "male"
        tissues = complete(label_map_of(data, name), draw_phantom(rng, sex=sex, conditions=()), rng)
        spacing = (SPACING_MM,) * 3
        image = render(tissues, draw_intensities(rng, randomise=False, spread=1.0), draw_scanner(rng), spacing)
        grid = Grid(image.shape, np.diag([-SPACING_MM, -SPACING_MM, SPACING_MM, 1.0]))
        truth = Segmentation.from_labels(grid, np.asfortranarray(ids[tissues]), by_id)
        masks = {
            key: mask
            for key, mask in truth.items()
            if not (name.startswith("spl") and key in ("colon", "small_bowel", "stomach", "duodenum"))
        }
        yield Case(
            "label map",
            f"{name}-{number}",
            Volume(image, grid, ScanFacts(source=name, modality="CT")),
            masks,
            complete=False,
        )


def real_case(data: Path, name: str = "lidc-0001") -> Case:
    """Return a labelled real CT (labels by TotalSegmentator v2)."""
    ct, labels = {
        "lidc-0001": ("lidc-0001_ct_1p5mm.nii.gz", "lidc-0001_labels_1p5mm.nii.gz"),
        "ts-example": ("ts-example_ct.nii.gz", "ts-example_labels.nii.gz"),
    }[name]
    volume = read(data / "torso_ct" / ct)
    ids = read(data / "labelmaps" / labels).array
    names = dict(label_set("totalsegmentator-v2").labels)
    singles = {each: ids == number for number, each in names.items() if np.any(ids == number)}
    fused: dict[str, np.ndarray] = {}
    for whole, structure in structures().items():
        parts = [singles[part] for part in structure.parts if part in singles]
        if parts:
            fused[whole] = np.logical_or.reduce(parts)
    return Case("real", name, volume, singles | fused, complete=True)


@cache
def _people() -> list[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Paint the people of the prior at 6 mm; with their organ centres in mm (left, back, head)."""
    ids, names = structure_ids()
    axes = [np.arange(low, high, PRIOR_MM) for low, high in zip(PRIOR_ORIGIN, (300, 240, 400), strict=True)]
    people = []
    for number in range(PRIOR_PEOPLE):
        labels = ids[paint(draw_phantom(np.random.default_rng([UNSEEN_SEED, 7, number])), *axes)]
        people.append((_centres({n: labels == i for i, n in names.items()}, list(PRIOR_ORIGIN)), labels))
    return people


def _centres(masks: Mapping[str, np.ndarray], origin: list[float]) -> dict[str, np.ndarray]:
    voxels = {name: np.argwhere(mask) for name, mask in masks.items()}
    return {name: v.mean(axis=0) * PRIOR_MM + origin for name, v in voxels.items() if len(v) * PRIOR_MM**3 > 2000}


def prior_dice(case: Case) -> dict[str, float]:
    """Return the Dice of the position prior for every structure of a case, on a 6 mm grid."""
    _, names = structure_ids()
    volume = case.volume.reoriented("LPS")
    spacing = volume.grid.spacing_mm
    picks = [np.arange(0, n, PRIOR_MM / s).astype(int) for n, s in zip(volume.grid.shape, spacing, strict=True)]
    turned = Segmentation.from_masks(
        case.volume.grid, {n: case.truth[n] for n in names.values() if n in case.truth}
    ).reoriented("LPS")
    truth = {name: mask[np.ix_(*picks)] for name, mask in turned.items()}
    centres = _centres(truth, [0.0, 0.0, 0.0])
    votes = {name: np.zeros(tuple(len(p) for p in picks), dtype=np.uint8) for name in truth}
    numbers = {name: number for number, name in names.items()}
    for person_centres, labels in _people():
        scale, shift = fit(person_centres, centres)
        index = [
            np.rint(((np.arange(len(p)) * PRIOR_MM - t) / s - o) / PRIOR_MM).astype(int)
            for p, t, s, o in zip(picks, shift, scale, PRIOR_ORIGIN, strict=True)
        ]
        fitted = labels[np.ix_(*(i.clip(0, n - 1) for i, n in zip(index, labels.shape, strict=True)))]
        for name in votes:
            votes[name] += fitted == numbers[name]
    return {name: dice(truth[name], votes[name] > PRIOR_PEOPLE / 2) for name in truth}


def score(case: Case, model: str) -> list[dict[str, object]]:
    """Return one row per structure that the model names: Dice, volumes, the prior's Dice."""
    found = ctatlas.segment(case.volume, model=model, structures=list(card(model).structures))
    prior = prior_dice(case)
    masks = dict(found.items())
    truth = dict(case.truth)
    for whole, parts in UNION.items():
        if all(part in masks for part in parts):
            masks[whole] = np.logical_or.reduce([masks[part] for part in parts])
            present = [truth[part] for part in parts if part in truth]
            if present:
                truth[whole] = np.logical_or.reduce(present)
    voxel_ml = case.volume.grid.voxel_ml
    rows: list[dict[str, object]] = []
    for name, mask in sorted(masks.items()):
        if name not in truth and (name == "body" or not case.complete):
            continue
        reference = truth.get(name, np.zeros_like(mask))
        value = dice(reference, mask)
        rows.append(
            {
                "sort": case.sort,
                "case": case.name,
                "structure": name,
                "dice": None if math.isnan(value) or not reference.any() else value,
                "prior_dice": prior.get(name),
                "reference_ml": float(reference.sum() * voxel_ml),
                "predicted_ml": float(mask.sum() * voxel_ml),
            }
        )
    return rows


def summary(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return mean Dice per sort and structure over the cases that have the structure."""
    out = []
    for sort, name in sorted({(str(row["sort"]), str(row["structure"])) for row in rows}):
        here = [row for row in rows if row["sort"] == sort and row["structure"] == name]
        present = [row for row in here if row["dice"] is not None]
        priors = [float(row["prior_dice"]) for row in present if row["prior_dice"] is not None]  # type: ignore[arg-type]
        absent = [float(row["predicted_ml"]) for row in here if row["reference_ml"] == 0]  # type: ignore[arg-type]
        out.append(
            {
                "sort": sort,
                "structure": name,
                "n": len(present),
                "mean_dice": float(np.mean([row["dice"] for row in present])) if present else None,
                "prior_dice": float(np.nanmean(priors)) if priors else None,
                "largest_invented_ml": max(absent, default=0.0),
            }
        )
    return out


def markdown(table: list[dict[str, object]]) -> str:
    """Return the figures as one row per structure: mean Dice, the prior's in brackets, number of cases."""
    sorts = ("phantom", "label map", "real")
    lines = [
        "| structure | " + " | ".join(sorts) + " | largest invented, mL |",
        "| --- |" + " --- |" * (len(sorts) + 1),
    ]
    for name in sorted({str(row["structure"]) for row in table}):
        own = {row["sort"]: row for row in table if row["structure"] == name}
        cells = [_cell(own.get(sort)) for sort in sorts]
        invented = max(float(str(row["largest_invented_ml"])) for row in own.values())
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {invented:.1f} |")
    return "\n".join(lines) + "\n"


def _cell(row: dict[str, object] | None) -> str:
    if row is None or row["mean_dice"] is None:
        return "–"
    prior = "" if row["prior_dice"] is None else f" ({row['prior_dice']:.2f})"
    return f"{row['mean_dice']:.3f}{prior}, n = {row['n']}"


def main(
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
    model: str = "ctatlas/base",
    data: Path = Path("../shared/data"),
    phantoms: int = 8,
    label_maps: int = 8,
    real: str = "lidc-0001",
    table_file: Annotated[Path | None, typer.Option("--markdown", help="Write the table for the docs here.")] = None,
) -> None:
    """Score the model and print a table."""
    cases: list[Iterator[Case]] = [phantom_cases(phantoms), label_map_cases(data, label_maps)]
    if real:
        cases.append(iter([real_case(data, real)]))
    rows = [row for group in cases for case in group for row in score(case, model)]
    table = summary(rows)
    out.write_text(json.dumps({"model": model, "rows": rows, "summary": table}, indent=1) + "\n")
    if table_file:
        table_file.write_text(markdown(table))
    for row in table:
        shown = " ".join("   –" if row[key] is None else f"{row[key]:.3f}" for key in ("mean_dice", "prior_dice"))
        typer.echo(
            f"{row['sort']:10s} {row['structure']:24s} n={row['n']:<3d} {shown}"
            f" invented {row['largest_invented_ml']:.1f} mL"
        )


if __name__ == "__main__":
    typer.run(main)
