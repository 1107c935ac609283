"""Who teaches: runs of this trainer, made into model folders, or model folders that are there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ctatlas.errors import ModelError
from ctatlas.models import Model, card, load
from ctatlas.training.card import card_text
from ctatlas.training.export import export, load_averaged
from ctatlas.training.loop import TrainConfig, config_of
from ctatlas.training.pool import load_pool, remaining
from ctatlas.training.votes import check_classes


@dataclass(frozen=True, slots=True)
class Teacher:
    """A model that labels scans.

    Attributes
    ----------
    name : str
        Folder of a model.
    run : Path or None
        The run that it comes from; None where it is a model alone, which can't be trained further.
    """

    name: str
    run: Path | None = None

    def model(self) -> Model:
        """Load it."""
        return load(self.name)

    def require_run(self) -> Path:
        """Return the run; refuse a model alone.

        Raises
        ------
        ModelError
        """
        if self.run is None:
            raise ModelError(f"{self.name}: has no checkpoint to train further; name a run first")
        return self.run

    def saw(self, pool: Path) -> set[str]:
        """Return the sources that it saw; all of the pool where that is not known."""
        left_out = () if self.run is None else config_of(self.run).without
        return {source for member in remaining(load_pool(pool), left_out) for source in member.sources}


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
    if not (run / "checkpoint.pt").is_file():
        check_classes(card(path))
        return Teacher(path)
    made.mkdir(parents=True, exist_ok=True)
    try:
        network = load_averaged(run / "checkpoint.pt", config_of(run).widths)
    except RuntimeError as error:
        raise ModelError(
            f"{run / 'checkpoint.pt'}: its weights are not those of a network of today's classes; train anew "
            f"({str(error).splitlines()[0]})"
        ) from None
    export(network, made / "network.onnx")
    (made / "card.toml").write_text(card_text(made, [], {"run": run.name}, "0"), encoding="utf-8")
    return Teacher(str(made), run)


def begin_from(teacher: Teacher, run: Path) -> TrainConfig:
    """Lay a teacher's averaged weights into a new run as its beginning, and return how the teacher was trained.

    A run that has begun stays as it is.

    Raises
    ------
    ModelError
        When the teacher is a model alone.
    """
    origin = teacher.require_run()
    if not (run / "checkpoint.pt").exists():
        _lay_down(origin / "checkpoint.pt", run)
    return config_of(origin)


def _lay_down(checkpoint: Path, run: Path) -> None:
    averaged = torch.load(checkpoint, weights_only=True)["averaged"]
    run.mkdir(parents=True, exist_ok=True)
    torch.save({"network": averaged, "averaged": averaged, "step": 0}, run / "checkpoint.tmp")
    (run / "checkpoint.tmp").replace(run / "checkpoint.pt")
