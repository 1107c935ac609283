"""Who teaches: runs of this trainer, made into model folders, or model folders that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import ValidationError

from ctatlas.errors import ModelError
from ctatlas.models import Model, card, load
from ctatlas.models.registry import folder_of
from ctatlas.training.card import card_text, scale_of
from ctatlas.training.export import export, load_averaged, load_exported
from ctatlas.training.loop import TrainConfig, config_of, config_told
from ctatlas.training.pool import load_pool, remaining
from ctatlas.training.votes import check_classes

CHECKPOINT, CONFIG = "checkpoint.pt", "config.json"
TOLD = {"seed", "steps", "widths", "without"}  # what of a model's training its card must tell before it goes on


@dataclass(frozen=True, slots=True)
class Teacher:
    """A model that labels scans.

    Attributes
    ----------
    name : str
        Name or folder of a model.
    run : Path or None
        The run that it comes from; None where it is a model alone.
    """

    name: str
    run: Path | None = None

    def model(self) -> Model:
        """Load it."""
        return load(self.name)

    def config(self) -> TrainConfig:
        """Return how it was trained, as its run or its card tells.

        Raises
        ------
        ModelError
            When the card of a model alone does not tell.
        """
        if self.run is not None:
            return config_of(self.run)
        return _told(self.name, card(self.name).training)

    def weights(self) -> Mapping[str, torch.Tensor]:
        """Return its weights, from which training can go on.

        Raises
        ------
        InstallError, ModelError
            When it is no network of this trainer.
        """
        if self.run is not None:
            averaged: Mapping[str, torch.Tensor] = torch.load(self.run / CHECKPOINT, weights_only=True)["averaged"]
            return averaged
        file = card(self.name).weights.file
        return load_exported(folder_of(self.name) / file).state_dict()

    def told(self) -> str:
        """Return a line that tells it from all others, and what it began from itself."""
        config = self.config()
        before = f" from {config.begun_from}" if config.begun_from else ""
        return f"{self.title()} ({self._steps()} steps, seed {config.seed}, weights {self.sha256()}){before}"

    def _steps(self) -> int:
        """Return the steps behind its weights; a run may have stopped early."""
        if self.run is None:
            return self.config().steps
        return int(torch.load(self.run / CHECKPOINT, weights_only=True)["step"])

    def title(self) -> str:
        """Return the name of its run, or name and version of the model."""
        told = card(self.name)
        return self.run.name if self.run is not None else f"{told.name} {told.version}"

    def sha256(self) -> str:
        """Return the SHA-256 of its weights."""
        return str(card(self.name).weights.sha256)

    def saw(self, pool: Path) -> set[str]:
        """Return the sources that it saw; all of the pool where that is not known."""
        left_out: Sequence[str] = ()
        with suppress(ModelError):
            left_out = self.config().without
        return {source for member in remaining(load_pool(pool), left_out) for source in member.sources}


def _told(name: str, training: Mapping[str, object]) -> TrainConfig:
    """Read what a card tells of a network's training."""
    if missing := TOLD - set(training):
        raise ModelError(f"{name}: its card does not tell {', '.join(sorted(missing))} of its training; name a run")
    try:
        return config_told(training)
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(f"{name}: [training] {first['loc'][0]}: {first['msg'].lower()}; name a run") from None


def teacher_of(path: str, made: Path) -> Teacher:
    """Return what a person names: a run, or the name or folder of a model.

    Parameters
    ----------
    path : str
        A folder with `checkpoint.pt`, or what `ctatlas segment --model` takes.
    made : Path
        Where the model folder of a run is made.

    Raises
    ------
    ModelError
        When there is neither, or it was trained with other classes than those of today.
    """
    run = Path(path)
    if not (run / CHECKPOINT).is_file():
        check_classes(card(path))
        return Teacher(path)
    made.mkdir(parents=True, exist_ok=True)
    config = config_of(run)
    try:
        network = load_averaged(run / CHECKPOINT, config.widths)
    except RuntimeError as error:
        raise ModelError(
            f"{run / 'checkpoint.pt'}: its weights are not those of a network of today's classes; train anew "
            f"({str(error).splitlines()[0]})"
        ) from None
    export(network, made / "network.onnx")
    (made / "card.toml").write_text(card_text(made, [], {"run": run.name, **scale_of(config)}, "0"), encoding="utf-8")
    return Teacher(str(made), run)


def begin_from(teacher: Teacher, run: Path) -> TrainConfig:
    """Lay a teacher's weights into a new run as its beginning, and return how the teacher was trained.

    A run that has begun stays as it is. What it began from stands in `begun_from`.

    Raises
    ------
    InstallError, ModelError
        When the teacher is a model that this trainer did not make.
    """
    config = teacher.config()
    if not (run / CHECKPOINT).exists():
        _lay_down(teacher.weights(), run)
    told = config_of(run).begun_from if (run / CONFIG).exists() else teacher.told()
    return replace(config, begun_from=told, taught_by=())


def begun(config: TrainConfig, run: Path, model: str = "") -> TrainConfig:
    """Let a new run begin from the weights of a model or run, or by chance; return how it is trained from there.

    Raises
    ------
    InstallError, ModelError
        When the model has another network, or saw what the run must not see.
    """
    if (run / CONFIG).exists():
        return replace(config, begun_from=config_of(run).begun_from)
    if not model:
        return config
    teacher = teacher_of(model, Path(model) / "model")
    theirs = teacher.config()
    if theirs.widths != config.widths:
        raise ModelError(f"{model}: its widths are {list(theirs.widths)}, those of the run {list(config.widths)}")
    if seen := sorted(set(config.without) - set(theirs.without)):
        raise ModelError(f"{model}: was trained with {', '.join(seen)}, which the run must not see")
    return replace(config, begun_from=begin_from(teacher, run).begun_from)


def check_beginning(run: Path, model: str) -> None:
    """Refuse a run that has begun from something else than the model or run that a person names.

    Raises
    ------
    ModelError
        When it did.
    """
    if not (run / CONFIG).exists():
        return
    began, named = config_of(run).begun_from, teacher_of(model, Path(model) / "model").told()
    if began != named:
        raise ModelError(
            f"{run}: this run began from {_shortly(began) or 'random weights'}, not from {_shortly(named)}; "
            "leave out --begin-from to go on with it, or move it away to begin anew"
        )


def _shortly(told: str) -> str:
    """Leave out what a beginning began from itself."""
    return told.partition(" from ")[0]


def _lay_down(weights: Mapping[str, torch.Tensor], run: Path) -> None:
    run.mkdir(parents=True, exist_ok=True)
    torch.save({"network": dict(weights), "averaged": dict(weights), "step": 0}, run / "checkpoint.tmp")
    (run / "checkpoint.tmp").replace(run / CHECKPOINT)
