"""How nnU-Net brings arrays from one grid to another: splines, and apart along an axis that is much coarser.

Source: nnU-Net `resample_data_or_seg_to_shape`, scikit-image `resize`, batchgenerators 0.25.4 `resize_segmentation`, as
recorded; checked against them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
from scipy import ndimage

from ctatlas.models.nnunet import Resampling

Shape = tuple[int, ...]
_ZOOM = cast("Callable[..., np.ndarray]", ndimage.zoom)
_SAMPLE = cast("Callable[..., np.ndarray]", ndimage.map_coordinates)


def resampled_shape(shape: Sequence[int], spacing: Sequence[float], new_spacing: Sequence[float]) -> Shape:
    """Return the shape of the same field of view at another spacing; halves are rounded to even."""
    sizes = zip(shape, spacing, new_spacing, strict=True)
    return tuple(max(1, round(old / new * size)) for size, old, new in sizes)


def axis_apart(how: Resampling, spacing: Sequence[float], new_spacing: Sequence[float]) -> int | None:
    """Return the axis along which slices lie so far apart that it is treated on its own; None when there is none."""
    if how.force_separate_z is False:
        return None
    limit = how.separate_z_anisotropy_threshold
    if how.force_separate_z or max(spacing) / min(spacing) > limit:
        coarse = spacing
    elif max(new_spacing) / min(new_spacing) > limit:
        coarse = new_spacing
    else:
        return None
    axes = [axis for axis, step in enumerate(coarse) if step == max(coarse)]
    return axes[0] if len(axes) == 1 else None


def resize(array: np.ndarray, shape: Shape, order: int) -> np.ndarray:
    """Bring an array to another shape over the same field of view by splines, in float64.

    The ends go on, and nothing leaves the range of what was there.
    """
    old = array.astype(np.float64)
    zooms = [1 / factor for factor in np.divide(array.shape, shape)]
    found = _ZOOM(old, zooms, order=order, mode="nearest", grid_mode=True)
    return np.clip(found, old.min(), old.max(), out=found)


def resample(
    array: np.ndarray, shape: Shape, how: Resampling, spacing: Sequence[float], new_spacing: Sequence[float]
) -> np.ndarray:
    """Bring channels (c, z, y, x) to another grid; give (c, *shape) of the same type, or float32 of torch."""
    if tuple(array.shape[1:]) == tuple(shape) or how.kind == "none":
        return array
    apart = axis_apart(how, spacing, new_spacing)
    if how.kind == "torch":
        from ctatlas.inference.nnunet.resample_torch import resample_torch

        return resample_torch(array, shape, apart)
    found = np.empty((len(array), *shape), array.dtype)
    for channel, into in zip(array, found, strict=True):
        into[:] = _resized(channel, shape, how, apart)
    return found


def resample_labels(
    labels: np.ndarray, shape: Shape, how: Resampling, spacing: Sequence[float], new_spacing: Sequence[float]
) -> np.ndarray:
    """Bring a label map (z, y, x) to another grid."""
    if tuple(labels.shape) == tuple(shape) or how.kind == "none":
        return labels
    apart = axis_apart(how, spacing, new_spacing)
    if how.kind == "torch":
        from ctatlas.inference.nnunet.resample_torch import resample_labels_torch

        return resample_labels_torch(labels, shape, how, apart)
    if apart is None:
        return resize_labels(labels, shape, how.order)
    flat = _without(shape, apart)
    planes = [resize_labels(plane, flat, how.order) for plane in np.moveaxis(labels, apart, 0)]
    return _along(np.stack(planes, apart), shape, apart, how.order_z)


def resize_labels(labels: np.ndarray, shape: Shape, order: int) -> np.ndarray:
    """Bring labels to another shape: each voxel gets the label whose resized mask is highest there.

    Ties go to the label of the nearest voxel if it is among the tied, else to the smallest.
    """
    if order == 0 or tuple(labels.shape) == tuple(shape):
        return resize(labels, shape, 0).astype(labels.dtype)
    nearest = resize(labels, shape, 0).astype(labels.dtype)
    best = np.full(shape, -np.inf)
    found = np.zeros(shape, labels.dtype)
    for label in np.unique(labels):
        share = resize(labels == label, shape, order)
        wins = (share > best) | ((share == best) & (nearest == label))
        found[wins] = label
        np.maximum(best, share, out=best)
    return found


def _resized(channel: np.ndarray, shape: Shape, how: Resampling, apart: int | None) -> np.ndarray:
    if apart is None:
        return resize(channel, shape, how.order)
    flat = _without(shape, apart)
    planes = [resize(plane, flat, how.order) for plane in np.moveaxis(channel, apart, 0)]
    return _along(np.stack(planes, apart), shape, apart, how.order_z)


def _along(array: np.ndarray, shape: Shape, axis: int, order: int) -> np.ndarray:
    """Bring one axis to its new size."""
    if array.shape[axis] == shape[axis]:
        return array
    places = centres(array.shape[axis], shape[axis])
    if order == 0:
        nearest = np.floor(places + 0.5).astype(np.intp).clip(0, array.shape[axis] - 1)
        return np.take(array, nearest, axis)
    lines: list[np.ndarray] = [np.arange(size, dtype=np.float64) for size in shape]
    lines[axis] = places
    return _SAMPLE(array, np.meshgrid(*lines, indexing="ij"), order=order, mode="nearest")


def centres(size: int, new_size: int) -> np.ndarray:
    """Return where the centres of new voxels lie, in old voxels."""
    scale = float(size) / new_size
    return scale * (np.arange(new_size) + 0.5) - 0.5


def _without(shape: Shape, axis: int) -> Shape:
    return tuple(size for each, size in enumerate(shape) if each != axis)
