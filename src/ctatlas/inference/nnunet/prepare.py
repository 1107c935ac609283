"""From a scan as it is stored to what the network reads: turn, crop to what is not 0, normalise, resample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ctatlas.errors import ScanError
from ctatlas.inference.nnunet.resample import Shape, resample, resample_labels, resampled_shape
from ctatlas.inference.nnunet.room import refuse_what_does_not_fit
from ctatlas.kernels.boxes import Box, bounding_box
from ctatlas.models.nnunet import Configuration, Dataset, NnunetFolder
from ctatlas.models.nnunet.plans import Intensities


@dataclass(frozen=True, slots=True)
class Way:
    """How to get from the network's grid back to the scan.

    Attributes
    ----------
    shape : (3,) int
        Of the scan after its axes were put in the plans' order.
    box : Box
        The part of it that was kept.
    spacing, new_spacing : (3,) float
        Of the scan and of the network's grid.
    backward : (3,) int
        The order of axes that undoes the plans'.
    """

    shape: Shape
    box: Box
    spacing: tuple[float, ...]
    new_spacing: tuple[float, ...]
    backward: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the network reads, (c, z, y, x) float32, and the way back."""

    inputs: np.ndarray
    way: Way


def prepare(
    image: np.ndarray, spacing: Sequence[float], folder: NnunetFolder, previous: np.ndarray | None = None
) -> Prepared:
    """Bring a scan to a configuration's grid and intensities.

    Parameters
    ----------
    image : (c, z, y, x)
        Axes in the order of the reader that the plans name.
    spacing : (3,) float
        Of z, y, x in mm.
    folder : NnunetFolder
    previous : (z, y, x) int, optional
        The labels of the former stage, which a cascade asks for.

    Raises
    ------
    ScanError
        When the number of channels is another, labels of a former stage are missing, unknown or of another shape, or
        all that would not fit in memory.

    Notes
    -----
    Source: nnU-Net `DefaultPreprocessor.run_case_npy`; normalised before resampled.
    """
    plans, configuration, dataset = folder.plans, folder.chosen, folder.dataset
    _check(image, configuration, dataset, previous)
    order = plans.transpose_forward
    data = image.astype(np.float32).transpose(0, *(1 + axis for axis in order))
    old = tuple(float(spacing[axis]) for axis in order)
    new = configuration.spacing if len(configuration.spacing) == 3 else (old[0], *configuration.spacing)
    inside = np.any(data != 0, axis=0)  # holes change nothing of its box
    box = bounding_box(inside) or Box((0, 0, 0), inside.shape)
    cropped, mask = data[(slice(None), *box.slices)], inside[box.slices]
    if previous is not None or any(configuration.use_mask_for_norm):
        mask = ndimage.binary_fill_holes(mask)
    shape = resampled_shape(cropped.shape[1:], old, new)
    refuse_what_does_not_fit(shape, configuration.patch_size, len(data), dataset.n_heads)
    for number, scheme in enumerate(configuration.normalization_schemes):
        within = mask if configuration.use_mask_for_norm[number] else None
        cropped[number] = NORMALISE[scheme](cropped[number], within, plans.intensities.get(str(number)))
    inputs = resample(cropped, shape, configuration.resampling_data, old, new)
    if previous is not None:
        labels = previous.transpose(order)[box.slices].astype(np.int32)
        labels[(labels == 0) & ~mask] = -1  # outside counts as a label of its own while labels are resampled
        labels = resample_labels(labels, shape, configuration.resampling_seg, old, new)
        one_hot = [labels == value for value in dataset.label_values]
        inputs = np.concatenate((inputs, np.stack(one_hot).astype(np.float32)))
    return Prepared(inputs, Way(inside.shape, box, old, new, plans.transpose_backward))


def _check(image: np.ndarray, configuration: Configuration, dataset: Dataset, previous: np.ndarray | None) -> None:
    n = len(dataset.channel_names)
    if image.ndim != 4 or len(image) != n or len(configuration.normalization_schemes) != n or not image.size:
        raise ScanError(
            f"an image of shape {image.shape}: the model reads (channel, z, y, x) with {n} channels "
            f"({', '.join(dataset.channel_names)})"
        )
    if (previous is None) == (configuration.previous_stage is not None):
        stage = configuration.previous_stage
        said = f"needs the labels of {stage} beside the image" if stage else "takes no labels of a former stage"
        raise ScanError(f"configuration {configuration.name} {said}")
    if previous is not None and previous.shape != image.shape[1:]:
        raise ScanError(f"labels of the former stage are {previous.shape}, the image {image.shape[1:]}")


def _ct(image: np.ndarray, _mask: np.ndarray | None, training: Intensities | None) -> np.ndarray:
    """Clip to the percentiles of the training scans, subtract their mean, divide by their s.d."""
    seen = training or Intensities()
    found = image.clip(seen.percentile_00_5, seen.percentile_99_5)
    found -= seen.mean
    found /= max(seen.std, _LEAST)
    return found


def _z_score(image: np.ndarray, mask: np.ndarray | None, _training: Intensities | None) -> np.ndarray:
    """Subtract the scan's own mean, divide by its s.d.; with a mask only there, and by what is there."""
    found = image.copy()
    if mask is None:
        mean, sd = image.mean(), image.std()
        found -= mean
        found /= max(sd, _LEAST)
        return found
    found[mask] = (image[mask] - image[mask].mean()) / max(image[mask].std(), _LEAST)
    return found


def _rescaled(image: np.ndarray, _mask: np.ndarray | None, _training: Intensities | None) -> np.ndarray:
    found: np.ndarray = image - image.min()
    found /= max(found.max(), _LEAST)
    return found


def _rgb(image: np.ndarray, _mask: np.ndarray | None, _training: Intensities | None) -> np.ndarray:
    if image.min() < 0 or image.max() > 255:
        raise ScanError(f"the model reads colours from 0 to 255; found {image.min():g} to {image.max():g}")
    found: np.ndarray = image / np.float32(255)
    return found


def _as_it_is(image: np.ndarray, _mask: np.ndarray | None, _training: Intensities | None) -> np.ndarray:
    return image


_LEAST = 1e-8
NORMALISE: dict[str, Callable[[np.ndarray, np.ndarray | None, Intensities | None], np.ndarray]] = {
    "CTNormalization": _ct,
    "NoNormalization": _as_it_is,
    "RGBTo01Normalization": _rgb,
    "RescaleTo01Normalization": _rescaled,
    "ZScoreNormalization": _z_score,
}
