"""Learn from own predictions: `python -m ctatlas.training.self_training RUNS DATA --teacher RUN [--teacher …]`.

A round: teachers label the real torsos together (`votes`), what is confident and allowed becomes members of the pool
(`pseudo_labels`), the first teacher is trained further with them, and is measured before and after. It takes its place
among the teachers for the next round, unless it got worse. With `--steps 0` torsos are labelled, nothing is trained.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ctatlas.atomic import whole_file
from ctatlas.errors import AtlasError, CtatlasError
from ctatlas.training.evaluation.cases import label_maps, phantoms
from ctatlas.training.evaluation.figures import overall, summary
from ctatlas.training.evaluation.scores import find, score
from ctatlas.training.evaluation.store import Store
from ctatlas.training.evaluation.torsos import torsos
from ctatlas.training.loop import train
from ctatlas.training.pool import Member, load_pool, write_member
from ctatlas.training.pseudo_labels import pseudo_labels, record
from ctatlas.training.scans import SPACING_MM
from ctatlas.training.teachers import Teacher, begin_from, teacher_of
from ctatlas.training.votes import vote

Measure = Callable[[Teacher], Mapping[str, float]]
"""Figures of a model, larger is better but for what is invented; never made on data of the demo."""

LEARNING_RATE = 5e-4  # a quarter of the first run's
SEEDS_A_ROUND = 1000
INVENTED = "invented, mL"  # the largest volume outside of the field of view of a torso
WORSE = 0.005  # mean Dice on drawn data; more is not chance


@dataclass(frozen=True, slots=True)
class Round:
    """One row of the report: the model after a round (0: before all), its figures, what torsos were taught with, mL."""

    number: int
    model: str
    figures: Mapping[str, float]
    taught_ml: Mapping[str, float]


def label_torsos(pool: Path, teachers: Sequence[Teacher], number: int) -> dict[str, float]:
    """Write a pseudo-labelled member for every torso of a pool in place of those of former rounds.

    A member's sources are all that its teachers saw, so that whoever leaves a source out leaves it out, too.

    Returns
    -------
    dict
        mL of every class that is now taught, over all torsos.

    Raises
    ------
    AtlasError
        When the pool holds no torsos.
    """
    scans = _torsos(pool)
    models = [teacher.model() for teacher in teachers]
    saw = set().union(*(teacher.saw(pool) for teacher in teachers))
    told = [{"model": model.card.name, "weights": str(model.card.weights.sha256)} for model in models]
    taught: dict[str, float] = {}
    for scan in scans:
        ct, partial = np.asarray(scan.ct), np.asarray(scan.labels)
        labels = pseudo_labels(vote(ct, SPACING_MM, models), partial, models[0].card)
        sources = tuple(sorted(saw | set(scan.sources)))
        member = Member("pseudo", f"{scan.name}-round-{number}", labels.codes, ct, sources=sources)
        write_member(pool, member, labels_are="codes", facts=record(labels, told, number))
        for name, ml in labels.kept_ml.items():
            taught[name] = round(taught.get(name, 0.0) + ml["taken"], 1)
    _forget(pool, [m for m in load_pool(pool) if m.kind == "pseudo" and not m.name.endswith(f"-round-{number}")])
    return taught


def _torsos(pool: Path) -> list[Member]:
    """Return the torsos of a pool, or refuse one without."""
    scans = [member for member in load_pool(pool) if member.kind == "torso" and member.ct is not None]
    if not scans:
        raise AtlasError(f"{pool}: holds no torsos to label; build it with 'python -m ctatlas.training.base'")
    return scans


def _forget(pool: Path, members: Sequence[Member]) -> None:
    """Remove members; who has their arrays open may read on."""
    for member in members:
        entry = pool / f"{member.kind}-{member.name}.json"
        for suffix in (".json", ".labels.npy", ".ct.npy", ".centres.npz"):
            entry.with_suffix(suffix).unlink(missing_ok=True)


def self_train(
    folder: Path, teachers: Sequence[Teacher], measure: Measure, *, rounds: int, steps: int, workers: int
) -> list[Round]:
    """Make rounds until all are made, or one does harm.

    Parameters
    ----------
    folder : Path
        Holds `pool`; runs and models of every round are kept under `self-training`.
    teachers : sequence of Teacher
        The first is trained further: a run, or a model that this trainer made.
    measure : callable
    rounds, steps, workers : int
        Steps of every round, of all workers together.

    Raises
    ------
    AtlasError, InstallError, ModelError
    """
    teachers[0].config()  # whether it can be trained, and on what, is told before it is measured
    teachers[0].weights()
    _torsos(folder / "pool")
    report = [Round(0, teachers[0].name, measure(teachers[0]), {})]
    for number in range(1, rounds + 1):
        taught = label_torsos(folder / "pool", teachers, number)
        run = folder / "self-training" / f"round-{number}"
        config = begin_from(teachers[0], run)
        seed = config.seed + SEEDS_A_ROUND
        by = tuple(f"{each.title()} (weights {each.sha256()})" for each in teachers)
        gentle = replace(config, seed=seed, steps=steps, decay_from=0.0, learning_rate=LEARNING_RATE, taught_by=by)
        train(folder / "pool", run, gentle, workers=workers)
        student = teacher_of(str(run), run / "model")
        report.append(Round(number, student.name, measure(student), taught))
        if _worse(report[-1].figures, report[-2].figures):
            break
        teachers = [student, *teachers[1:]]
    return report


def _worse(after: Mapping[str, float], before: Mapping[str, float]) -> bool:
    return any(after[key] < before[key] - WORSE for key in before if key != INVENTED)


def on_drawn_data(data: Path, store: Store, n: int) -> Measure:
    """Return a measure: mean Dice on unseen phantoms and label-map CTs, and what is invented on the torsos.

    `lidc-0001` is not among them: nothing is chosen by it. Nor are labelled scans that were trained on.
    """

    def measure(teacher: Teacher) -> dict[str, float]:
        scores = []
        for case in (*phantoms(store, n), *label_maps(store, data, n), *torsos(data)):
            scores += score(case, find(case.volume, [teacher.name]), {})
        means = {sort: mean for sort, mean in overall(summary(scores)).items() if mean is not None}
        invented = max((each.invented_ml for each in scores if each.sort == "unlabelled"), default=0.0)
        return means | {INVENTED: invented}

    return measure


def report_table(report: Sequence[Round]) -> str:
    """Return the rounds as Markdown: one row each, with the figures and how much the torsos taught."""
    keys = list(report[0].figures)
    lines = ["| round | " + " | ".join([*keys, "taught, mL"]) + " |", "| --- |" + " --- |" * (len(keys) + 1)]
    for each in report:
        figures = [f"{each.figures[key]:.{1 if key == INVENTED else 3}f}" for key in keys]
        lines.append(f"| {each.number} | " + " | ".join([*figures, f"{sum(each.taught_ml.values()):.0f}"]) + " |")
    return "\n".join(lines) + "\n"


def main(
    folder: Annotated[Path, typer.Argument(help="Holds the pool; runs of the rounds are kept in it.")],
    data: Annotated[Path, typer.Argument(help="The folder with torso_ct, labelmaps and phantoms.")],
    teacher: Annotated[list[str], typer.Option(help="A run or a model; several together. The first is trained on.")],
    rounds: int = 1,
    steps: Annotated[int, typer.Option(help="Of every round; 0 labels the torsos once and trains nothing.")] = 8000,
    workers: Annotated[int, typer.Option(help="Processes, one core each.")] = 2,
    cases: Annotated[int, typer.Option(help="Phantoms and label-map CTs each to measure a round on.")] = 8,
    store: Annotated[Path, typer.Option(help="Keeps drawn cases.")] = Path("build/evaluation"),
) -> None:
    """Label the torsos, train with them, measure; again."""
    try:
        made = folder / "self-training"
        teachers = [teacher_of(path, made / f"teacher-{n}") for n, path in enumerate(teacher)]
        if steps == 0:
            typer.echo(json.dumps(label_torsos(folder / "pool", teachers, 1), indent=1))
            return
        measure = on_drawn_data(data, Store(store), cases)
        report = self_train(folder, teachers, measure, rounds=rounds, steps=steps, workers=workers)
    except CtatlasError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    with whole_file(made / "report.json") as file:
        file.write(json.dumps([asdict(each) for each in report], indent=1).encode())
    typer.echo(report_table(report))


if __name__ == "__main__":
    typer.run(main)
