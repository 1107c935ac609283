"""A volume and a model → a segmentation.

`engine.infer` strings the stages together: `calibrated` (body, lungs, airway, without learning) → `prepare` (crop,
resample, normalise) → `predict` (windows through the network) → `restore` (back to the scan's grid, slab by slab) →
`decide` (structures), and on request `certainty` (probabilities, entropy). `route` is the way between both grids,
`windows` where the network looks, `view` how it is shown the scan.

Several models look at one `scene`, where each finds what was resampled before; `joint` says which of them speaks of
what, `together` takes the mean of what they say.
"""

from ctatlas.inference.certainty import MapsWhenAsked, NetworkMaps
from ctatlas.inference.engine import Inferred, infer, infer_within
from ctatlas.inference.joint import Joint, joint, listed
from ctatlas.inference.scene import Scene
from ctatlas.inference.together import Together, infer_together, most_of
from ctatlas.inference.view import AS_ITS_CARD_SAYS, View, mirrored_channels

__all__ = [
    "AS_ITS_CARD_SAYS",
    "Inferred",
    "Joint",
    "MapsWhenAsked",
    "NetworkMaps",
    "Scene",
    "Together",
    "View",
    "infer",
    "infer_together",
    "infer_within",
    "joint",
    "listed",
    "mirrored_channels",
    "most_of",
]
