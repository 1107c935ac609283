"""A volume and a model → a segmentation.

`engine.infer` strings the stages together: `calibrated` (body, lungs, airway, without learning) → `prepare` (crop,
resample, normalise) → `predict` (windows through the network) → `restore` (back to the scan's grid, slab by slab) →
`decide` (structures), and on request `certainty` (probabilities, entropy). `route` is the way between both grids,
`windows` where the network looks.
"""

from ctatlas.inference.engine import Inferred, infer, infer_within

__all__ = ["Inferred", "infer", "infer_within"]
