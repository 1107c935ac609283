"""Measure what a minute of an annotator buys: `python benchmarks/annotation_effort.py OUT.json`.

Phantoms on a coarse grid give the truth. A deliberately faulty ensemble of three members sees them: the table `FAULTS`
says which errors it makes, how often, and how often all members are equally sure of them (then no map can see it). A
simulated annotator corrects what a strategy asks for; how long that takes says `atlas/attention/data/minutes.csv`. The
model is not trained anew in between: what is measured is the finding of errors, not the learning from them.

Every strategy asks for the same boxes ("tiles") of single structures, in ten rounds; within a round boxes are worked
off case by case. Beside them stand whole structures by attention, whole cases by the published list, and full review.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated
from unittest.mock import patch

import numpy as np
import typer
from scipy import ndimage

from ctatlas.atlas.attention import (
    Member,
    Seen,
    attend,
    combined,
    ensemble_masks,
    minutes,
    published_attention,
    published_entropy,
    published_overlaps,
    published_rules,
)
from ctatlas.atlas.attention.boxed import Boxed, around
from ctatlas.atlas.queries import STRATEGIES, Candidates, Draw, stratified, tiles_of
from ctatlas.atlas.queries.plain import audit_weights
from ctatlas.atlas.queries.remaining import WRONG_ABOVE_ML, estimated
from ctatlas.atlas.queries.sampling import drawn
from ctatlas.kernels.boxes import Box, bounding_box, widened
from ctatlas.synthesis.cases import structure_ids
from ctatlas.synthesis.paint import paint
from ctatlas.synthesis.phantom import draw_phantom
from ctatlas.volume import Grid

PHANTOM_SEED = 90_012
SPACING_MM = 5.0
FINE = (4, 4, 2)  # the published arithmetic counts voxels: it gets 1.25 x 1.25 x 2.5 mm
SHAPE = (76, 60, 84)
N_MEMBERS = 3
SOFT_MM = 2.0  # width of a probability's edge
BORDER_MM = (2.0, 1.2)  # smooth displacement of every border: common to all members, and of each alone
WAVE_MM = 75.0
NEAR = 12  # voxels around a structure in which faults can be
N_ROUNDS = 10
NSD_MM = 5.0


@dataclass(frozen=True)
class Fault:
    """One kind of error: how often per structure, how large, and how often no member doubts it."""

    name: str
    chance: float
    radius_mm: tuple[float, float]
    silent: float


FAULTS = (
    Fault("leak", 0.25, (14, 30), 0.3),  # a ball on the border is taken for the structure
    Fault("gap", 0.25, (14, 30), 0.3),  # a ball on the border is missing
    Fault("island", 0.12, (8, 16), 0.3),  # a ball anywhere near
    Fault("cut", 0.1, (0, 0), 0.3),  # the lowest third is missing
    Fault("missed", 0.05, (0, 0), 0.3),  # all of it is missing
    Fault("confused", 0.1, (15, 30), 0.3),  # a part of the neighbour is taken for it: the masks overlap
    Fault("doubt", 0.2, (10, 25), 0.0),  # members are unsure and right all the same
)
# The default strategy with one thing another way: constants of `queries.stratified`.
VARIANTS = {
    "each structure its share of one third of the places": {"CLASS_SHARE": 0.33},
    "no share a structure": {"CLASS_SHARE": 0.0},
    "all cases on the shortlist": {"SHORTLIST_SHARE": 1.0},
    "half of the cases on the shortlist": {"SHORTLIST_SHARE": 0.5},
    "no noise": {"BETA_FIRST": 100.0},
}
PUBLISHED_FIGURES = {
    "source": "AbdomenAtlas-8K, paper and FAQ",
    "revised_cases": 400,
    "cases": 8448,
    "minutes_a_case": 15,
    "share_of_cases_revised": 400 / 8448,
    "hours_of_annotators": 400 * 15 / 60,
    "years_from_scratch": 30.8,
}


def main(
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
    cases: int = 100,
    seeds: int = 3,
    workers: Annotated[int, typer.Option(help="How many draws of faults at a time.")] = 1,
    table_file: Annotated[Path | None, typer.Option("--markdown", help="Write the table for the docs here.")] = None,
    plot_file: Annotated[Path | None, typer.Option("--plot", help="Draw the curves here.")] = None,
) -> None:
    """Run all strategies and print a table."""
    if workers > 1:
        with ProcessPoolExecutor(workers) as pool:
            done = list(pool.map(one_draw, [cases] * seeds, range(seeds)))
    else:
        done = [one_draw(cases, seed) for seed in range(seeds)]
    runs = [run for each in done for run in each[1]]
    result = {
        "cases": cases,
        "seeds": seeds,
        "structures": len(published_rules().targets),
        "atlases": [facts for facts, *_ in done],
        "published_figures": PUBLISHED_FIGURES,
        "summary": summary(runs),
        "curves": mean_curves(runs),
        "cpu_seconds": sum(each[2] for each in done),
    }
    out.write_text(json.dumps(result, indent=1) + "\n")
    if table_file:
        table_file.write_text(markdown(result))
    if plot_file:
        plot(result, plot_file)
    typer.echo(markdown(result))


def one_draw(cases: int, seed: int) -> tuple[dict, list[dict], float]:
    """Do everything for one draw of faults: facts of the atlas, the runs, CPU seconds."""
    start = time.process_time()
    atlas = simulated_atlas(cases, seed)
    facts = atlas.facts(np.random.default_rng([seed, 5]))
    return facts, [{"seed": seed, **run} for run in all_runs(atlas, seed)], time.process_time() - start


# ---- the faulty ensemble


@cache
def phantom_truth(number: int) -> dict[str, np.ndarray]:
    """Paint a person on the coarse grid; return the masks of the nine structures."""
    lookup, by_id = structure_ids()
    ids = {name: n for n, name in by_id.items()}
    axes = [(np.arange(n) - (n - 1) / 2) * SPACING_MM + shift for n, shift in zip(SHAPE, (0, -10, 20), strict=True)]
    labels = lookup[paint(draw_phantom(np.random.default_rng([PHANTOM_SEED, number])), *axes)]
    return {name: labels == ids[name] for name in published_rules().targets}


def predicted(truth: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, list[np.ndarray]]:
    """Return what each member says about each structure: (i, j, k) uint8."""
    names = list(truth)
    return {name: _members(truth, name, names[(n + 1) % len(names)], rng) for n, name in enumerate(names)}


def _members(truth: dict[str, np.ndarray], name: str, other: str, rng: np.random.Generator) -> list[np.ndarray]:
    told = [np.zeros(SHAPE, np.uint8, order="F") for _ in range(N_MEMBERS)]
    box = bounding_box(truth[name])
    if box is not None:
        near = widened(box, (NEAR,) * 3, SHAPE).slices
        for values, share in zip(told, _shares(truth[name][near], truth[other][near], rng), strict=True):
            values[near] = np.rint(255 * np.where(share > 0.004, share, 0))
    return told


def _shares(mask: np.ndarray, neighbour: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    distance = (ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)) * SPACING_MM
    common = _waves(mask.shape, rng) * BORDER_MM[0]
    shares = [
        1 / (1 + np.exp(np.clip(-(distance + common + _waves(mask.shape, rng) * BORDER_MM[1]) / SOFT_MM, -30, 30)))
        for _ in range(N_MEMBERS)
    ]
    for fault in FAULTS:
        if rng.random() < fault.chance:
            where, target = _region(fault, mask, distance, neighbour, rng)
            sure = rng.random() < fault.silent
            base = rng.normal(0.5 if fault.name == "doubt" else 0.68, 0.1)
            for member, share in enumerate(shares):
                strength = 0.97 if sure else float(np.clip(base + rng.normal(0, 0.2), 0.05, 0.97))
                if fault.name == "doubt":
                    strength = min(strength, 0.45)
                shares[member] = share * (1 - strength * where) + strength * where * target
    return shares


def _region(
    fault: Fault, mask: np.ndarray, distance: np.ndarray, neighbour: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | float]:
    """Return where a fault acts, (i, j, k) 0 to 1, and the probability it pulls to."""
    if fault.name == "missed":
        return (distance > -20).astype(float), 0.0
    if fault.name == "cut":
        k = np.flatnonzero(mask.any(axis=(0, 1)))
        where = np.zeros(mask.shape)
        where[:, :, : k[0] + max(1, len(k) // 3)] = 1
        return where, 0.0
    if fault.name == "confused":
        places, target = np.argwhere(neighbour if neighbour.any() else mask), neighbour | mask
    elif fault.name == "island":
        places, target = np.argwhere((distance < -15) & (distance > -60)), np.ones(mask.shape)
    else:
        places = np.argwhere(np.abs(distance) <= SPACING_MM)
        target = np.full(mask.shape, 1.0 if fault.name == "leak" else 0.0)
    if fault.name == "doubt":
        target = 1.0 - mask
    center = places[rng.integers(len(places))]
    radius = rng.uniform(*fault.radius_mm)
    squared = sum(((np.arange(n) - c) * SPACING_MM).reshape([-1 if a == axis else 1 for a in range(3)]) ** 2
                  for axis, (n, c) in enumerate(zip(mask.shape, center, strict=True)))  # fmt: skip
    return np.clip((radius - np.sqrt(squared)) / SPACING_MM + 0.5, 0, 1), target.astype(float)


def _waves(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw a smooth field of standard deviation about 1."""
    knots = [2 + int(n * SPACING_MM / WAVE_MM) for n in shape]
    coarse = rng.normal(0, 1.5, knots)
    return np.asarray(ndimage.zoom(coarse, [n / m for n, m in zip(shape, knots, strict=True)], order=1))


