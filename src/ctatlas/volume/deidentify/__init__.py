"""Take out of scans and masks who they are of, so that they can be shared.

The way of a file: `places` finds and plans → `refusals` says what can't be made safe → `elements` walks a DICOM data
set by the tables of `profile`, with `dates`, `codes`, `vocabulary` and `labels` for what may stay → `markers` says in
the file what was done → `dicom` and `images` (NIfTI, NRRD, MetaImage) read and write → `record` says it in a table.
`key` makes pseudonyms that only its owner can make again, `naming` the names of files from them; `scan` does one scan
whole or not at all.

What stays is what is known to be harmless, not what is not known to be harmful: an attribute stays only if the object's
definition has it, and a text only if `vocabulary.csv` has it.
"""

from ctatlas.volume.deidentify.elements import deidentify_dataset
from ctatlas.volume.deidentify.key import Key, key_in, passing_key
from ctatlas.volume.deidentify.places import Plan, plan
from ctatlas.volume.deidentify.record import LOG, Refused, Report, Written
from ctatlas.volume.deidentify.run import carry_out, check_places, deidentify
from ctatlas.volume.deidentify.scan import ScanRecord, deidentify_scan

__all__ = [
    "LOG",
    "Key",
    "Plan",
    "Refused",
    "Report",
    "ScanRecord",
    "Written",
    "carry_out",
    "check_places",
    "deidentify",
    "deidentify_dataset",
    "deidentify_scan",
    "key_in",
    "passing_key",
    "plan",
]
