"""Measure what each source of anatomies adds: `python -m ctatlas.training.ablation OUT.json RUNS DATA`.

Small models are trained on the pool of RUNS, each with one source left out and one with all; none of them sees
`ts-example`, so that it is an unseen real CT for all. They are scored on unseen phantoms, unseen label-map CTs and
`ts-example`; `lidc-0001` is not asked. A run that was stopped goes on where it stopped; a whole one is not repeated.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ctatlas.atomic import whole_file
from ctatlas.training.card import card_text, scale_of
from ctatlas.training.evaluation.cases import label_maps, phantoms, real
from ctatlas.training.evaluation.figures import FOURTEEN, overall, summary
from ctatlas.training.evaluation.position import position_dice
from ctatlas.training.evaluation.scores import find, score
from ctatlas.training.evaluation.store import Store
from ctatlas.training.export import export, load_averaged
from ctatlas.training.loop import TrainConfig, train
from ctatlas.training.members import member
from ctatlas.training.pool import by_kind, load_pool, remaining

HELD_OUT = "ts-example"
NOTHING = "nothing"
LIKE = "base-b"  # one of the smaller networks
COLUMNS = ("phantom", "label map", "held out")


def main(
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
    runs: Annotated[Path, typer.Argument(help="Holds the pool; `python -m ctatlas.training.base` makes it.")],
    data: Annotated[Path, typer.Argument(help="The folder with torso_ct, labelmaps and phantoms.")],
    steps: Annotated[int, typer.Option(help="Of each model.")] = 5000,
    source: Annotated[list[str] | None, typer.Option(help="What to leave out in turn; default: every kind.")] = None,
    workers: int = 2,
    seed: int = 1,
    n_phantoms: Annotated[int, typer.Option("--phantoms")] = 6,
    n_label_maps: Annotated[int, typer.Option("--label-maps")] = 8,
    folder: Annotated[Path, typer.Option("--store", help="Keeps drawn cases.")] = Path("build/evaluation"),
    table_file: Annotated[Path | None, typer.Option("--markdown", help="Write the table for the docs here.")] = None,
) -> None:
    """Train, score, and print a table."""
    left = remaining(load_pool(runs / "pool"), [HELD_OUT])
    kinds = by_kind(left)
    rows = []
    for word in [NOTHING, *(source or kinds)]:
        without = (HELD_OUT,) if word == NOTHING else (HELD_OUT, word)
        remaining(left, without[1:])
        config = replace(member(LIKE)[0], seed=seed, steps=steps, without=without)
        model = trained(runs / "ablation" / f"without-{word}", runs / "pool", config, workers)
        figures = scored(model, Store(folder), data, (n_phantoms, n_label_maps))
        rows.append({"without": word, "members": len(remaining(left, without[1:])), "mean_dice": overall(figures)})
        told = {"steps": steps, "seed": seed, "config": asdict(config), "rows": rows}
        with whole_file(out) as file:
            file.write((json.dumps(told, indent=1) + "\n").encode())
    if table_file:
        table_file.write_text(table(rows), encoding="utf-8")
    typer.echo(table(rows))


def trained(folder: Path, pool: Path, config: TrainConfig, workers: int) -> str:
    """Train a model, or go on with it, and write it as a folder that can be asked."""
    train(pool, folder, config, workers=workers)
    export(load_averaged(folder / "checkpoint.pt", config.widths), folder / "network.onnx")
    training = {"steps": config.steps, "seed": config.seed, **scale_of(config), "without": list(config.without)}
    (folder / "card.toml").write_text(card_text(folder, [], training, "0"), encoding="utf-8")
    return str(folder)


def scored(model: str, store: Store, data: Path, n: tuple[int, int]) -> list[dict[str, Any]]:
    """Score a model on everything it never saw, but for the demo's scan."""
    cases = [*phantoms(store, n[0]), *label_maps(store, data, n[1]), real(data, HELD_OUT, "held out")]
    return summary(
        [row for case in cases for row in score(case, find(case.volume, [model]), position_dice(store, case))]
    )


def table(rows: list[dict[str, Any]]) -> str:
    """Return a row per source left out: mean Dice of each sort of data, and what is lost against all sources."""
    whole = rows[0]["mean_dice"]
    head = ["left out", "anatomies", "unseen phantoms", "unseen label-map CTs", f"{HELD_OUT} (mean of {len(FOURTEEN)})"]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " --- |" * (len(head) - 1)]
    for row in rows:
        cells = [_cell(row["mean_dice"][sort], whole[sort]) for sort in COLUMNS]
        lines.append("| " + " | ".join([row["without"], str(row["members"]), *cells]) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: float | None, whole: float | None) -> str:
    if value is None or whole is None:
        return "–"
    return f"{value:.3f} ({value - whole:+.3f})"


if __name__ == "__main__":
    typer.run(main)