# ---- the atlas: tiles, what is wrong in them, and how the published list sees the cases


@dataclass
class Truth:
    """What is right and wrong in each tile, (n,): voxels, and surface elements as (total, near enough)."""

    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray
    surface: np.ndarray
    near: np.ndarray
    surface_after: np.ndarray


@dataclass
class SimulatedAtlas:
    """Everything the strategies may know, and what only the simulated annotator knows.

    Attributes
    ----------
    candidates : Candidates
    unit : (n,) int
        Which structure of which case a tile belongs to.
    units : list of (case, structure)
    unit_minutes : (m,) float
        To scroll through a whole structure.
    published : list of list of int
        Cases in the order of the published list: the units that are listed.
    structure_order : (m,) int
        Units by the default attention's score a minute.
    truth : Truth
    """

    candidates: Candidates
    unit: np.ndarray
    units: list[tuple[str, str]]
    unit_minutes: np.ndarray
    published: list[list[int]]
    structure_order: np.ndarray
    truth: Truth

    def wrong_ml(self) -> np.ndarray:
        """Return what is wrong in each tile."""
        return (self.truth.fp + self.truth.fn) * SPACING_MM**3 / 1000

    def facts(self, rng: np.random.Generator) -> dict:
        """Say how wrong it is, and how often the intervals of an audit of 60 structures hold the truth."""
        tile_ml = self.wrong_ml()
        seen = self.candidates.attention_ml > 0
        return {
            "units": len(self.units),
            "tiles": len(self.candidates),
            "wrong_ml": float(tile_ml.sum()),
            "share_of_wrong_ml_in_tiles_with_attention": float(tile_ml[seen].sum() / tile_ml.sum()),
            "share_of_tiles_with_attention": float(seen.mean()),
            "audits_of_60": self._audits(rng),
        }

    def _audits(self, rng: np.random.Generator, n: int = 200) -> dict[str, float]:
        """Return the share of audits whose 95 % intervals hold the truth."""
        sums = [self.truth.tp, self.truth.fp, self.truth.fn, self.candidates.foreground_ml, self.candidates.border_ml]
        tp, fp, fn, *amounts = (np.bincount(self.unit, weights=each, minlength=len(self.units)) for each in sums)
        ml = (fp + fn) * SPACING_MM**3 / 1000
        total = 2 * tp + fp + fn
        dices = np.where(total > 0, 2 * tp / np.maximum(total, 1), 1)
        weights = audit_weights(np.array([name for _, name in self.units]), *amounts)
        held = np.zeros(3)
        for _ in range(n):
            chosen, chances = drawn(weights, min(60, len(ml)), rng)
            found = estimated(ml[chosen], dices[chosen], chances[chosen])
            truths = (ml.sum() - ml[chosen].sum(), (ml > WRONG_ABOVE_ML).mean(), dices.mean())
            held += [each.low <= value <= each.high for each, value in zip(found, truths, strict=True)]
        return dict(zip(("wrong_ml", "wrong_share", "mean_dice"), (held / n).tolist(), strict=True))


