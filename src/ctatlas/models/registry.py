"""Find models: those in the package, those in the user's folder, and any folder with a card."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ctatlas.errors import ModelError
from ctatlas.models.cards import CARD_FILE, ModelCard, read_card
from ctatlas.models.catalogue import entries
from ctatlas.models.kinds import loader
from ctatlas.models.model import Model
from ctatlas.models.nnunet import model_folders, nnunet_card, open_folder
from ctatlas.models.records import RECORD_FILE, Record, read_record, with_recorded_hash
from ctatlas.models.tasks import installed_tasks, task_folder, tasks
from ctatlas.settings import settings

# Why a public checkpoint can't be run.
_WHY_NOT = {
    "card": "not here yet; 'ctatlas models pull {}' gets it",
    "nnunet": "not here yet; 'ctatlas models pull {}' gets it",
    "start": "a start for training, which finds no structures by itself",
    "elsewhere": "ctatlas has no network for it",
}
_BUNDLED = Path(__file__).with_name("data")


def model_names() -> tuple[str, ...]:
    """Return the names of all models that `card` and `load` know, bundled ones first."""
    return tuple(_folders())


def bundled_names() -> tuple[str, ...]:
    """Return the names of the models that the package brings."""
    return tuple(_name(path) for path in sorted(_BUNDLED.glob(f"*/{CARD_FILE}")))


def folder_of(name_or_path: str | Path) -> Path:
    """Return the folder of a model; raises as `card` does."""
    return _folder(name_or_path)


def card(name_or_path: str | Path) -> ModelCard:
    """Return the card of a model by its name, or by its folder.

    Raises
    ------
    ModelError
        When there is no such model, or its card is broken.
    """
    return _card_in(_folder(name_or_path))


def load(name_or_path: str | Path, backend: str | None = None) -> Model:
    """Return a model ready to run, by its name or by its folder.

    Parameters
    ----------
    name_or_path : str or Path
    backend : str, optional
        What its network runs on; unless told, what `ctatlas.models.engines.chosen` says.

    Raises
    ------
    ModelError
        When there is no such model or backend, or its card or weights are broken.
    """
    folder = _folder(name_or_path)
    found = _card_in(folder)
    return loader(found.weights.loader)(found, folder, backend)


def _card_in(folder: Path) -> ModelCard:
    if not (folder / CARD_FILE).is_file() and model_folders(folder):
        return _of_nnunet(folder)
    return with_recorded_hash(read_card(folder / CARD_FILE), folder)


def _of_nnunet(folder: Path) -> ModelCard:
    """Make the card of a folder of nnU-Net; one that was fetched bears the name and the licence it came under."""
    made = nnunet_card(open_folder(folder))
    record = read_record(folder.parent)
    if record is None:
        return _as_task(made, folder)
    name = next((name for name, path in _installed(folder.parent, record).items() if path == folder), made.name)
    said = {"name": name, "license": record.license or made.license, "commercial_use": record.commercial_use}
    return made.model_copy(update=said)


def _as_task(made: ModelCard, folder: Path) -> ModelCard:
    """Name a folder that lies in nnU-Net's results after the task that it is a model of, if it is one."""
    for name, place in installed_tasks().items():
        if place.resolve() == folder.resolve():
            task = tasks()[name]
            return made.model_copy(
                update={"name": name, "license": task.license, "commercial_use": task.commercial_use}
            )
    return made


def _installed(folder: Path, record: Record) -> dict[str, Path]:
    """Name the folders of nnU-Net in an installed one: as it is called, with the configuration where there are more."""
    found = model_folders(folder)
    if len(found) == 1:
        return {record.name: found[0]}
    return {f"{record.name}.{each.name.rpartition('__')[2]}": each for each in found}


def _folder(name_or_path: str | Path) -> Path:
    known = _folders()
    if name_or_path in known:
        return known[str(name_or_path)]
    with suppress(OSError, ValueError):  # a name that no file could bear
        path = Path(name_or_path)
        if (path / CARD_FILE).is_file():
            return path
        if trained := model_folders(path):
            return trained[0] if len(trained) == 1 else path  # of several, who opens it says which to name
    if (task := tasks().get(str(name_or_path))) is not None:
        task_folder(task)  # says what is wrong with the one that is there
        raise ModelError(f"{task.name}: {task.how_to_install}")
    if (public := entries().get(str(name_or_path))) is not None:
        raise ModelError(f"{public.name}: {_WHY_NOT[public.use].format(public.name)}")
    raise ModelError(
        f"no model {str(name_or_path)!r}; known: {', '.join(known) or 'none'}; or give a folder with a {CARD_FILE}, "
        "or one that nnU-Net trained; 'ctatlas models import' takes zips"
    )


def _folders() -> dict[str, Path]:
    """Map every name to its folder; what is bundled cannot be replaced by a user's model of the same name."""
    theirs = settings().home / "models"
    cards = [*sorted(_BUNDLED.glob(f"*/{CARD_FILE}")), *theirs.glob(f"*/{CARD_FILE}"), *theirs.glob(f"*/*/{CARD_FILE}")]
    found: dict[str, Path] = {}
    for path in cards:
        found.setdefault(_name(path), path.parent)
    for path in (*theirs.glob(f"*/{RECORD_FILE}"), *theirs.glob(f"*/*/{RECORD_FILE}")):
        if not (path.parent / CARD_FILE).is_file():
            with suppress(ModelError):
                if (record := read_record(path.parent)) is not None:
                    found = found | _installed(path.parent, record) | found  # who is known keeps both place and folder
    return found | installed_tasks() | found


def _name(path: Path) -> str:
    """Return a card's name; a broken one goes by its folder, so that asking for it tells the fault."""
    try:
        return read_card(path).name
    except ModelError:
        return path.parent.name
