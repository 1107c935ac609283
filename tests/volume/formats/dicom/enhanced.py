"""The phantom as enhanced multi-frame CT: everything about a frame stands in functional groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from pydicom import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import EnhancedCTImageStorage, generate_uid

from tests.volume.formats.dicom.phantom import Phantom, set_stored

FrameChange = Callable[[int, Dataset], None]


def item(**values: object) -> Items:
    """Return a sequence of one item."""
    one = Dataset()
    for name, value in values.items():
        setattr(one, name, value)
    return Items([one])


def enhanced(
    phantom: Phantom,
    order: Sequence[int],
    *,
    intercept: Callable[[int], int] = lambda _: -1024,
    change: FrameChange = lambda _, __: None,
) -> Dataset:
    """Return slices of a phantom, in the given order, as one image.

    Parameters
    ----------
    intercept : callable
        Of each slice; a per-frame group holds it.
    change : callable
        Changes the functional group of slice k.
    """
    dataset = phantom.slice(order[0])
    slices = [phantom.slice(k) for k in order]
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.NumberOfFrames = len(order)
    stored = np.stack([phantom.hu(k) - intercept(k) for k in order])
    rows, columns = stored.shape[1:]
    set_stored(dataset, stored.reshape(-1, columns))
    dataset.Rows, dataset.Columns = rows, columns
    shared, frames = Dataset(), []
    shared.PixelMeasuresSequence = item(PixelSpacing=dataset.PixelSpacing)
    shared.PlaneOrientationSequence = item(ImageOrientationPatient=dataset.ImageOrientationPatient)
    for k, one in zip(order, slices, strict=True):
        frame = Dataset()
        frame.PlanePositionSequence = item(ImagePositionPatient=one.ImagePositionPatient)
        frame.PixelValueTransformationSequence = item(RescaleSlope=1, RescaleIntercept=intercept(k), RescaleType="HU")
        frame.FrameContentSequence = item(FrameAcquisitionNumber=1)
        frame.CTImageFrameTypeSequence = item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])
        change(k, frame)
        frames.append(frame)
    dataset.SharedFunctionalGroupsSequence, dataset.PerFrameFunctionalGroupsSequence = Items([shared]), Items(frames)
    for name in ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "RescaleSlope", "RescaleIntercept"):
        delattr(dataset, name)
    return dataset
