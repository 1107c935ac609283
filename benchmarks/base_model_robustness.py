"""Measure what disturbs a model: `python benchmarks/base_model_robustness.py OUT.json [--model …] [--held-out MODEL]`.

Unseen phantoms, and `ts-example` when a model is named that never saw it, are stored in other orders of the axes,
cropped, made noisier, blurred, shifted in brightness and given thicker slices; the phantoms also other contrast phases.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ctatlas.atomic import whole_file
from ctatlas.training.evaluation.cases import phantoms, real
from ctatlas.training.evaluation.disturbances import Change, changes, phase_changes, summary_of, table_of
from ctatlas.training.evaluation.store import Store


def main(
    out: Annotated[Path, typer.Argument(help="JSON file to write.")],
    model: Annotated[list[str] | None, typer.Option(help="Name or folder; several are asked together.")] = None,
    held_out: Annotated[str, typer.Option(help="A model that never saw `ts-example`: asked about it alone.")] = "",
    data: Path = Path("../shared/data"),
    n_phantoms: Annotated[int, typer.Option("--phantoms")] = 3,
    folder: Annotated[Path, typer.Option("--store", help="Keeps drawn cases.")] = Path("build/evaluation"),
    table_file: Annotated[Path | None, typer.Option("--markdown", help="Write the table for the docs here.")] = None,
) -> None:
    """Disturb the scans, score what the model finds, and print a table."""
    store, models = Store(folder), model or ["ctatlas/base"]
    found: list[Change] = []
    for case in phantoms(store, n_phantoms):
        found += changes(case, models)
        typer.echo(case.name, err=True)
    for number in range(n_phantoms):
        found += phase_changes(store, number, models)
    if held_out:
        found += changes(real(data, "ts-example"), [held_out])
    rows = summary_of(found)
    told = {
        "model": models,
        "held_out": held_out or None,
        "summary": rows,
        "rows": [asdict(each) for each in found],
    }
    with whole_file(out) as file:
        file.write((json.dumps(told, indent=1) + "\n").encode())
    if table_file:
        table_file.write_text(table_of(rows), encoding="utf-8")
    typer.echo(table_of(rows))


if __name__ == "__main__":
    typer.run(main)
