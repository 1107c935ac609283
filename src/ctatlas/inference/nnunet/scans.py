"""A scan and a model of nnU-Net → structures, on the scan's grid and under their names."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctatlas.errors import ModelError
from ctatlas.inference.engine import Inferred
from ctatlas.inference.nnunet.engine import predict_nnunet
from ctatlas.models import Model, ModelCard
from ctatlas.models.nnunet import Dataset, NnunetNetworks
from ctatlas.progress import SILENT, Progress
from ctatlas.volume.grid import Grid
from ctatlas.volume.scan import Volume
from ctatlas.volume.segmentation import Segmentation


def infer_nnunet(volume: Volume, model: Model, *, progress: Progress = SILENT) -> Inferred:
    """Find what a model of nnU-Net finds in a scan, which is turned to lie as the card says.

    Parameters
    ----------
    volume : Volume
    model : Model
        Its card is of the pipeline "nnunet".
    progress : Progress, optional

    Returns
    -------
    Inferred
        On the scan's grid: every class of the card. Neither the body is looked for nor anything else left out, so that
        what is found is what nnU-Net finds in a scan that lies so.

    Raises
    ------
    ModelError
        When the model is none of nnU-Net, or its network fails.
    ScanError
        When it reads more than one channel.
    """
    networks = model.backend
    if not isinstance(networks, NnunetNetworks):
        raise ModelError(f'{model.card.name}: pipeline = "nnunet" on its card, but no folder of nnU-Net')
    turned = volume.reoriented(model.card.input.orientation)
    x, y, z = turned.grid.spacing_mm
    labels = predict_nnunet(turned.array.transpose(2, 1, 0)[None], (z, y, x), networks, progress=progress)
    found = named(labels.transpose(2, 1, 0), model.card, networks.folder.dataset, turned.grid)
    return Inferred(found.reoriented(volume.grid.orientation))


def named(labels: np.ndarray, card: ModelCard, dataset: Dataset, grid: Grid) -> Segmentation:
    """Give labels (i, j, k) the names on the card; a region is all its values together."""
    if not dataset.has_regions:
        return Segmentation.from_labels(grid, labels, card.foreground)

    def masks() -> Iterator[tuple[str, np.ndarray]]:
        for each, values in zip(card.classes, dataset.classes.values(), strict=True):
            yield each.name, np.isin(labels, values)

    return Segmentation.from_masks(grid, masks())
