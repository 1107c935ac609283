"""Every model that there is or could be, and its state on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ctatlas.anatomy import label_set
from ctatlas.errors import ModelError
from ctatlas.models import registry
from ctatlas.models.cards import CARD_FILE, ModelCard, read_card
from ctatlas.models.catalogue import Entry, entries
from ctatlas.models.nnunet import open_folder
from ctatlas.models.records import read_record
from ctatlas.models.tasks import Task, task_folder, tasks
from ctatlas.settings import settings

State = Literal["bundled", "installed", "not installed", "broken", "not run here"]


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list.

    Attributes
    ----------
    name, version : str
    state : str
    usable, experimental : int
        How many structures it finds.
    license : str
    commercial_use : str
    note : str
        What it is, if it isn't a model that finds structures; what is broken.
    """

    name: str
    version: str
    state: State
    usable: int
    experimental: int
    license: str
    commercial_use: str
    note: str = ""


def list_models() -> list[Listed]:
    """Return bundled and installed models, then the tasks and the public checkpoints that are not here."""
    here = [_here(name, registry.folder_of(name)) for name in registry.model_names()]
    known = {each.name for each in here}
    lacking = [_lacking(task) for task in tasks().values() if task.name not in known]
    return [*here, *lacking, *(_elsewhere(entry) for entry in entries().values() if entry.name not in known)]


def _here(name: str, folder: Path) -> Listed:
    bundled = name in registry.bundled_names()
    try:
        if not (folder / CARD_FILE).exists():
            return _of_nnunet(name, folder)
        return _of_card(read_card(folder / CARD_FILE), folder, bundled=bundled)
    except ModelError as error:
        return Listed(name, "", "broken", 0, 0, "", "", str(error))


def _of_card(card: ModelCard, folder: Path, *, bundled: bool) -> Listed:
    found = list(card.structures.values())
    file = folder / card.weights.file
    note = "" if file.is_file() else f"{file.name} is missing"
    if not note and (record := read_record(folder)) is not None:
        size = record.files[file.name].bytes if file.name in record.files else file.stat().st_size
        note = "" if size == file.stat().st_size else f"{file.name} has another size than when it came"
    state: State = "broken" if note else ("bundled" if bundled else "installed")
    counts = found.count("usable"), found.count("experimental")
    return Listed(card.name, card.version, state, *counts, card.license, card.commercial_use, note)


def _of_nnunet(name: str, folder: Path) -> Listed:
    """List an installed folder of nnU-Net by its labels, without reading its weights."""
    record = read_record(folder.parent)
    terms = record or tasks().get(name)
    license_, commercial = (terms.license, terms.commercial_use) if terms else ("", "unknown")
    n = len(open_folder(folder).dataset.classes)
    return Listed(name, "1", "installed", n, 0, license_, commercial)


def _lacking(task: Task) -> Listed:
    """List a task without a model, or with one that isn't of it."""
    state: State = "not installed"
    note = task.how_to_install
    try:
        task_folder(task)
    except ModelError as error:
        state, note = "broken", str(error)
    n = len(label_set(task.label_set).labels)
    return Listed(task.name, str(task.number), state, n, 0, task.license, task.commercial_use, note)


def _elsewhere(entry: Entry) -> Listed:
    notes = {"start": "a start for training", "elsewhere": "another network", "nnunet": "nnU-Net", "card": ""}
    state: State = "not run here" if entry.use == "elsewhere" else "not installed"
    if entry.use == "start" and (settings().home / "models" / entry.name / entry.file).is_file():
        state = "installed"
    return Listed(
        entry.name,
        entry.version,
        state,
        entry.structures,
        0,
        entry.license,
        entry.commercial_use,
        notes[entry.use],
    )
