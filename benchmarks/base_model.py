"""Measure a model on data it never saw: `python benchmarks/base_model.py OUT.json [--model …] [--held-out MODEL]`.

Five sorts of data: phantoms of another seed; label-map CTs of another seed; the labelled real CT `lidc-0001`, which no
shipped model saw in any form; `ts-example`, asked only of a model that never saw it (`--held-out`); and real CTs
without labels, on which nothing is counted but organs found that lie outside of the field of view.
Beside every Dice stands that of a guess from place alone. What takes long to draw is kept under `--store`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ctatlas.atomic import whole_file
from ctatlas.models import card
from ctatlas.training.evaluation.aims import aims_table
from ctatlas.training.evaluation.cases import Case, label_maps, phantoms, real
from ctatlas.training.evaluation.figures import overall, summary, table
from ctatlas.training.evaluation.looks import looks_wrong
from ctatlas.training.evaluation.position import position_dice
from ctatlas.training.evaluation.scores import Score, find, score
from ctatlas.training.evaluation.store import Store
from ctatlas.training.evaluation.torsos import torsos


def scored(store: Store, cases: Iterator[Case], models: Sequence[str]) -> list[Score]:
    """Ask the models, or one, for every case, and score what they find."""
    scores = []
    for case in cases:
        start = time.perf_counter()
        scores += score(case, find(case.volume, models), position_dice(store, case))
        typer.echo(f"{case.sort} {case.name}: {time.perf_counter() - start:.1f} s", err=True)
    return scores


def main(
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
    model: Annotated[list[str] | None, typer.Option(help="Name or folder; several are asked together.")] = None,
    held_out: Annotated[str, typer.Option(help="A model that never saw `ts-example`: asked about it alone.")] = "",
    data: Path = Path("../shared/data"),
    n_phantoms: Annotated[int, typer.Option("--phantoms")] = 12,
    n_label_maps: Annotated[int, typer.Option("--label-maps")] = 8,
    folder: Annotated[Path, typer.Option("--store", help="Keeps drawn cases.")] = Path("build/evaluation"),
    table_file: Annotated[Path | None, typer.Option("--markdown", help="Write the table for the docs here.")] = None,
    aims_file: Annotated[Path | None, typer.Option("--aims", help="Write aims and what is reached here.")] = None,
) -> None:
    """Score the model and print a table."""
    store, models = Store(folder), model or ["ctatlas/base"]
    scores = scored(store, phantoms(store, n_phantoms), models)
    scores += scored(store, label_maps(store, data, n_label_maps), models)
    scores += scored(store, iter([real(data, "lidc-0001")]), models)
    scores += scored(store, torsos(data), models)
    held = scored(store, iter([real(data, "ts-example", "held out")]), [held_out]) if held_out else []
    if models == [held_out]:  # what another model finds says nothing of this one's structures
        scores, held = scores + held, []
    figures, beside = summary(scores), summary(held)
    told = {
        "model": models,
        "held_out": held_out or None,
        "mean_dice": overall([*figures, *beside]),
        "summary": figures,
        "rows": [asdict(each) for each in scores],
        "held_out_summary": beside,
    }
    wrong, aims = looks_wrong(card(models[0]).weights.sha256 or ""), aims_table([*figures, *beside])
    with whole_file(out) as file:
        file.write((json.dumps(told, indent=1) + "\n").encode())
    if table_file:
        table_file.write_text(table(figures, wrong), encoding="utf-8")
    if aims_file:
        aims_file.write_text(aims, encoding="utf-8")
    typer.echo(table(figures, wrong))
    typer.echo(aims)


if __name__ == "__main__":
    typer.run(main)
