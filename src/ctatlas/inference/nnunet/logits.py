"""The network's logits on its own grid, summed over overlapping windows in half precision, as nnU-Net sums them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from ctatlas.errors import ModelError
from ctatlas.inference.nnunet.windows import Index, padded, window_weights, windows
from ctatlas.models import Backend
from ctatlas.models.nnunet import NnunetNetworks
from ctatlas.progress import SILENT, Progress

Precision = Literal["half", "float32"]


@dataclass(frozen=True, slots=True)
class Windowing:
    """How windows are laid and summed.

    Attributes
    ----------
    step : float
        The fraction of a window by which windows move on.
    mirroring : bool
        Whether windows are also shown mirrored, where the checkpoint allows it.
    accumulate : "half" or "float32"
        What sums are kept in. Half precision gives what nnU-Net gives.
    """

    step: float = 0.5
    mirroring: bool = True
    accumulate: Precision = "half"


AS_NNUNET = Windowing()


def predict_logits(
    inputs: np.ndarray, networks: NnunetNetworks, how: Windowing = AS_NNUNET, *, progress: Progress = SILENT
) -> np.ndarray:
    """Run every fold over all windows and average.

    Parameters
    ----------
    inputs : (c, z, y, x) float32
    networks : NnunetNetworks
    how : Windowing, optional
    progress : Progress, optional

    Returns
    -------
    (n, z, y, x) float16 or float32
        Logits.

    Raises
    ------
    ModelError
        When sums leave what half precision holds, or the network fails.
    """
    patch = networks.folder.chosen.patch_size
    data, inner = padded(inputs, patch)
    places = windows(data.shape[1:], patch, how.step)
    progress.stage("windows", len(places) * len(networks.networks))
    folds = (_of_one(network, networks, data, places, how=how, progress=progress) for network in networks.networks)
    total = next(folds)[(slice(None), *inner)]
    for found in folds:
        total += found[(slice(None), *inner)]
    if len(networks.networks) > 1:
        total /= total.dtype.type(len(networks.networks))
    return total


def _of_one(
    network: Backend,
    networks: NnunetNetworks,
    data: np.ndarray,
    places: Sequence[Index],
    *,
    how: Windowing,
    progress: Progress,
) -> np.ndarray:
    """Return one fold's logits (n, z, y, x) of padded inputs."""
    axes = networks.mirroring_axes if how.mirroring else ()
    flips = [chosen for n in range(1, len(axes) + 1) for chosen in combinations(axes, n)]
    weights = window_weights(networks.folder.chosen.patch_size)
    dtype = np.float16 if how.accumulate == "half" else np.float32
    sums = np.zeros((networks.folder.dataset.n_heads, *data.shape[1:]), dtype)
    weight = np.zeros(data.shape[1:], dtype)
    for place in places:
        _add(sums[(slice(None), *place)], _seen(network, data[(slice(None), *place)], flips) * weights)
        _add(weight[place], weights)
        progress.advance()
    for plane in sums:  # one after the other, so that nothing of the size of all is made
        with np.errstate(over="ignore"):
            np.divide(plane, weight, out=plane)
        if np.isinf(plane).any():
            raise ModelError("sums of logits leave half precision; ask for float32 instead (accumulate)")
    return sums


def _seen(network: Backend, window: np.ndarray, flips: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Return the logits of a window (c, …), averaged over its mirror images."""
    found = _run(network, window)
    for axes in flips:
        turned = tuple(1 + axis for axis in axes)
        found += np.flip(_run(network, np.flip(window, turned)), turned)
    if flips:
        found /= np.float32(len(flips) + 1)
    return found


def _run(network: Backend, window: np.ndarray) -> np.ndarray:
    (found,) = network.logits(np.ascontiguousarray(window)[None])
    return np.asarray(found)


def _add(sums: np.ndarray, more: np.ndarray) -> None:
    """Add in single precision, keep in the precision of the sums."""
    with np.errstate(over="ignore"):
        sums[...] = sums.astype(np.float32) + more
