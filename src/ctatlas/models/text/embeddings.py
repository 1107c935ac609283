"""Embeddings of classes in a file, each with its name and text, and how they become classes of a network.

A file without names would put a class where another one is: it is the name that says which row is replaced.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ctatlas.anatomy import structure_called
from ctatlas.atomic import whole_file
from ctatlas.errors import ModelError
from ctatlas.models.cards import ModelCard, OutputClass
from ctatlas.models.model import Model

_AT_MOST_BYTES = 200_000_000
_PROMPT = re.compile(r"^.*\bof (?:an?|the) (.+)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Classes by their texts.

    Attributes
    ----------
    names : tuple of str
        Canonical where a structure is called so.
    texts : tuple of str
    rows : (n, m) float32
    encoder : str
        The hash of the weights that made them.
    """

    names: tuple[str, ...]
    texts: tuple[str, ...]
    rows: np.ndarray
    encoder: str


def class_name(text: str) -> str:
    """Name a class by its text: the structure that stands at its end, else a name that a file can bear.

    Examples
    --------
    >>> class_name("A computerized tomography of a Gall Bladder"), class_name("a CT of a gastric band")
    ('gallbladder', 'gastric_band')
    """
    found = _PROMPT.match(text.strip())
    thing = (found[1] if found else text).strip(" .")
    return structure_called(thing) or re.sub(r"[^\w.+-]+", "_", thing.lower()).strip("._") or "class"


def write_embeddings(path: Path, embeddings: Embeddings) -> None:
    """Write an `.npz` that NumPy reads: `embedding` (n, m) float32, `names`, `texts`, `encoder`.

    Raises
    ------
    OutputError
        When it can't be written.
    """
    with whole_file(path) as file:
        np.savez(
            file,
            embedding=embeddings.rows.astype(np.float32),
            names=np.array(embeddings.names),
            texts=np.array(embeddings.texts),
            encoder=np.array(embeddings.encoder),
        )


def read_embeddings(path: Path) -> Embeddings:
    """Read a file that `write_embeddings` made.

    Raises
    ------
    ModelError
        When it is no such file, or its names and rows don't fit together.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            claimed = sum(each.file_size for each in archive.infolist())
        if claimed > _AT_MOST_BYTES:
            raise ModelError(f"{path}: holds {claimed:,} bytes; no embeddings of classes are so large")
        with np.load(path, allow_pickle=False) as found:
            rows, encoder = found["embedding"], str(found["encoder"])
            names, texts = (tuple(str(each) for each in np.atleast_1d(found[key])) for key in ("names", "texts"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        why = " ".join(str(error).split())[:120]
        raise ModelError(f"{path}: no embeddings as 'ctatlas models embed' writes them ({why})") from None
    if rows.ndim != 2 or rows.dtype != np.float32 or not len(rows) or not np.isfinite(rows).all():
        raise ModelError(f"{path}: expected finite float32 rows, found {rows.dtype} {rows.shape}")
    if not len(names) == len(texts) == len(rows) or len(set(names)) < len(names):
        raise ModelError(f"{path}: {len(rows)} rows, {len(set(names))} names, {len(texts)} texts; expected one of each")
    return Embeddings(names, texts, rows, encoder)


def embedded_card(card: ModelCard, embeddings: Embeddings) -> ModelCard:
    """Return the card of a text-driven model with the classes of the file: known ones stay, new ones follow at the end.

    Raises
    ------
    ModelError
        When the model is none that texts drive.
    """
    if not _is_driven_by_text(card):
        raise ModelError(f"{card.name}: no text-driven model; --embeddings is for networks of the kind 'universal/…'")
    known = {each.name for each in card.classes}
    new = [name for name in embeddings.names if name not in known]
    classes = [
        OutputClass(channel=channel, name=name, role="structure" if structure_called(name) == name else "native")
        for channel, name in enumerate(new, start=len(card.classes))
    ]
    return card.model_copy(update={"classes": (*card.classes, *classes)})


def embedded_model(model: Model, card: ModelCard, embeddings: Embeddings) -> Model:
    """Return a text-driven model with the file's rows in place of those of the same name, and after them.

    Parameters
    ----------
    model : Model
        As it was loaded.
    card : ModelCard
        From `embedded_card`.
    embeddings : Embeddings

    Raises
    ------
    ModelError
        When the model doesn't run on torch, or its texts are of another length.
    """
    import torch

    from ctatlas.models.backends.torch import TorchNetwork
    from ctatlas.models.networks.text_driven import UniversalModel

    backend = model.backend
    if not isinstance(backend, TorchNetwork) or not isinstance(backend.network, UniversalModel):
        raise ModelError(f"{card.name}: other texts need a text-driven network on torch: --backend torch")
    old = backend.network.organ_embedding
    if old.shape[1] != embeddings.rows.shape[1]:
        raise ModelError(
            f"{card.name}: was trained with texts of {old.shape[1]} numbers, the file has {embeddings.rows.shape[1]}; "
            "take the encoder of the same CLIP (ViT-B/32 for the published models)"
        )
    channels = {each.name: each.channel for each in card.classes}
    rows = torch.zeros(len(card.classes), old.shape[1])
    rows[: len(old)] = old
    rows[[channels[name] for name in embeddings.names]] = torch.from_numpy(embeddings.rows)
    network = backend.network.with_texts(rows)
    return Model(card, replace(backend, network=network, n_classes=len(rows)))


def _is_driven_by_text(card: ModelCard) -> bool:
    if card.network is not None:
        return card.network.kind.startswith("universal/")
    return card.weights.loader == "universal"


def made_by(encoder: str, texts: Sequence[str], rows: np.ndarray, names: Sequence[str] = ()) -> Embeddings:
    """Put texts, rows and names together; names that are not told are made of the texts.

    Raises
    ------
    ModelError
        When names are given but not one for each text, or two are the same.
    """
    if names and len(names) != len(texts):
        raise ModelError(f"{len(names)} names for {len(texts)} texts; expected one for each, in their order")
    called = tuple(structure_called(name) or name for name in names) or tuple(map(class_name, texts))
    if twice := sorted({name for name in called if called.count(name) > 1}):
        raise ModelError(f"two texts would both be called {', '.join(twice)}; tell them apart with --name")
    if bad := [name for name in called if not re.fullmatch(r"\w[\w.+-]*", name)]:
        raise ModelError(f"{bad[0]!r}: no name that a file can bear; expected letters, digits, _ . + -")
    return Embeddings(called, tuple(texts), rows, encoder)
