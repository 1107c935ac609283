"""The stages in their order: a volume and a model → what the model finds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from ctatlas.errors import ModelError
from ctatlas.inference.calibrated import find_calibrated
from ctatlas.inference.decide import Inferred, decide, entropy_map, probability_maps
from ctatlas.inference.predict import predict
from ctatlas.inference.prepare import prepare
from ctatlas.inference.restore import restore
from ctatlas.models import Model
from ctatlas.progress import SILENT, Progress
from ctatlas.volume.scan import Volume

if TYPE_CHECKING:
    import numpy as np


def infer(
    volume: Volume,
    model: Model,
    *,
    progress: Progress = SILENT,
    save_probabilities: bool = False,
    save_entropy: bool = False,
) -> Inferred:
    """Find what a model can find in one scan: what HU gives without learning, and what its network gives.

    Parameters
    ----------
    volume : Volume
    model : Model
    progress : Progress, optional
    save_probabilities : bool, optional
        Whether the probabilities of the card's structures are wanted too: one uint8 array of the scan's shape each.
    save_entropy : bool, optional
        Whether the entropy is wanted too.

    Returns
    -------
    Inferred
        On the scan's grid: the card's calibrated structures, then its classes. All empty where there is no torso.

    Raises
    ------
    ModelError
        When the card asks for a calibrated structure that nothing here can find, or the network fails.
    """
    card = model.card
    progress.stage("body", 1)
    calibrated = find_calibrated(volume)
    masks = calibrated.masks()
    if unknown := [name for name in card.calibrated.structures if name not in masks]:
        raise ModelError(f"{card.name}: can't find {', '.join(unknown)} without learning; can: {', '.join(masks)}")
    progress.advance()
    wanted = [each.name for each in card.classes if each.role == "structure"] if save_probabilities else []
    found = infer_within(
        volume, model, calibrated.body, progress=progress, save_probabilities=wanted, save_entropy=save_entropy
    )
    whole = found.segmentation.with_masks({name: masks[name] for name in card.calibrated.structures})
    return replace(found, segmentation=whole, why_nothing=calibrated.why_nothing)


def infer_within(
    volume: Volume,
    model: Model,
    body: np.ndarray,
    *,
    progress: Progress = SILENT,
    save_probabilities: Collection[str] = (),
    save_entropy: bool = False,
) -> Inferred:
    """Find a network's classes in the part of a scan where the body is.

    Parameters
    ----------
    volume : Volume
    model : Model
    body : (i, j, k) bool
        The body on the scan's grid. Where it is empty nothing is looked at.
    progress : Progress, optional
    save_probabilities : collection of str, optional
        Classes whose probabilities are wanted too.
    save_entropy : bool, optional
        Whether the entropy is wanted too.

    Returns
    -------
    Inferred
        On the scan's grid. Classes that are nowhere have empty masks.
    """
    card, grid = model.card, volume.grid
    slabs = []
    if body.any():
        prepared = prepare(volume, card, body)
        slabs = restore(predict(prepared, model, progress=progress), prepared.route)
    return Inferred(
        decide(slabs, card, grid, progress=progress),
        probability_maps(slabs, card, grid, save_probabilities),
        entropy_map(slabs, card, grid) if save_entropy else None,
    )