def simulated_atlas(n_cases: int, seed: int) -> SimulatedAtlas:
    """Make all cases, let the faulty ensemble predict, and work out every map."""
    grid = Grid(SHAPE, np.diag([-SPACING_MM, -SPACING_MM, SPACING_MM, 1.0]))
    tiles, truths, units, extents, scores, sizes = [], [], [], [], [], []
    unit_of_tile: list[int] = []
    for number in range(n_cases):
        case = f"case-{number:04d}"
        truth = phantom_truth(number)
        told = predicted(truth, np.random.default_rng([seed, number]))
        members = {name: [Member(values, grid) for values in each] for name, each in told.items()}
        masks = ensemble_masks(members, members.__getitem__, grid)
        sizes.append(published_sizes_of(members, grid))
        for seen in attend(members, members.__getitem__, masks, grid):
            held = list(tiles_of(case, seen))
            unit_of_tile += [len(units)] * len(held)
            units.append((case, seen.structure))
            tiles += held
            truths.append(tile_truth(seen, truth[seen.structure], [tile.box for tile in held]))
            extents.append(_extent_mm(held))
            scores.append(seen.found.record.score)
    candidates = Candidates.of(tiles)
    table = minutes()
    unit_minutes = np.array([table.of_spot(extent, 0.0) for extent in extents])
    order = np.argsort(-np.array(scores) / unit_minutes, kind="stable")
    listed = sorted(range(n_cases), key=lambda n: -sum(size for size, _ in sizes[n].values()))
    number = {unit: n for n, unit in enumerate(units)}
    published = [[number[f"case-{n:04d}", name] for name, (_, heat) in sizes[n].items() if heat] for n in listed]
    columns = [np.concatenate(each) for each in zip(*truths, strict=True)]
    return SimulatedAtlas(candidates, np.array(unit_of_tile), units, unit_minutes, published, order, Truth(*columns))


