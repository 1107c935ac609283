"""Compare the weights on this machine with what they were when they came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ctatlas.errors import ModelError
from ctatlas.hashing import sha256_file
from ctatlas.models import registry
from ctatlas.models.cards import CARD_FILE, read_card
from ctatlas.models.records import RECORD_FILE, read_record
from ctatlas.settings import settings

_AGAIN = "pull or import the model with --again"


@dataclass(frozen=True, slots=True)
class Verified:
    """One file of a model, and what became of it; `reason` is empty where all is well."""

    model: str
    file: str
    state: Literal["ok", "damaged", "missing", "unknown"]
    reason: str = ""


def verify(names: Sequence[str] = ()) -> list[Verified]:
    """Hash the weights of the models named, or of all, anew.

    Raises
    ------
    ModelError
        When a model that was named is not there.
    """
    if names:
        return [row for name in names for row in _verify(name, _home_of(name))]
    folders = {name: _home_of(name) for name in registry.model_names()}
    theirs = settings().home / "models"
    records = [*theirs.glob(f"*/{RECORD_FILE}"), *theirs.glob(f"*/*/{RECORD_FILE}")]
    named = {folder.resolve() for folder in folders.values()}
    folders |= {
        str(path.parent.relative_to(theirs)): path.parent for path in records if path.parent.resolve() not in named
    }
    seen: dict[Path, str] = {}
    for name, folder in folders.items():
        seen.setdefault(folder.resolve(), name)
    return [row for folder, name in seen.items() for row in _verify(name, folder)]


def _home_of(name: str) -> Path:
    """Return the folder with the card or the record; that of nnU-Net lies one deeper."""
    theirs = settings().home / "models" / name
    if (theirs / RECORD_FILE).is_file():
        return theirs
    folder = registry.folder_of(name)
    return folder.parent if (folder.parent / RECORD_FILE).is_file() else folder


def _verify(name: str, folder: Path) -> list[Verified]:
    try:
        wanted = _wanted(folder)
    except ModelError as error:
        return [Verified(name, "", "damaged", str(error))]
    if not wanted:
        return [Verified(name, "", "unknown", "no hash is recorded; 'ctatlas models import' records it")]
    return [_compared(name, folder / file, file, sha256) for file, sha256 in wanted.items()]


def _wanted(folder: Path) -> dict[str, str]:
    """Return the hash of each file: what the card says counts more than what was recorded."""
    record = read_record(folder)
    wanted = {file: each.sha256 for file, each in record.files.items()} if record else {}
    if (folder / CARD_FILE).is_file():
        weights = read_card(folder / CARD_FILE).weights
        if weights.sha256 is not None:
            wanted[weights.file] = weights.sha256
    return wanted


def _compared(name: str, path: Path, file: str, wanted: str) -> Verified:
    try:
        found = sha256_file(path)
    except FileNotFoundError:
        return Verified(name, file, "missing", _AGAIN)
    except OSError as error:
        return Verified(name, file, "damaged", f"can't be read: {error.strerror}")
    if found == wanted:
        return Verified(name, file, "ok")
    return Verified(name, file, "damaged", f"sha256 is {found[:12]}…, expected {wanted[:12]}…; {_AGAIN}")
