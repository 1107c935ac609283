"""Checkpoints and bundles of MONAI's networks."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

from ctatlas.errors import ModelError
from ctatlas.models.cards import ModelCard
from ctatlas.models.loaders.networks import Opened, model_of, open_network
from ctatlas.models.loaders.weights import checked_path
from ctatlas.models.model import Model

_IN_A_BUNDLE = "models/model.pt"
_METADATA = "configs/metadata.json"
_AT_MOST_BYTES = 4 * 1024**3


def load(card: ModelCard, folder: Path, backend: str | None = None) -> Model:
    """Read a card's weights, a checkpoint or a packed bundle, and give them to the network they belong to.

    Raises
    ------
    ModelError
        When the file is missing or another one, is no checkpoint, holds code, doesn't fit its card, or can't run on
        the backend.
    """
    path = checked_path(card, folder)
    return model_of(card, path, open_checkpoint(path, card), backend)


def open_checkpoint(path: Path, card: ModelCard | None = None, options: Mapping[str, object] | None = None) -> Opened:
    """Open a checkpoint or a packed bundle, by its card or by options, with the account of its weights.

    Raises
    ------
    ModelError
        As `load`; also when a Swin UNETR comes without a word on the patch merging it was trained with.
    """
    root = _root_of_bundle(path)
    if root is None:
        return open_network(path, card, options)
    with tempfile.TemporaryDirectory(prefix="ctatlas-") as place:
        return open_network(_unpacked(path, root, Path(place)), card, options)


def _root_of_bundle(path: Path) -> str | None:
    """Return the folder within a packed bundle where its `configs` and `models` lie; None for anything else."""
    if not zipfile.is_zipfile(path):
        return None
    with ZipFile(path) as archive:
        found = [name for name in archive.namelist() if name.endswith(_METADATA)]
    return min(found, key=len).removesuffix(_METADATA) if found else None


def _unpacked(path: Path, root: str, place: Path) -> Path:
    """Copy the weights out of a bundle, and nothing else."""
    target = place / "model.pt"
    try:
        with ZipFile(path) as archive:
            size = archive.getinfo(root + _IN_A_BUNDLE).file_size
            if size > _AT_MOST_BYTES:
                raise ModelError(f"{path}: its {_IN_A_BUNDLE} would take {size:,} bytes; at most {_AT_MOST_BYTES:,}")
            with archive.open(root + _IN_A_BUNDLE) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1024**2)
    except KeyError:
        raise ModelError(f"{path}: a MONAI bundle without {_IN_A_BUNDLE}; expected the weights there") from None
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise ModelError(f"{path}: a bundle that can't be unpacked ({error}); get it again") from None
    return target
