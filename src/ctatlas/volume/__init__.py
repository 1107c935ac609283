"""Scans and segmentations on grids, read from and written to files.

The way of the data: `sources` lists the scans of a place (`listing` those of a folder), `opening` makes a folder of an
archive (`archives`), `choices` is what a person decided, `reading` looks at a file's content and picks a reader of
`formats` → `Volume` (HU on a `Grid`, with `ScanFacts`) → … → `Segmentation` → `writing`, whole or not at all;
`reading_masks` is the way back in. `orientation` names and turns axes, `hounsfield` keeps and judges values,
`limits` says what no file may claim.
"""

from ctatlas.atomic import whole_file
from ctatlas.volume.choices import AS_IT_IS, NOTHING_KNOWN, Choices, MaskChoices
from ctatlas.volume.formats.nifti import read_labels
from ctatlas.volume.formats.voxels import LabelMap
from ctatlas.volume.grid import Grid
from ctatlas.volume.hounsfield import PADDING_HU, not_hounsfield
from ctatlas.volume.listing import files_of
from ctatlas.volume.names import safe_name
from ctatlas.volume.opening import opened
from ctatlas.volume.orientation import Turn, turn_between
from ctatlas.volume.reading import read
from ctatlas.volume.reading_masks import read_segmentation, segmentation_kind
from ctatlas.volume.scan import ImagePlane, ScanFacts, SliceFacts, Volume
from ctatlas.volume.segmentation import Segmentation, box_of
from ctatlas.volume.sources import ScanSource, case_name, scans_in
from ctatlas.volume.writing import write, write_array_uint8, write_labels, write_mask, write_structure, write_volume

__all__ = [
    "AS_IT_IS",
    "NOTHING_KNOWN",
    "PADDING_HU",
    "Choices",
    "Grid",
    "ImagePlane",
    "LabelMap",
    "MaskChoices",
    "ScanFacts",
    "ScanSource",
    "Segmentation",
    "SliceFacts",
    "Turn",
    "Volume",
    "box_of",
    "case_name",
    "files_of",
    "not_hounsfield",
    "opened",
    "read",
    "read_labels",
    "read_segmentation",
    "safe_name",
    "scans_in",
    "segmentation_kind",
    "turn_between",
    "whole_file",
    "write",
    "write_array_uint8",
    "write_labels",
    "write_mask",
    "write_structure",
    "write_volume",
]
