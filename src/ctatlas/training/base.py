"""Train the networks that are kept: `python -m ctatlas.training.base FOLDER DATA [--member NAME] [--steps N]`.

Builds the pool of anatomies where it is missing, then trains or goes on where the last run stopped.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ctatlas.errors import CtatlasError
from ctatlas.training.loop import train
from ctatlas.training.members import member
from ctatlas.training.pool import build_pool, load_pool, remaining
from ctatlas.training.teachers import begun

PHANTOMS, COMPLETIONS, LABELLED = 120, 120, 16


def main(
    folder: Annotated[Path, typer.Argument(help="Holds the pool and the run.")],
    data: Annotated[Path, typer.Argument(help="The folder with torso_ct, labelmaps and phantoms.")],
    name: Annotated[str, typer.Option("--member", help="Which network, by its row of members.toml.")] = "base",
    steps: Annotated[int | None, typer.Option(help="Total steps, else as the row says.")] = None,
    until: Annotated[int | None, typer.Option(help="Stop at this step; the next call goes on.")] = None,
    workers: Annotated[int, typer.Option(help="Processes, one core each.")] = 2,
    phantoms: Annotated[int, typer.Option(help="Procedural phantoms in the pool.")] = PHANTOMS,
    seed: Annotated[int, typer.Option(help="Of the pool.")] = 1,
    begin_from: Annotated[
        str, typer.Option(help="A model of the same network, such as ctatlas/base: a new run starts from its weights.")
    ] = "",
    without: Annotated[
        list[str] | None,
        typer.Option(help="Leave out a kind of anatomies, or those whose names begin so; may be given several times."),
    ] = None,
) -> None:
    """Build the pool and train."""
    try:
        asked = member(name)
        config = replace(asked, steps=steps or asked.steps, without=(*asked.without, *(without or ())))
        n = build_pool(
            folder / "pool",
            data,
            seed=seed,
            n_phantoms=phantoms,
            n_completed=COMPLETIONS,
            n_labelled=LABELLED,
            workers=workers,
        )
        typer.echo(f"{n} anatomies")
        remaining(load_pool(folder / "pool"), config.without)  # what is wrong is told before processes start
        run = folder / "-".join([name, *(f"without-{word}" for word in without or ())])
        train(folder / "pool", run, begun(config, run, begin_from), workers=workers, until=until)
    except CtatlasError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    typer.run(main)
