"""What was brought, and the folder of a model that is made of it."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ctatlas.errors import ModelError, OutputError
from ctatlas.models.cards import CARD_FILE, ModelCard, read_card
from ctatlas.models.catalogue import Entry, entries, entry_of_file
from ctatlas.models.fetch.archive import is_torch_file, names_in, unpack
from ctatlas.models.fetch.first_bytes import first_bytes, refuse_stand_in
from ctatlas.models.kinds import checkpoint_opener
from ctatlas.models.nnunet import model_folders
from ctatlas.models.terms import Terms

_OF_NNUNET = (
    "plans.json",
    "dataset.json",
    "ctatlas.toml",
    "dataset_fingerprint.json",
    "postprocessing.json",
    "*.onnx",
    "*.onnx.data",
)
_FOLDS = ("fold_*/checkpoint_*.pth", "fold_*/postprocessing.json")
_IN_A_BUNDLE = "configs/metadata.json"
# Label sets by the number of classes of a text-driven head, whose order the checkpoint's own embeddings fix.
# Source: classes of CLIP-Driven Universal Model; of AbdomenAtlas 1.1 and 1.0, whose embeddings lie beside SuPreM's.
_BY_CLASSES = {32: "universal-32", 25: "abdomenatlas-1.1", 9: "abdomenatlas-1.0"}
_FAMILY = "universal/unet"  # whose card says how scans are prepared for the family


@dataclass(frozen=True, slots=True)
class Brought:
    """A model's folder, put together; `name` is what it calls itself, `runs` says whether it finds anything."""

    name: str
    folder: Path
    terms: Terms | None = None
    runs: bool = True


def bring(
    path: Path, folder: Path, *, entry: Entry | None, card: Path | None, name: str | None, move: bool = False
) -> Brought:
    """Put a model's folder together from a file, a zip or a folder.

    Parameters
    ----------
    path : Path
    folder : Path
        Is made.
    entry : Entry, optional
        The public checkpoint that it is; else told by the file's name.
    card : Path, optional
        What describes bare weights.
    name : str, optional
        What the model will be called, if that is said.
    move : bool
        Move a file rather than copy it.

    Raises
    ------
    ModelError
        When it is no model, or one that needs a card.
    OutputError
        When it can't be copied.
    """
    if path.is_dir():
        return _from_folder(path, folder, name)
    refuse_stand_in(path, first_bytes(path))
    names = names_in(path)
    if names and not is_torch_file(path) and not any(each.endswith(_IN_A_BUNDLE) for each in names):
        return _from_zip(path, folder, name)
    entry = entry or (entry_of_file(path.name) if card is None else None)
    put = _moved if move else _copied
    if card is not None:
        return _with_card(path, folder, card, name, put)
    if entry is not None and entry.card_file is not None:
        return _with_card(path, folder, entry.card_file, name, put)
    if entry is not None:
        put(path, folder / path.name)
        return Brought(name or entry.name, folder, _terms(entry), runs=False)
    return _of_the_family(path, folder, name, put)


def _from_folder(path: Path, folder: Path, name: str | None) -> Brought:
    if (path / CARD_FILE).is_file():
        card = read_card(path / CARD_FILE)
        _copied(path / card.weights.file, folder / card.weights.file)
        _write_card(folder, path / CARD_FILE, name)
        return Brought(card.name, folder, Terms(card.license, card.license_url, card.commercial_use))
    found = model_folders(path)
    if not found:
        raise ModelError(f"{path}: no model: expected a {CARD_FILE}, or nnU-Net's plans.json and dataset.json")
    for each in found:
        target = folder / each.resolve().name
        for pattern in (*_OF_NNUNET, *_FOLDS):
            for file in each.glob(pattern):
                _copied(file, target / file.relative_to(each))
    return Brought(_slug(path.resolve().name), folder)