def _extent_mm(tiles: list) -> float:
    return SPACING_MM * (max(tile.box.hi[2] for tile in tiles) - min(tile.box.lo[2] for tile in tiles))


def published_sizes_of(members: dict[str, list[Member]], grid: Grid) -> dict[str, tuple[int, int]]:
    """Work out the published sizes on a grid as fine as a scan's, as far as a structure reaches."""
    spacing = tuple(SPACING_MM / n for n in FINE)
    fine = grid.resampled(spacing)
    soft = {name: [combined([member], fine).mean for member in each] for name, each in members.items()}
    masks = {name: _mean_mask(maps) for name, maps in soft.items()}
    sizes = {}
    for name, overlap in published_overlaps(masks, list(members), fine.shape):
        entropy = [Boxed(each.shape, each.box, published_entropy(each.values)) for each in soft[name]]
        found = published_attention(soft[name], entropy, overlap)
        sizes[name] = (found.size, found.heat)
    return sizes


def _mean_mask(maps: list[Boxed]) -> Boxed:
    box = around([each.box for each in maps])
    total = np.zeros(box.shape, np.uint16, order="F")
    for each in maps:
        total += each.within(box)
    return Boxed(maps[0].shape, box, total > 127.5 * len(maps))


def tile_truth(seen: Seen, truth: np.ndarray, boxes: list[Box]) -> tuple[np.ndarray, ...]:
    """Count what is right and wrong in each tile; what lies outside of all belongs to the nearest."""
    owner = np.full(truth.shape, -1)
    for n, box in enumerate(boxes):
        owner[box.slices] = n
    part = around([*boxes, bounding_box(truth) or boxes[0]])
    mask, truth, owner = seen.mask.within(part), truth[part.slices], owner[part.slices]
    outside = truth & (owner < 0)
    if outside.any():
        nearest = ndimage.distance_transform_edt(owner < 0, return_distances=False, return_indices=True)
        owner[outside] = owner[tuple(nearest)][outside]
    border, true_border = _border(mask), _border(truth)
    near = border & (_distance(true_border) <= NSD_MM)
    true_near = true_border & (_distance(border) <= NSD_MM)
    counts = [truth & mask, mask & ~truth, truth & ~mask]
    found = [np.bincount(owner[each], minlength=len(boxes)).astype(float) for each in counts]
    surfaces = [(border, true_border), (near, true_near), (true_border, true_border)]
    found += [sum(np.bincount(owner[each], minlength=len(boxes)) for each in pair) for pair in surfaces]
    return tuple(found)


