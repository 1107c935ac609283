"""Tasks known by name whose weights each person brings: folders of nnU-Net, found where it keeps its results."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict

from ctatlas.anatomy import label_set, structure_called
from ctatlas.errors import ModelError
from ctatlas.models.cards import CommercialUse
from ctatlas.models.nnunet import model_folders, read_dataset
from ctatlas.models.nnunet.dataset import DATASET_FILE
from ctatlas.models.nnunet.tree import RESULTS
from ctatlas.settings import settings

_TABLE = Path(__file__).with_name("tasks.toml")


class Task(BaseModel):
    """A task: which labels a model of it gives, and how its folder is called.

    Attributes
    ----------
    name : str
    number : int
        Of nnU-Net's data set.
    also_numbered : tuple of int
        Numbers that are in use for it, too.
    dataset : str
        The name of the data set, where it is published.
    label_set : str
    repairs_ribs : bool
        Whether ribs are repaired after it, unless asked otherwise.
    trainer, plans, configuration : str
        Of the published call.
    license, commercial_use, get : str
        Terms, and how to get the weights.
    source : str
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    number: int
    also_numbered: tuple[int, ...] = ()
    dataset: str = ""
    label_set: str
    repairs_ribs: bool = False
    trainer: str
    plans: str
    configuration: str
    license: str
    commercial_use: CommercialUse
    get: str
    source: str

    @property
    def folder_name(self) -> str:
        """Return where its model is expected below nnU-Net's results."""
        dataset = self.dataset or f"Dataset{self.number:03d}_…"
        return f"{dataset}/{self.trainer}__{self.plans}__{self.configuration}"

    @property
    def how_to_install(self) -> str:
        """Say in a line what a person who lacks the weights has to do."""
        return (
            f"not installed: {self.get}; put them in {RESULTS}/{self.folder_name}, "
            f"or 'ctatlas models import FOLDER --name {self.name}'"
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """A task as somebody asked for it, and what is to be said about that."""

    task: Task
    remark: str = ""


@cache
def tasks() -> Mapping[str, Task]:
    """Return all tasks by name.

    Raises
    ------
    ModelError
        When the table names one twice.
    """
    table = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    found: dict[str, Task] = {}
    for row in table["task"]:
        task = Task.model_validate(table["family"][row["name"].partition("/")[0]] | row)
        if task.name in found:
            raise ModelError(f"{_TABLE.name}: {task.name} is named twice")
        found[task.name] = task
    return MappingProxyType(found)


def task_called(word: str) -> Asked:
    """Return the task of a name or number; a number that is not its own is remarked upon.

    Raises
    ------
    ModelError
        When there is none.
    """
    if word in tasks():
        return Asked(tasks()[word])
    number = int(word) if word.isdecimal() else -1
    for task in tasks().values():
        if number == task.number:
            return Asked(task)
        if number in task.also_numbered:
            return Asked(task, f"{number} is taken for {task.name}, whose number is {task.number}")
    known = ", ".join(f"{task.name} ({task.number})" for task in tasks().values())
    raise ModelError(f"no task is called {word!r}; there are {known}")


def installed_tasks() -> dict[str, Path]:
    """Map each task whose model lies in nnU-Net's results to its folder; those in doubt are left out."""
    found: dict[str, Path] = {}
    for name, task in tasks().items():
        try:
            folder = task_folder(task)
        except ModelError:
            continue
        if folder is not None:
            found[name] = folder
    return found


def task_folder(task: Task) -> Path | None:
    """Find a task's model in nnU-Net's results; None where there is none of its number.

    Raises
    ------
    ModelError
        When those of its number have other labels, or several could be meant.
    """
    candidates = list(_candidates(task))
    fitting = [folder for folder in candidates if _has_its_labels(folder, task)]
    usual = [each for each in fitting if each.name == Path(task.folder_name).name]
    if len(usual or fitting) == 1:
        return (usual or fitting)[0]
    if fitting:
        raise ModelError(f"{task.name}: could be any of {_named(usual or fitting)}; give one as --model FOLDER")
    if candidates:
        raise ModelError(
            f"{task.name}: {_named(candidates)} has its number but not its labels ({task.label_set}): another model"
        )
    return None


def _candidates(task: Task) -> Iterator[Path]:
    for root in _roots():
        for number in (task.number, *task.also_numbered):
            for dataset in sorted(root.glob(f"Dataset{number:03d}_*")):
                yield from model_folders(dataset)


def _roots() -> Iterator[Path]:
    told = os.environ.get(RESULTS, "")
    roots = [Path(told)] if told else []
    yield from (root for root in (*roots, settings().home / RESULTS) if root.is_dir())


def _has_its_labels(folder: Path, task: Task) -> bool:
    """Tell whether each number means what the task says; names may be spelled as the makers' or as ours."""
    wanted = label_set(task.label_set)
    try:
        labels = read_dataset(folder / DATASET_FILE).labels
    except ModelError:
        return False
    given = {values[0]: name for name, values in labels.items() if len(values) == 1}
    return set(given) == set(wanted.labels) and all(
        name == wanted.native_names[number] or structure_called(name) == wanted.labels[number]
        for number, name in given.items()
    )


def _named(folders: list[Path]) -> str:
    return ", ".join(f"{each.parent.name}/{each.name}" for each in folders[:4])
