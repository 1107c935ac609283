"""Measure the index of a large atlas: `python benchmarks/atlas_catalog.py OUT.json [--cases 10000]`.

Case folders with all records but without voxels: 25 structures, of which 13 original, 25 predicted by each of two
members, 3 revised, 25 assembled; attention to 12. Each command is a process of its own, as people call it.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import select

from ctatlas.anatomy import label_set
from ctatlas.atlas import Atlas, AtlasConfig
from ctatlas.atlas.catalog import questions
from ctatlas.atlas.catalog.tables import Case
from ctatlas.hashing import sha256_json

LABEL_SET = "abdomenatlas-1.1"
MEMBERS = ("ctatlas__base", "ctatlas__base+shift")


def main(
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
    folder: Annotated[Path, typer.Option(help="Where the atlas lies; made when missing.")] = Path("build/catalog"),
    cases: Annotated[int, typer.Option(help="How many cases.")] = 10_000,
    catalog: Annotated[str, typer.Option(help="A PostgreSQL URL; default: SQLite in the folder.")] = "",
    repeats: Annotated[int, typer.Option(help="How often a command is called; the best counts.")] = 3,
) -> None:
    """Fill the index, ask it, and say how long all took."""
    if not (folder / "atlas.toml").is_file():
        make_atlas(folder, cases, catalog)
    atlas = Atlas.open(folder)
    result = {
        "cases": cases,
        "database": "postgresql" if catalog else "sqlite",
        "rebuild": seconds(atlas.synchronise),
        "synchronise_unchanged": seconds(atlas.synchronise),
        "program_starts": command(repeats, "--version"),
        "status": command(repeats, "status", folder),
        "status_json": command(repeats, "status", folder, "--json"),
        "questions": asked(atlas),
    }
    out.write_text(json.dumps(result, indent=1) + "\n")
    typer.echo(json.dumps(result, indent=1))


def seconds(doing: Callable[[], object]) -> dict[str, float]:
    """Return how long something takes, and how long processors were at work for it, its processes included."""
    start, begun = time.perf_counter(), cpu_seconds()
    doing()
    return {"s": round(time.perf_counter() - start, 3), "cpu_s": round(cpu_seconds() - begun, 3)}


def cpu_seconds() -> float:
    """Return the seconds of work so far."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def command(repeats: int, *words: object) -> dict[str, float]:
    """Return the best time of several calls of the program."""
    call = [sys.executable, "-m", "ctatlas", *map(str, words)]
    times = [seconds(lambda: subprocess.run(call, check=True, capture_output=True)) for _ in range(repeats)]
    return min(times, key=lambda each: each["s"])


def asked(atlas: Atlas) -> dict[str, dict[str, float]]:
    """Return how long each question takes."""
    with atlas.catalog() as catalog, catalog.session() as session:
        asking = {
            "cases": lambda: questions.case_count(session),
            "labels": lambda: questions.label_counts(session),
            "steps": lambda: questions.step_counts(session),
            "revisions": lambda: questions.revision_totals(session),
            "findings": lambda: questions.finding_counts(session),
            "rank cases": lambda: questions.cases_by_attention(session),
            "rank structures": lambda: questions.structures_by_attention(session),
            "files that are known": lambda: session.execute(select(Case.origin, Case.origin_stamp, Case.case)).all(),
        }
        return {name: seconds(one) for name, one in asking.items()}


def make_atlas(folder: Path, n: int, catalog: str) -> None:
    """Write the records of `n` cases; numbers differ from case to case."""
    atlas = Atlas.create(folder, AtlasConfig(name="large", label_set=LABEL_SET, catalog=catalog))
    structures = list(label_set(LABEL_SET).labels.values())
    for number in range(n):
        for name, content in records(f"case_{number:05d}", number, structures).items():
            path = atlas.place.case(f"case_{number:05d}").folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))


def records(case: str, number: int, structures: list[str]) -> dict[str, dict[str, object]]:
    """Return the JSON files of a case."""
    sha256 = sha256_json(case)
    masks = {name: {"sha256": sha256, "volume_ml": 10.0 + n, "n_voxels": 1000 * n} for n, name in enumerate(structures)}
    revised = {name: {**masks[name], "added_ml": 1.0, "removed_ml": 0.5} for name in structures[number % 20 :][:3]}
    spots = [
        {"structure": name, "lo": [0, 0, 0], "hi": [9, 9, 9], "center_mm": [0, 0, 0], "ml": 1.0, "score": 0.1}
        | {"reason": "models disagree", "minutes": 1.5}
        for name in structures[:12]
    ]
    attention = {name: {"ml": 2.0, "score": (number * 7919 % 1000) / 1000 + 0.01} for name in structures[:12]}
    run = {"whole": True, "files": {}, "key": sha256, "step_version": 1, "ctatlas": "0"}
    grid = {"shape": [512, 512, 300], "affine": [[-0.8, 0, 0, 0], [0, -0.8, 0, 0], [0, 0, 1.5, 0], [0, 0, 0, 1]]}
    return {
        "original/labels.json": {
            "label_set": "amos22",
            "native_ids": {name: n for n, name in enumerate(structures[:13])},
            "annotated": structures[:13],
            "masks": {name: masks[name] for name in structures[:13]},
        },
        **{f"predictions/{member}/run.json": {**run, "summary": {"masks": masks}} for member in MEMBERS},
        "attention/hotspots.json": {
            "preset": "default",
            "members": list(MEMBERS),
            "structures": attention,
            "hotspots": spots,
        },
        "attention/run.json": run,
        "revisions/0001/revision.json": {
            "number": 1,
            "author": "ann",
            "minutes": 5.0,
            "created": "2026-01-01T00:00:00Z",
            "masks": revised,
        },
        "revisions/0001/run.json": run,
        "assembled/provenance.json": {
            "label_set": LABEL_SET,
            "masks": {name: {**mask, "source": "pseudo"} for name, mask in masks.items()},
        },
        "assembled/run.json": run,
        "case.json": {
            "case": case,
            "dataset": f"set{number % 12}",
            "dataset_case": case,
            "patient": sha256_json(number // 2),
            "grid": grid,
            "origin": sha256,
            "origin_stamp": sha256,
            "ct_sha256": sha256,
            "voxels_sha256": sha256,
            "fingerprint": sha256 * 4,
        },
    }


if __name__ == "__main__":
    typer.run(main)