def _border(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask)


def _distance(border: np.ndarray) -> np.ndarray:
    return ndimage.distance_transform_edt(~border) * SPACING_MM if border.any() else np.full(border.shape, np.inf)


# ---- the annotator


@dataclass
class Curve:
    """Quality after so many minutes."""

    minutes: list[float]
    dice: list[float]
    nsd: list[float]


class Annotator:
    """Corrects tiles one after the other; knows the truth, and what everything costs."""

    def __init__(self, atlas: SimulatedAtlas) -> None:
        self.atlas = atlas
        truth = atlas.truth
        sums = [np.bincount(atlas.unit, weights=each, minlength=len(atlas.units)) for each in
                (truth.tp, truth.fp, truth.fn, truth.surface, truth.near)]  # fmt: skip
        self.tp, self.fp, self.fn, self.surface, self.near = sums
        self.counts = self.tp + self.fn > 0  # a structure that is not there has no Dice
        self.ml = atlas.wrong_ml()
        self.corrected = np.zeros(len(atlas.unit), bool)
        self.spent = 0.0
        self.curve = Curve([], [], [])
        self.note()

    def correct(self, tiles: np.ndarray) -> float:
        """Make tiles right; return the minutes of painting."""
        todo = tiles[~self.corrected[tiles]]
        truth, unit = self.atlas.truth, self.atlas.unit[todo]
        np.add.at(self.tp, unit, truth.fn[todo])
        np.add.at(self.fp, unit, -truth.fp[todo])
        np.add.at(self.fn, unit, -truth.fn[todo])
        np.add.at(self.surface, unit, truth.surface_after[todo] - truth.surface[todo])
        np.add.at(self.near, unit, truth.surface_after[todo] - truth.near[todo])
        self.corrected[todo] = True
        return minutes().correct * float(self.ml[todo].sum())

    def note(self) -> None:
        """Add a point to the curve."""
        held = self.counts
        dice = 2 * self.tp[held] / (2 * self.tp[held] + self.fp[held] + self.fn[held])
        nsd = self.near[held] / np.maximum(self.surface[held], 1)
        self.curve.minutes.append(self.spent)
        self.curve.dice.append(float(dice.mean()))
        self.curve.nsd.append(float(np.minimum(nsd, 1).mean()))


def whole_structures(atlas: SimulatedAtlas, groups: Iterable[list[int]]) -> Curve:
    """Review whole structures, group by group; a group is one case, or a part of one."""
    annotator = Annotator(atlas)
    tiles_of_unit = [np.flatnonzero(atlas.unit == unit) for unit in range(len(atlas.units))]
    for group in groups:
        if not group:
            continue
        annotator.spent += minutes().open_case
        for unit in group:
            annotator.spent += atlas.unit_minutes[unit] + annotator.correct(tiles_of_unit[unit])
        annotator.note()
    return annotator.curve


def by_strategy(atlas: SimulatedAtlas, name: str, total_minutes: float, seed: int) -> Curve:
    """Ask for tiles in rounds of equal minutes."""
    annotator = Annotator(atlas)
    held = atlas.candidates.part(np.arange(len(atlas.candidates)))
    look = minutes()
    scroll = np.array([look.of_spot(box.shape[2] * SPACING_MM, 0.0) for box in held.box])
    for number in range(N_ROUNDS):
        draw = Draw(int(total_minutes / N_ROUNDS / scroll.mean()) + 1, np.random.default_rng([seed, number]),
                    number / (N_ROUNDS - 1))  # fmt: skip
        end = total_minutes * (number + 1) / N_ROUNDS
        for case in _by_case(STRATEGIES[name].choose(held, draw), held.case):
            if annotator.spent >= end:
                break
            held.asked[case] = True
            annotator.spent += look.open_case + float(scroll[case].sum()) + annotator.correct(case)
            annotator.note()
    return annotator.curve