def _from_zip(path: Path, folder: Path, name: str | None) -> Brought:
    """Unpack a zip, and take the model's folder in it for what was brought."""
    room = folder.with_name("unpacked")
    shutil.rmtree(room, ignore_errors=True)
    try:
        unpack(path, room)
        tops = [room, *sorted(each for each in room.rglob("*") if each.is_dir())]
        inner = next((each for each in tops if (each / CARD_FILE).is_file() or model_folders(each)), None)
        if inner is None:
            raise ModelError(f"{path}: a zip without a model: no {CARD_FILE}, no plans.json beside a dataset.json")
        brought = _from_folder(inner, folder, name)
    finally:
        shutil.rmtree(room, ignore_errors=True)
    entry = entry_of_file(path.name)
    if entry is not None:
        return Brought(name or entry.name, folder, _terms(entry))
    return Brought(_slug(path.stem) if inner == room else brought.name, folder, brought.terms)


def _with_card(path: Path, folder: Path, card_file: Path, name: str | None, put: Put) -> Brought:
    card = read_card(card_file)
    put(path, folder / card.weights.file)
    _write_card(folder, card_file, name)
    return Brought(card.name, folder, Terms(card.license, card.license_url, card.commercial_use))


def _of_the_family(path: Path, folder: Path, name: str | None, put: Put) -> Brought:
    """Make a card for a text-driven checkpoint, whose classes it shows itself."""
    if path.suffix not in {".pth", ".pt", ".tar", ".ckpt"}:
        raise ModelError(f"{path}: belongs to no public checkpoint that is known by name; give its card with --card")
    layout = checkpoint_opener("universal")(path, None, None).layout
    label_set = _BY_CLASSES.get(layout.n_classes)
    if layout.head != "universal" or label_set is None:
        raise ModelError(
            f"{path}: a {layout.kind} of {layout.n_classes} classes, which doesn't tell what they are; "
            "give its card with --card"
        )
    if name is None:
        raise ModelError(f"{path}: a {layout.kind} of {label_set}; say with --name what to call it")
    public = entries()[_FAMILY].card_file
    table = tomllib.loads(public.read_text(encoding="utf-8")) if public else {}
    table |= {"name": name, "label_set": label_set, "license": "not known", "commercial_use": "unknown", "citation": ""}
    table |= {"license_url": "", "description": f"{layout.kind} of {label_set}, imported from {path.name}"}
    table["weights"] = {"file": _safe(path.name), "loader": "universal"}
    table["network"] = {"kind": layout.kind}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD_FILE).write_text(_toml(table), encoding="utf-8")
    put(path, folder / _safe(path.name))
    read_card(folder / CARD_FILE)
    return Brought(name, folder, Terms("not known"))


Put = Callable[[Path, Path], None]


def _copied(path: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    except FileNotFoundError:
        raise ModelError(f"{path}: is not there; get the model again") from None
    except OSError as error:
        raise OutputError(f"{target}: can't be copied from {path}: {error.strerror}") from None


def _moved(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)


def _write_card(folder: Path, card_file: Path, name: str | None) -> None:
    """Copy a card; under another name where one is said."""
    text = card_file.read_text(encoding="utf-8")
    if name is not None:
        text = re.sub(r'(?m)\A((?:(?!^\[).*\n)*?)name\s*=\s*"[^"]*"', rf'\g<1>name = "{name}"', text, count=1)
    (folder / CARD_FILE).write_text(text, encoding="utf-8")
    card: ModelCard = read_card(folder / CARD_FILE)
    if name is not None and card.name != name:
        raise ModelError(f"{card_file}: its name can't be changed to {name}; change it there")


def _terms(entry: Entry) -> Terms:
    return Terms(entry.license, entry.license_url, entry.commercial_use)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._") or "model"


def _safe(file: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", file).lstrip(".-") or "weights.pth"


def _toml(table: dict[str, object]) -> str:
    """Write a table of a card's few kinds as TOML."""
    plain = [f"{key} = {_value(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for key, value in table.items():
        if isinstance(value, dict):
            plain += ["", f"[{key}]", *(f"{inner} = {_value(each)}" for inner, each in value.items())]
    return "\n".join(plain) + "\n"


def _value(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + " }"
    return str(value).lower() if isinstance(value, bool) else str(value)
