"""What a person gets for one scan.

`naming` decides which structures and what they are called, `preview` draws them, `objects` makes DICOM and Slicer files
of them, `folder` writes masks, numbers and all that.
"""

from ctatlas.results.folder import NOTICE, Extras, Found, expected_bytes, expected_files, write_results
from ctatlas.results.naming import Naming, name_outputs
from ctatlas.results.objects import Origin, check_objects, no_images

__all__ = [
    "NOTICE",
    "Extras",
    "Found",
    "Naming",
    "Origin",
    "check_objects",
    "expected_bytes",
    "expected_files",
    "name_outputs",
    "no_images",
    "write_results",
]
