"""What a network held for likely, structure by structure, on its own grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from ctatlas.inference import NetworkMaps
    from ctatlas.models import ModelCard
    from ctatlas.models.cards import OutputClass
    from ctatlas.volume import Segmentation


def structure_probabilities(
    network: NetworkMaps, card: ModelCard, parts_of: Mapping[str, tuple[str, ...]], masks: Segmentation
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each structure with its probabilities, (i, j, k) uint8 on the network's grid; 255 is certain.

    Parameters
    ----------
    network : NetworkMaps
    card : ModelCard
    parts_of : mapping of str to tuple of str
        Structure -> the card's structures that make it up.
    masks : Segmentation
        The tidied structures, axes in the order of the network maps' scan.

    Notes
    -----
    Of a union classes that exclude each other add up, and of others the likeliest counts. A class of both sides belongs
    to the side whose tidied mask is nearer. What calibrated HU gives has no probability: the share of each voxel that
    its mask fills stands for it. Nothing is cut off where the mask ends.
    """
    for name, parts in parts_of.items():
        maps = [_of_part(part, network, card, masks) for part in parts if part not in card.calibrated.structures]
        if len(maps) < len(parts):
            maps.append(network.share_of(masks.mask(name)))
        together = np.sum(maps, axis=0) if card.decide == "argmax" else np.max(maps, axis=0)
        yield name, np.rint(together.clip(0, 1) * 255).astype(np.uint8)


def _of_part(part: str, network: NetworkMaps, card: ModelCard, masks: Segmentation) -> np.ndarray:
    gives = next(each for each in card.classes if part in _structures_of(each))
    if gives.split is None:
        return network[gives.name]
    is_left = _nearer_left(gives.split.left, gives.split.right, network, masks)
    return np.asarray(network[gives.name] * (is_left if part == gives.split.left else ~is_left))


def _structures_of(gives: OutputClass) -> tuple[str, ...]:
    return (gives.split.left, gives.split.right) if gives.split else (gives.name,)


def _nearer_left(left: str, right: str, network: NetworkMaps, masks: Segmentation) -> np.ndarray:
    """Tell which voxels of the network's grid are nearer to the left mask; without both its middle parts."""
    seeds = [network.share_of(masks.mask(name)) > 0 for name in (left, right) if name in masks.names]
    if len(seeds) == 2 and all(seed.any() for seed in seeds):
        to_left, to_right = (ndimage.distance_transform_edt(~seed, sampling=network.grid.spacing_mm) for seed in seeds)
        return np.asarray(to_left <= to_right)
    x = network.grid.world(np.moveaxis(np.indices(network.grid.shape), 0, -1))[..., 0]
    return np.asarray(x < x.mean())
