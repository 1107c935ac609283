"""From a call of `nnunet predict` to one task a case, and which earlier results are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from ctatlas.errors import ModelError
from ctatlas.execution import Outcome, Task, done_among, perform_among, record_among
from ctatlas.inference.nnunet import Windowing
from ctatlas.inference.nnunet.cases import cases_in, part_of
from ctatlas.inference.nnunet.devices import best_device, check_device
from ctatlas.inference.nnunet.files import Trained, made_of, predict_files, write_beside
from ctatlas.inference.nnunet.images import orientation_of_reader
from ctatlas.inference.nnunet.whole import is_whole
from ctatlas.models.nnunet import Fold, open_folder
from ctatlas.models.nnunet.packed import model_at
from ctatlas.models.nnunet.tree import RESULTS, kept_in, model_folder
from ctatlas.progress import Progress

STEP = "nnunet-predict"
STEP_VERSION = 1


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for."""

    source: Path
    out: Path
    model: Path
    folds: tuple[Fold, ...]
    checkpoint: str
    how: Windowing
    save_probabilities: bool
    previous: Path | None
    part: tuple[int, int]
    device: str | None

    @property
    def trained(self) -> Trained:
        """Return which networks predict: unless told, on the best device, what was exported on the CPU."""
        unless_told = "cpu" if open_folder(self.model).onnx else best_device()
        return Trained(self.model, self.folds, self.checkpoint, self.device or unless_told)


@contextmanager
def model_asked_for(
    model: Path | None, dataset: str | None, trainer: str, plans: str, configuration: str | None
) -> Iterator[Path]:
    """Give the model folder, from -m or from nnUNet_results.

    Raises
    ------
    ModelError, InstallError
        When neither is said, or there is no such model.
    """
    if model is not None:
        with model_at(model, configuration) as folder:
            yield folder
    elif dataset is None or configuration is None:
        raise ModelError("which model? Give -d and -c (and -tr, -p where they differ), or a folder by -m")
    else:
        yield model_folder(kept_in(RESULTS), dataset, trainer, plans, configuration)


def tasks_of(wish: Wish) -> list[Task]:
    """Turn a call into tasks, one a case; what is wrong with the call itself is refused here, before any work.

    Raises
    ------
    ScanError, ModelError, InstallError
    """
    from ctatlas.commands.scans import refuse_output_within_input

    trained = wish.trained
    check_device(trained.device)
    folder = trained.open()
    orientation_of_reader(folder.plans.image_reader_writer)
    refuse_output_within_input(wish.source, wish.out)
    if folder.chosen.previous_stage and wish.previous is None:
        raise ModelError(
            f"{folder.configuration} refines what {folder.chosen.previous_stage} found: predict with that first and "
            "give its folder by -prev_stage_predictions"
        )
    ending = folder.dataset.file_ending
    previous = wish.previous if folder.chosen.previous_stage else None
    cases = cases_in(wish.source, ending, len(folder.dataset.channel_names), previous)
    parameters = {
        "model": trained.hashes(),
        "configuration": folder.configuration,
        "how": asdict(wish.how),
        "device": trained.device,
    }
    return [
        Task(
            case=case.name,
            folder=wish.out,
            work=partial(
                predict_files, files=case, trained=trained, how=wish.how, save_probabilities=wish.save_probabilities
            ),
            step=STEP,
            version=STEP_VERSION,
            inputs=[*case.channels, *([case.previous] if case.previous else [])],
            parameters=parameters,
            makes=made_of(case.name, ending, save_probabilities=wish.save_probabilities),
        )
        for case in part_of(cases, *wish.part)
    ]


def write_beside_results(wish: Wish) -> None:
    """Make the output folder, with the files that nnU-Net's other commands look for in it."""
    from ctatlas.execution.result import said_in_a_line

    with said_in_a_line(wish.out):
        wish.out.mkdir(parents=True, exist_ok=True)
    arguments = {name: str(value) for name, value in asdict(wish).items()}
    write_beside(wish.out, wish.trained.open(), arguments)


def keep_whole(task: Task, progress: Progress, *, wish: Wish) -> Outcome:
    """Do a task unless its result is there and whole; see `predict`."""
    if before := done_among(task):
        return before
    if record_among(task) is None and is_whole(task.folder, task.makes, task.inputs[0], wish.trained.open().dataset):
        return Outcome(task.case, task.folder, "there", {"made_by": "nnU-Net"})
    return perform_among(task, progress)
