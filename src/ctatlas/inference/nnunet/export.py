"""From logits on the network's grid to labels on the scan's."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from ctatlas.inference.nnunet.prepare import Way
from ctatlas.inference.nnunet.resample import resample
from ctatlas.models.nnunet import Configuration, Dataset


def export_labels(logits: np.ndarray, way: Way, configuration: Configuration, dataset: Dataset) -> np.ndarray:
    """Turn logits (n, z, y, x) on the network's grid into labels (z, y, x) on the scan's, uint8 or uint16."""
    shape = tuple(hi - lo for lo, hi in zip(way.box.lo, way.box.hi, strict=True))
    restored = resample(logits, shape, configuration.resampling_probabilities, way.new_spacing, way.spacing)
    dtype = np.uint8 if len(dataset.label_values) < 255 else np.uint16
    labels = np.zeros(way.shape, dtype)
    labels[way.box.slices] = decided(restored, dataset)
    return labels.transpose(way.backward)


def decided(logits: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Give every voxel its label: the class of the highest logit, or of regions the last that is likely."""
    if dataset.regions_class_order is None:
        return np.asarray(logits.argmax(0))
    labels = np.zeros(logits.shape[1:], np.uint16)
    for channel, value in zip(logits, dataset.regions_class_order, strict=True):
        labels[expit(channel.astype(np.float32)) > 0.5] = value
    return labels