def variants(atlas: SimulatedAtlas, total_minutes: float, seed: int) -> Iterator[tuple[str, Curve]]:
    """Yield what the default strategy would be with one thing another way."""
    for name, constants in VARIANTS.items():
        with patch.multiple(stratified, **constants):
            yield f"default, {name}", by_strategy(atlas, "default", total_minutes, seed)


def _by_case(chosen: np.ndarray, case: np.ndarray) -> Iterator[np.ndarray]:
    """Yield a round's tiles case by case, the case of the first tile first."""
    for name in dict.fromkeys(case[chosen].tolist()):
        yield chosen[case[chosen] == name]


def all_runs(atlas: SimulatedAtlas, seed: int) -> Iterator[dict]:
    """Yield the curve of every way to work."""
    rng = np.random.default_rng([seed, 7])
    cases = [[unit for unit, (name, _) in enumerate(atlas.units) if name == case] for case in
             sorted({case for case, _ in atlas.units})]  # fmt: skip
    full = whole_structures(atlas, [cases[n] for n in rng.permutation(len(cases))])
    total = full.minutes[-1]
    worked = {
        "full review": full,
        "published list, whole structures": whole_structures(atlas, atlas.published),
        "attention, whole structures": whole_structures(atlas, _sessions(atlas)),
        **{name: by_strategy(atlas, name, total, seed) for name in STRATEGIES},
        **dict(variants(atlas, total, seed)),
    }
    for name, curve in worked.items():
        yield {"strategy": name, **measures(curve, full), "curve": resampled(curve, total)}


def _sessions(atlas: SimulatedAtlas) -> Iterator[list[int]]:
    """Cut the list of structures into ten rounds, each worked off case by case."""
    for part in np.array_split(atlas.structure_order, N_ROUNDS):
        cases: dict[str, list[int]] = {}
        for unit in part.tolist():
            cases.setdefault(atlas.units[unit][0], []).append(unit)
        yield from cases.values()


# ---- figures


def measures(curve: Curve, full: Curve) -> dict[str, float | None]:
    """Return area under the curve over the minutes of a full review, and when 95 % are reached."""
    total = full.minutes[-1]
    found: dict[str, float | None] = {"minutes": curve.minutes[-1], "full_minutes": total}
    for kind in ("dice", "nsd"):
        values, best = getattr(curve, kind), getattr(full, kind)[-1]
        start = values[0]
        at = np.linspace(0, total, 2001)
        found[f"{kind}_start"], found[f"{kind}_end"], found[f"{kind}_full"] = start, values[-1], best
        found[f"{kind}_area"] = float(np.mean(np.interp(at, curve.minutes, values)))
        found[f"{kind}_minutes_to_95"] = _reached(curve, values, 0.95 * best)
        found[f"{kind}_minutes_to_95_of_gain"] = _reached(curve, values, start + 0.95 * (best - start))
    return found


def _reached(curve: Curve, values: list[float], level: float) -> float | None:
    return next((minute for minute, value in zip(curve.minutes, values, strict=True) if value >= level), None)


def resampled(curve: Curve, total: float) -> dict[str, list[float]]:
    """Return a curve at every fortieth of the minutes of a full review."""
    at = np.linspace(0, total, 41)
    return {kind: np.interp(at, curve.minutes, getattr(curve, kind)).round(5).tolist() for kind in ("dice", "nsd")}


