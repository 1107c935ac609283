"""Train the networks that are kept: `python -m ctatlas.training.base FOLDER DATA [--member NAME] [--steps N]`.

Builds the pool of anatomies where it is missing, then makes the runs of the network's row, one after the other, or goes
on where the last call stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ctatlas.errors import CtatlasError, ModelError
from ctatlas.training.loop import TrainConfig, train, with_settings
from ctatlas.training.members import member
from ctatlas.training.pool import build_pool, load_pool, remaining
from ctatlas.training.teachers import begun, check_beginning

PHANTOMS, COMPLETIONS, LABELLED = 120, 120, 16


def main(
    folder: Annotated[Path, typer.Argument(help="Holds the pool and the run.")],
    data: Annotated[Path, typer.Argument(help="The folder with torso_ct, labelmaps and phantoms.")],
    name: Annotated[str, typer.Option("--member", help="Which network, by its row of members.toml.")] = "base",
    steps: Annotated[int | None, typer.Option(help="Of one run, in place of those of the row.")] = None,
    until: Annotated[int | None, typer.Option(help="Stop a run at this step; the next call goes on.")] = None,
    workers: Annotated[int, typer.Option(help="Processes, one core each.")] = 2,
    phantoms: Annotated[int, typer.Option(help="Procedural phantoms in the pool.")] = PHANTOMS,
    seed: Annotated[int, typer.Option(help="Of the pool.")] = 1,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of `TrainConfig`, in place of the row's; may be given several times."),
    ] = None,
    begin_from: Annotated[
        str, typer.Option(help="A model or run of the same network: a new run starts from its weights.")
    ] = "",
    without: Annotated[
        list[str] | None,
        typer.Option(help="Leave out a kind of anatomies, or those whose names begin so; may be given several times."),
    ] = None,
) -> None:
    """Build the pool and train."""
    try:
        runs = member(name)
        if steps is not None:
            runs = (replace(runs[0], steps=steps),)
        runs = tuple(with_settings(config, named(settings or ())) for config in runs)
        runs = tuple(replace(config, without=(*config.without, *(without or ()))) for config in runs)
        first = folder / "-".join([name, *(settings or ()), *(f"without-{word}" for word in without or ())])
        if begin_from:
            check_beginning(first, begin_from)
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
        remaining(load_pool(folder / "pool"), runs[0].without)  # what is wrong is told before processes start
        train_in_turn(folder / "pool", first, runs, begin_from=begin_from, workers=workers, until=until)
    except CtatlasError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None


def named(settings: Sequence[str]) -> dict[str, str]:
    """Part settings at their sign of equality.

    Raises
    ------
    ModelError
        When one has none.
    """
    if wrong := [each for each in settings if "=" not in each]:
        raise ModelError(f"--set {wrong[0]}: expected NAME=VALUE")
    return {name: value for name, _, value in (each.partition("=") for each in settings)}


def train_in_turn(
    pool: Path,
    first: Path,
    runs: Sequence[TrainConfig],
    *,
    begin_from: str = "",
    workers: int = 1,
    until: int | None = None,
) -> None:
    """Make runs that follow each other, each from the weights of the one before, or go on where the last call stopped.

    Parameters
    ----------
    pool : Path
    first : Path
        Folder of the first run; `-run-2` and so on are appended to its name for the others.
    runs : sequence of TrainConfig
    begin_from : str, optional
        Model or run that the first begins from.
    workers, until : int, optional
        As of `train`; the first run that stops early is the last.

    Raises
    ------
    ModelError
        When a run can't begin from what it should.
    """
    for number, config in enumerate(runs, start=1):
        run = first if number == 1 else first.with_name(f"{first.name}-run-{number}")
        if not train(pool, run, begun(config, run, begin_from), workers=workers, until=until):
            break
        begin_from = str(run)


if __name__ == "__main__":
    typer.run(main)
