"""A volume and a model → a segmentation.

`engine.infer` strings the stages together: `calibrated` (body, lungs, airway, without learning) → `prepare` (crop,
resample, normalise) → `predict` (windows through the network) → `restore` (back to the scan's grid, slab by slab) →
`decide` (structures), and on request `certainty` (probabilities, entropy). `route` is the way between both grids,
`windows` where the network looks, `view` how it is shown the scan.
"""

from ctatlas.inference.certainty import NetworkMaps
from ctatlas.inference.engine import Inferred, infer, infer_within
from ctatlas.inference.view import AS_ITS_CARD_SAYS, View, mirrored_channels

__all__ = ["AS_ITS_CARD_SAYS", "Inferred", "NetworkMaps", "View", "infer", "infer_within", "mirrored_channels"]
