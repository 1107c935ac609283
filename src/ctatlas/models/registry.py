"""Find models: those in the package, those in the user's folder, and any folder with a card."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ctatlas.errors import ModelError
from ctatlas.models.cards import CARD_FILE, ModelCard, read_card
from ctatlas.models.kinds import loader
from ctatlas.models.model import Model
from ctatlas.models.nnunet import model_folders, nnunet_card, open_folder
from ctatlas.models.records import with_recorded_hash
from ctatlas.settings import settings

_BUNDLED = Path(__file__).with_name("data")


def model_names() -> tuple[str, ...]:
    """Return the names of all models that `card` and `load` know, bundled ones first."""
    return tuple(_folders())


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
        return nnunet_card(open_folder(folder))
    return with_recorded_hash(read_card(folder / CARD_FILE), folder)


def _folder(name_or_path: str | Path) -> Path:
    known = _folders()
    if name_or_path in known:
        return known[str(name_or_path)]
    with suppress(OSError, ValueError):  # a name that no file could bear
        path = Path(name_or_path)
        if (path / CARD_FILE).is_file() or model_folders(path):
            return path
    raise ModelError(
        f"no model {str(name_or_path)!r}; known: {', '.join(known) or 'none'}; or give a folder with a {CARD_FILE}, "
        "or one that nnU-Net trained"
    )


def _folders() -> dict[str, Path]:
    """Map every name to its folder; what is bundled cannot be replaced by a user's model of the same name."""
    theirs = settings().home / "models"
    cards = [*_BUNDLED.glob(f"*/{CARD_FILE}"), *theirs.glob(f"*/{CARD_FILE}"), *theirs.glob(f"*/*/{CARD_FILE}")]
    found: dict[str, Path] = {}
    for path in cards:
        found.setdefault(_name(path), path.parent)
    return found


def _name(path: Path) -> str:
    """Return a card's name; a broken one goes by its folder, so that asking for it tells the fault."""
    try:
        return read_card(path).name
    except ModelError:
        return path.parent.name
