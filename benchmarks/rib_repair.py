"""Ribs before and after the repair, on rib cages with known truth.

    PYTHONPATH=src python benchmarks/rib_repair.py --cages 20 build/rib_repair.json

Every cage (another person, other voxels) gets every mistake once, and is repaired with the scan and without it.
Printed are means over ribs or cages: the share of ribs that are in one piece and touch the body of their vertebra,
ribs in one piece, Dice of ribs, Dice of what lies within 30 mm of the spine; and the voxels that changed.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cc3d
import numpy as np
from scipy.spatial import KDTree

from ctatlas.anatomy_rules.ribs import repair_ribs
from ctatlas.anatomy_rules.ribs.pieces import pieces_of
from ctatlas.anatomy_rules.ribs.spine import body_of
from ctatlas.synthesis.rib_cages import RibCage, draw_rib_cage, make_rib_cage
from ctatlas.synthesis.rib_mistakes import MISTAKES, RibMistake, all_at_once

NEAR_MM = 30.0
TOUCHING = 1.05  # voxel diagonals between centres
WAYS = ("before", "with_scan", "without_scan")


def unchanged(cage: RibCage, rng: np.random.Generator) -> RibCage:
    """Make no mistake."""
    del rng
    return cage


def scores(truth: RibCage, labels: np.ndarray) -> dict[str, float]:
    """Measure ribs against the truth: means over the ribs that the truth has."""
    rows = [one_rib(truth, labels, name) for name in truth.names if name.startswith("rib_")]
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def one_rib(truth: RibCage, labels: np.ndarray, name: str) -> dict[str, float]:
    """Measure one rib in the box that holds it and its vertebrae."""
    number = int(name.rpartition("_")[2])
    vertebrae = [f"vertebrae_T{number}", f"vertebrae_T{number - 1}" if number > 1 else "vertebrae_C7"]
    bodies = np.concatenate([body_points(truth, each) for each in vertebrae])
    true, found = truth.mask(name), labels == truth.id_of(name)
    where = np.argwhere(true | found)
    low, high = where.min(axis=0), where.max(axis=0) + 1
    box = tuple(slice(max(0, a - 20), b + 20) for a, b in zip(low, high, strict=True))
    true, found = true[box], found[box]
    n_pieces = int(cc3d.connected_components(found, connectivity=26).max())
    joined = bool(found.any()) and reaches(found, box, bodies, truth)
    points = truth.grid.world(np.argwhere(true) + [side.start for side in box])
    near = np.zeros(true.shape, dtype=bool)
    near[tuple(np.argwhere(true)[KDTree(bodies).query(points)[0] <= NEAR_MM].T)] = True
    at_end = near | (found & (_distance(near, truth) <= 6.0))
    return {
        "joined": float(joined),
        "one_piece": float(n_pieces == 1),
        "dice": dice(true, found),
        "dice_near": dice(true & at_end, found & at_end),
    }


@cache
def body_points(truth: RibCage, name: str) -> np.ndarray:
    """Return where a vertebra's body is in truth."""
    pieces = pieces_of(truth.segmentation, [name])
    return body_of(pieces[0], truth.grid.spacing_mm)


def reaches(found: np.ndarray, box: tuple[slice, ...], bodies: np.ndarray, truth: RibCage) -> bool:
    """Tell whether a rib is in one piece (but for a twentieth of it), and that piece touches a body."""
    pieces = cc3d.connected_components(found, connectivity=26)
    sizes = np.bincount(pieces[found])
    main = np.argwhere(pieces == int(sizes.argmax())) + [side.start for side in box]
    gap_mm = float(KDTree(bodies).query(truth.grid.world(main))[0].min())
    return bool(sizes.max() >= 0.95 * found.sum()) and gap_mm <= TOUCHING * float(np.linalg.norm(truth.grid.spacing_mm))


def _distance(mask: np.ndarray, cage: RibCage) -> np.ndarray:
    from scipy import ndimage

    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=cage.grid.spacing_mm))


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Return what two masks share."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def measured(seed: int, number: int, mistakes: dict[str, RibMistake]) -> Iterator[dict[str, Any]]:
    """Measure every mistake on one cage, before and after, with the scan and without."""
    spacing = [(2.9, 2.8, 3.1), (2.6, 2.7, 3.5), (2.8, 2.9, 2.5), (2.6, 2.5, 4.0)][number % 4]
    truth = make_rib_cage(draw_rib_cage(seed, number, spacing_mm=spacing))
    for at, (name, mistake) in enumerate(mistakes.items()):
        given = mistake(truth, np.random.default_rng([seed, number, at]))
        row: dict[str, Any] = {"cage": number, "mistake": name, "before": scores(truth, given.labels)}
        for way, hu in (("with_scan", truth.hu), ("without_scan", None)):
            began = time.process_time()
            found = repair_ribs(given.segmentation, hu=hu)
            row[f"{way}_cpu_s"] = time.process_time() - began
            labels = found.segmentation.combined({each: n for n, each in enumerate(truth.names, start=1)})
            row[way] = scores(truth, labels)
            row[f"{way}_changed"] = int((labels != given.labels).sum())
            row[f"{way}_doubts"] = list(found.doubts)
        yield row


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cages", type=int, default=20)
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--first", type=int, default=0, help="number of the first cage")
    parser.add_argument("--only", action="append", help="a mistake by the beginning of its name; several times")
    parser.add_argument("out", type=Path, nargs="?", help="where to write the figures, JSON")
    asked = parser.parse_args()
    every: dict[str, RibMistake] = {"none (intact)": unchanged, **MISTAKES, "all of these at once": all_at_once}
    mistakes = {name: each for name, each in every.items() if not asked.only or name.startswith(tuple(asked.only))}
    rows = []
    for number in range(asked.first, asked.first + asked.cages):
        for row in measured(asked.seed, number, mistakes):
            rows.append(row)
            print(json.dumps({key: row[key] for key in ("cage", "mistake")}), _short(row), flush=True)
            if asked.out:
                asked.out.write_text(json.dumps(rows, indent=1) + "\n")
    memory_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"\n{asked.cages} cages, seed {asked.seed}; largest memory {memory_gb:.1f} GB")
    for line in table(rows):
        print(line)


def _short(row: dict[str, Any]) -> str:
    cells = [f"{way} " + " ".join(f"{v:.3f}" for v in row[way].values()) for way in WAYS]
    changed = ", ".join(str(row[f"{way}_changed"]) for way in WAYS[1:])
    doubts = f"{len(row['with_scan_doubts'])} doubts"
    return " | ".join([*cells, f"changed {changed}", doubts, f"{row['with_scan_cpu_s']:.1f} s"])


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table for the manual, means over cages."""
    keys = ("joined", "one_piece", "dice", "dice_near")
    yield "| mistake | " + " | ".join(f"{key} before → with scan / without" for key in keys) + " |"
    yield "| --- |" + " --- |" * len(keys)
    for mistake in dict.fromkeys(str(row["mistake"]) for row in rows):
        held = [row for row in rows if row["mistake"] == mistake]
        mean = {w: {k: float(np.mean([r[w][k] for r in held])) for k in keys} for w in WAYS}
        cells = [f"{mean['before'][k]:.3f} → {mean['with_scan'][k]:.3f} / {mean['without_scan'][k]:.3f}" for k in keys]
        yield f"| {mistake} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
