"""The stages in their order: an array as a reader gives it and a model folder → labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.inference.nnunet.export import Restored, export_labels
from ctatlas.inference.nnunet.logits import AS_NNUNET, Windowing, predict_logits
from ctatlas.inference.nnunet.prepare import prepare
from ctatlas.models.nnunet import FINAL, Fold, NnunetNetworks, former_stage, load_networks, open_folder
from ctatlas.progress import SILENT, Progress

if TYPE_CHECKING:
    import numpy as np


def predict_nnunet(
    image: np.ndarray,
    spacing: Sequence[float],
    folder: Path | str | NnunetNetworks,
    *,
    folds: Sequence[Fold] | None = None,
    checkpoint: str = FINAL,
    previous: np.ndarray | None = None,
    how: Windowing = AS_NNUNET,
    progress: Progress = SILENT,
) -> np.ndarray:
    """Find the labels of one scan with a model folder of nnU-Net, as nnU-Net would.

    Parameters
    ----------
    image : (c, z, y, x)
        Channels in the order of dataset.json, axes as the reader that the plans name gives them. Nothing is turned.
    spacing : (3,) float
        Of z, y, x in mm.
    folder : Path, str or NnunetNetworks
        A model folder; or what `ctatlas.models.nnunet.load_networks` made of one, for many scans.
    folds, checkpoint
        As in `load_networks`; of no use for networks that are loaded.
    previous : (z, y, x) int, optional
        The labels of the former stage, for a cascade; by default found with the model folder beside.
    how : Windowing, optional
        How windows are laid, mirrored and summed.
    progress : Progress, optional

    Returns
    -------
    (z, y, x) uint8 or uint16
        Labels as dataset.json numbers them, on the scan's grid.

    Raises
    ------
    ModelError
        When the folder or its weights are broken, or nnU-Net's networks of that kind are not known here.
    ScanError
        When the image has another number of channels than the model reads.
    """
    networks = (
        folder if isinstance(folder, NnunetNetworks) else load_networks(open_folder(Path(folder)), folds, checkpoint)
    )
    restored = restored_logits(image, spacing, networks, previous=previous, how=how, progress=progress)
    return export_labels(restored, networks.folder.dataset)


def restored_logits(
    image: np.ndarray,
    spacing: Sequence[float],
    networks: NnunetNetworks,
    *,
    previous: np.ndarray | None = None,
    how: Windowing = AS_NNUNET,
    progress: Progress = SILENT,
) -> Restored:
    """Return the logits of one scan, which are restored to its grid when a slab of them is asked for.

    Parameters and errors are those of `predict_nnunet`.
    """
    folder = networks.folder
    if previous is None and (former := former_stage(networks)) is not None:
        previous = predict_nnunet(image, spacing, former, how=how, progress=progress)
    prepared = prepare(image, spacing, folder, previous)
    logits = predict_logits(prepared.inputs, networks, how, progress=progress)
    return Restored(logits, prepared.way, folder.chosen)
