"""Train the bundled network: `python -m ctatlas.training.base POOL_AND_RUNS DATA [--steps N] [--workers N]`.

Builds the pool of anatomies where it is missing, then trains or goes on where the last run stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctatlas.training.loop import TrainConfig, train, with_steps
from ctatlas.training.pool import build_pool, load_pool, remaining

COMPLETIONS, LABELLED = 120, 16


def main(
    folder: Annotated[Path, typer.Argument(help="Holds the pool and the run.")],
    data: Annotated[Path, typer.Argument(help="The folder with torso_ct, labelmaps and phantoms.")],
    steps: Annotated[int | None, typer.Option(help="Total steps; more than before goes on.")] = None,
    workers: Annotated[int, typer.Option(help="Processes, one core each.")] = 2,
    phantoms: Annotated[int, typer.Option(help="Procedural phantoms in the pool.")] = 240,
    seed: int = 1,
    without: Annotated[
        list[str] | None,
        typer.Option(help="Leave out a kind of anatomies, or those whose names begin so; may be given several times."),
    ] = None,
) -> None:
    """Build the pool and train."""
    config = with_steps(TrainConfig(seed=seed, without=tuple(without or ())), steps)
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
    remaining(load_pool(folder / "pool"), config.without)  # what is wrong with it is told before processes start
    train(
        folder / "pool",
        folder / "-".join(["run", *(f"without-{word}" for word in config.without)]),
        config,
        workers=workers,
    )


if __name__ == "__main__":
    typer.run(main)