def summary(runs: list[dict]) -> list[dict]:
    """Average over seeds; a level that some seed never reaches has no mean."""
    rows = []
    for name in dict.fromkeys(run["strategy"] for run in runs):
        own = [run for run in runs if run["strategy"] == name]
        row: dict = {"strategy": name, "n_seeds": len(own)}
        for key in own[0]:
            if key in ("strategy", "seed", "curve"):
                continue
            values = [run[key] for run in own]
            row[key] = None if None in values else float(np.mean(values))
            if "area" in key:
                row[f"{key}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        rows.append(row)
    return rows


def mean_curves(runs: list[dict]) -> dict[str, dict[str, list[float]]]:
    """Average the curves over seeds; the axis is the share of a full review's minutes."""
    names = dict.fromkeys(run["strategy"] for run in runs)
    return {
        name: {
            kind: np.mean([run["curve"][kind] for run in runs if run["strategy"] == name], axis=0).round(5).tolist()
            for kind in ("dice", "nsd")
        }
        for name in names
    }


def markdown(result: dict) -> str:
    """Return the table for the docs, the largest area first."""
    rows = sorted(result["summary"], key=lambda row: -row["dice_area"])
    first = result["summary"][0]
    atlas = {key: np.mean([facts[key] for facts in result["atlases"]]) for key in
             ("wrong_ml", "share_of_wrong_ml_in_tiles_with_attention", "share_of_tiles_with_attention")}  # fmt: skip
    audits = {key: np.mean([facts["audits_of_60"][key] for facts in result["atlases"]]) for key in
              ("wrong_ml", "wrong_share", "mean_dice")}  # fmt: skip
    lines = [
        f"{result['cases']} phantoms x {result['structures']} structures, {result['seeds']} draws of faults; mean Dice "
        f"{first['dice_start']:.3f} before any correction, {first['dice_full']:.3f} after a full review of "
        f"{first['full_minutes']:.0f} minutes. {atlas['share_of_tiles_with_attention']:.0%} of all boxes hold "
        f"attention, and in them lie {atlas['share_of_wrong_ml_in_tiles_with_attention']:.0%} of what is wrong.",
        "",
        f"Audits of 60 structures: the 95 % interval holds the truth in {audits['wrong_ml']:.0%} (volume), "
        f"{audits['wrong_share']:.0%} (share of structures), {audits['mean_dice']:.0%} (mean Dice) of 200 draws each.",
        "",
        "| way to work | area, Dice (sd) | area, NSD (sd) | minutes to 95 % of full Dice | of full NSD "
        "| to 95 % of the gain in Dice |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        cells = [
            _minutes(row[key]) for key in ("dice_minutes_to_95", "nsd_minutes_to_95", "dice_minutes_to_95_of_gain")
        ]
        areas = [f"{row[f'{kind}_area']:.4f} ({row[f'{kind}_area_sd']:.4f})" for kind in ("dice", "nsd")]
        lines.append(f"| {row['strategy']} | {' | '.join(areas + cells)} |")
    figures = result["published_figures"]
    lines += [
        "",
        f"Published beside it: {figures['revised_cases']} of {figures['cases']} volumes "
        f"({figures['share_of_cases_revised']:.1%}) revised at {figures['minutes_a_case']} minutes each, "
        f"{figures['hours_of_annotators']:.0f} hours; {figures['years_from_scratch']} years from scratch "
        f"({figures['source']}). No quality at full review was published, so that the two can't be "
        "set against each other.",
    ]
    return "\n".join(lines) + "\n"


def _minutes(value: float | None) -> str:
    return "never" if value is None else f"{value:.0f}"


def plot(result: dict, path: Path) -> None:
    """Draw mean Dice against the share of a full review's minutes."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(12, 4.6), sharex=True, layout="constrained")
    strong = {"full review", "published list, whole structures", "attention, whole structures", "attention", "default",
              "foreground-random", "random"}  # fmt: skip
    colors = dict(zip(result["curves"], plt.get_cmap("tab20").colors, strict=False))
    for axis, kind in zip(axes, ("dice", "nsd"), strict=True):
        for name, curve in result["curves"].items():
            if name.startswith("default, "):
                continue
            style = {"linewidth": 2.2} if name in strong else {"linewidth": 1.0, "linestyle": "--"}
            axis.plot(np.linspace(0, 100, 41), curve[kind], label=name, color=colors[name], **style)
        axis.set_xlabel("minutes, % of a full review")
        axis.set_ylabel(f"mean {'Dice' if kind == 'dice' else 'NSD at 5 mm'}")
        axis.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    figure.savefig(path, dpi=80, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    typer.run(main)
