"""Structures of the body and the label sets that number them: tables, and the little code that reads them.

structures  one row a structure: names, side, parts, codes, colour, plausible volumes
label_sets  id → structure for a dataset or a model
label_files label sets that others keep in JSON files: nnU-Net, AutoOrgan, our own
nesting     what lies in what, and what may share voxels
conversion  from one label set to another
data/       the tables themselves, with a README
"""

from ctatlas.anatomy.conversion import Conversion, convert
from ctatlas.anatomy.label_files import read_label_set
from ctatlas.anatomy.label_sets import LabelSet, label_set, label_set_names
from ctatlas.anatomy.nesting import ancestors, holders, may_share_voxels
from ctatlas.anatomy.structures import (
    Structure,
    canonical_name,
    made_of,
    smallest_parts,
    structure_called,
    structures,
)

__all__ = [
    "Conversion",
    "LabelSet",
    "Structure",
    "ancestors",
    "canonical_name",
    "convert",
    "holders",
    "label_set",
    "label_set_names",
    "made_of",
    "may_share_voxels",
    "read_label_set",
    "smallest_parts",
    "structure_called",
    "structures",
]
