"""Scans and segmentations on grids, read from and written to files.

The way of the data: `sources` lists the scans of a place, `choices` is what a person decided, `reading` looks at a
file's content and picks a reader of `formats` → `Volume` (HU on a `Grid`, with `ScanFacts`) → … → `Segmentation` →
`writing`, which goes through `atomic`. `orientation` names and turns axes, `hounsfield` keeps and judges values,
`limits` says what no file may claim.
"""

from ctatlas.volume.atomic import whole_file
from ctatlas.volume.choices import AS_IT_IS, Choices
from ctatlas.volume.formats.nifti import LabelMap, read_labels
from ctatlas.volume.grid import Grid
from ctatlas.volume.hounsfield import PADDING_HU, not_hounsfield
from ctatlas.volume.orientation import Turn, turn_between
from ctatlas.volume.reading import read
from ctatlas.volume.scan import ImagePlane, ScanFacts, SliceFacts, Volume
from ctatlas.volume.segmentation import Segmentation, box_of
from ctatlas.volume.sources import ScanSource, safe_name, scans_in
from ctatlas.volume.writing import write, write_array_uint8, write_labels, write_mask, write_volume

__all__ = [
    "AS_IT_IS",
    "PADDING_HU",
    "Choices",
    "Grid",
    "ImagePlane",
    "LabelMap",
    "ScanFacts",
    "ScanSource",
    "Segmentation",
    "SliceFacts",
    "Turn",
    "Volume",
    "box_of",
    "not_hounsfield",
    "read",
    "read_labels",
    "safe_name",
    "scans_in",
    "turn_between",
    "whole_file",
    "write",
    "write_array_uint8",
    "write_labels",
    "write_mask",
    "write_volume",
]
