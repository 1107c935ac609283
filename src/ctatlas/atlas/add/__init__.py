"""Take scans and the labels that came with them into an atlas.

`layouts` list what a source holds (`found`), by `names` that belong together and what is known of public `datasets` →
`known` says what the atlas has already → `intake` reads one case (`identity`, `originals`, `given`, `fingerprint`) and
writes it beside the atlas's cases → `joining` puts it among them whole, unless it is a copy. `adding` does it for many.
"""

from ctatlas.atlas.add.adding import Plan, Wish, add_cases, clear_stages, plan, write_datasets
from ctatlas.atlas.add.found import Ask, Fault, Found, Listing
from ctatlas.atlas.add.intake import Manners
from ctatlas.atlas.add.joining import Added
from ctatlas.atlas.add.known import Known, known_to, origin_of
from ctatlas.atlas.add.layouts import LAYOUTS, listed

__all__ = [
    "LAYOUTS",
    "Added",
    "Ask",
    "Fault",
    "Found",
    "Known",
    "Listing",
    "Manners",
    "Plan",
    "Wish",
    "add_cases",
    "clear_stages",
    "known_to",
    "listed",
    "origin_of",
    "plan",
    "write_datasets",
]
