"""A scan and a model of nnU-Net → structures, on the scan's grid and under their names."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import expit, softmax

from ctatlas.errors import ModelError
from ctatlas.inference.nnunet.engine import restored_logits
from ctatlas.inference.nnunet.export import Restored
from ctatlas.inference.nnunet.logits import Windowing
from ctatlas.inference.route import Route
from ctatlas.kernels.boxes import Box
from ctatlas.models import Model, ModelCard
from ctatlas.models.nnunet import Dataset, NnunetNetworks
from ctatlas.progress import SILENT, Progress
from ctatlas.volume.grid import Grid
from ctatlas.volume.orientation import Turn, turn_between
from ctatlas.volume.scan import Volume
from ctatlas.volume.segmentation import Segmentation


def look(volume: Volume, model: Model, *, progress: Progress = SILENT) -> Restored:
    """Show a model a scan, turned to lie as its card says.

    Neither the body is looked for nor anything else left out, so that what is found is what nnU-Net finds in a scan
    that lies so.

    Raises
    ------
    ModelError
        When the model is none of nnU-Net, or its network fails.
    ScanError
        When it reads more than one channel.
    """
    turned = volume.reoriented(model.card.input.orientation)
    x, y, z = turned.grid.spacing_mm
    image, how = turned.array.transpose(2, 1, 0)[None], Windowing(step=1 - model.card.window.overlap)
    return restored_logits(image, (z, y, x), _networks(model), how=how, progress=progress)


def named(labels: np.ndarray, model: Model, grid: Grid) -> Segmentation:
    """Give labels (z, y, x) of a turned scan the names on the card, on the scan's own grid; regions may overlap."""
    card, dataset = model.card, dataset_of(model)
    turned = grid.reoriented(card.input.orientation)
    stored = labels.transpose(2, 1, 0)
    if not dataset.has_regions:
        return Segmentation.from_labels(turned, stored, card.foreground).reoriented(grid.orientation)
    return Segmentation.from_masks(turned, _regions(stored, card, dataset)).reoriented(grid.orientation)


def probabilities_of(restored: Restored, dataset: Dataset) -> np.ndarray:
    """Return probabilities (c, …) float32 on the network's grid: of one class among all, or of each alone."""
    logits = restored.logits.astype(np.float32)
    return np.asarray(expit(logits) if dataset.has_regions else softmax(logits, axis=0))


def route_of(restored: Restored, model: Model, scan: Grid) -> Route:
    """Return the way from a scan's grid to the network's, whose axes lie as the plans turn those of the card."""
    turn = turn_between(scan.orientation, model.card.input.orientation)
    order = [2 - axis for axis in _networks(model).folder.plans.transpose_forward]  # arrays of nnU-Net are (z, y, x)
    a, b, c = (turn.axes[axis] for axis in order)
    d, e, f = (turn.flips[axis] for axis in order)
    whole = Turn((a, b, c), (d, e, f))
    box = restored.way.box
    lo, hi, shape = [0, 0, 0], [0, 0, 0], [0, 0, 0]
    for axis, flip, low, high, size in zip(
        whole.axes, whole.flips, box.lo, box.hi, restored.logits.shape[1:], strict=True
    ):
        n = scan.shape[axis]
        lo[axis], hi[axis], shape[axis] = (n - high, n - low, size) if flip else (low, high, size)
    kept = Box((lo[0], lo[1], lo[2]), (hi[0], hi[1], hi[2]))
    step = np.divide(kept.shape, shape)
    to_scan = np.diag([*step, 1.0])
    to_scan[:3, 3] = np.add(lo, step / 2 - 0.5)
    return Route(scan, kept, Grid((shape[0], shape[1], shape[2]), scan.affine @ to_scan), whole)


def dataset_of(model: Model) -> Dataset:
    """Return the labels that a model was trained with."""
    return _networks(model).folder.dataset


def _networks(model: Model) -> NnunetNetworks:
    if not isinstance(model.backend, NnunetNetworks):
        raise ModelError(f'{model.card.name}: pipeline = "nnunet" on its card, but no folder of nnU-Net')
    return model.backend


def _regions(labels: np.ndarray, card: ModelCard, dataset: Dataset) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and mask of each region: all its values together."""
    for each, values in zip(card.classes, dataset.classes.values(), strict=True):
        yield each.name, np.isin(labels, values)
