"""Results of models and cases that never were, with differences that are known: nothing of it is data."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

STRUCTURES = (
    "aorta",
    "gall_bladder",
    "kidney_left",
    "kidney_right",
    "liver",
    "pancreas",
    "postcava",
    "spleen",
    "stomach",
)
_PRESENT = (0.83, 0.18, 0.40, 0.37, 0.60, 0.40, 0.65, 0.53, 0.55)  # the share of cases that show it
_EASE = (1.1, 0.9, 1.8, 1.8, 2.6, 0.8, 1.0, 2.3, 1.3)  # logit of a good model's Dice
METRICS = ("dsc", "nsd")
# Logit by which each model is worse than the first: some nearly equal, some far behind.
_BEHIND = (0, 0.01, 0.03, 0.05, 0.06, 0.10, 0.15, 0.17, 0.22, 0.30, 0.32, 0.35, 0.45, 0.48, 0.60, 0.75, 0.90, 1.2, 1.8)
NAMES = tuple(f"net-{letter}" for letter in "abcdefghijklmnopqrs")
HARD_SITE, HARD_SITE_LOGIT = "C", -0.8


@dataclass(frozen=True)
class Generated:
    """What was written.

    Attributes
    ----------
    values : dict of str to (models, cases, structures) float64
        By metric; nan where the reference lacks the structure.
    has : (models, cases) bool
        Which rows were written.
    """

    folder: Path
    metadata: Path
    models: tuple[str, ...]
    cases: tuple[str, ...]
    values: dict[str, np.ndarray]
    has: np.ndarray


def generate(
    folder: Path,
    n_models: int = 19,
    n_cases: int = 743,
    *,
    seed: int = 0,
    short: Sequence[int] = (3, 7),
    n_short: int = 0,
) -> Generated:
    """Write a folder a model with `dsc.csv` and `nsd.csv`, and `metadata.csv` beside the folders.

    Models are in order of their quality, the first two nearly equal; site C is harder for all; each model misses more
    structures than the one before. Models `short` have `n_short` fewer cases.
    """
    rng = np.random.default_rng(seed)
    cases = tuple(f"s{number:04d}" for number in range(n_cases))
    site = rng.choice(["A", "B", "C", "D"], n_cases, p=(0.5, 0.25, 0.15, 0.1))
    present = rng.random((n_cases, len(STRUCTURES))) < _PRESENT
    difficulty = rng.normal(0, 0.7, (n_cases, 1)) + HARD_SITE_LOGIT * (site == HARD_SITE)[:, None]
    quality = -np.array(_BEHIND[:n_models])
    logit = np.array(_EASE) + difficulty + rng.normal(0, 0.3, (n_cases, len(STRUCTURES)))
    noise = rng.normal(0, 0.25, (n_models, n_cases, len(STRUCTURES)))
    dsc = _expit(logit + quality[:, None, None] + noise)
    nsd = _expit(logit - 0.5 + 0.9 * quality[:, None, None] + noise + rng.normal(0, 0.15, noise.shape))
    missed = rng.random(noise.shape) < 0.002 * (1 + np.arange(n_models))[:, None, None]
    values = {name: np.where(present, np.where(missed, 0, each), np.nan) for name, each in (("dsc", dsc), ("nsd", nsd))}
    has = np.ones((n_models, n_cases), bool)
    for model in short if n_short else ():
        has[model, rng.choice(n_cases, n_short, replace=False)] = False
    models = NAMES[:n_models]
    results = folder / "results"
    for m, model in enumerate(models):
        for metric in METRICS:
            write_wide(results / model / f"{metric}.csv", cases, values[metric][m], has[m])
    metadata = folder / "metadata.csv"
    _write_metadata(metadata, cases, site, rng)
    return Generated(results, metadata, models, cases, values, has)


def write_wide(path: Path, cases: Sequence[str], values: np.ndarray, has: np.ndarray | None = None) -> None:
    """Write (cases, structures) fractions, four decimals, blank for nan."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["name", *STRUCTURES])
        for number, (case, row) in enumerate(zip(cases, values, strict=True)):
            if has is None or has[number]:
                table.writerow([case, *("" if np.isnan(value) else f"{value:.4f}" for value in row)])


def _write_metadata(path: Path, cases: Sequence[str], site: np.ndarray, rng: np.random.Generator) -> None:
    """Write it as hospitals do: semicolons, a byte order mark, ages as text, blanks."""
    n = len(cases)
    columns = {
        "age": [f"{age:.2f}" for age in np.clip(rng.normal(62, 15, n), 15, 95)],
        "gender": rng.choice(["m", "f", ""], n, p=(0.54, 0.45, 0.01)),
        "institute": site,
        "manufacturer": rng.choice(["Siemens", "Philips", "GE"], n, p=(0.8, 0.12, 0.08)),
        "kvp": rng.choice(["100", "120", "140"], n, p=(0.3, 0.6, 0.1)),
        "pathology": rng.choice(
            ["none", "tumor", "vascular", "trauma", "inflammation"], n, p=(0.4, 0.25, 0.17, 0.1, 0.08)
        ),
        "split": rng.choice(["train", "val", "test"], n, p=(0.88, 0.04, 0.08)),
        "remark": [f"remark {number}" for number in range(n)],
    }
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        table = csv.writer(file, delimiter=";")
        table.writerow(["image_id", *columns])
        table.writerows([case, *(cells[row] for cells in columns.values())] for row, case in enumerate(cases))


def _expit(logit: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-logit)))
