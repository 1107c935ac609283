"""A model folder of nnU-Net run as nnU-Net runs it, to the last voxel, without its package.

`engine.predict_nnunet` strings the stages together: `prepare` (turn, crop, normalise, `resample`) → `logits` (windows
through the folds, summed in half precision) → `export` (back to the scan's grid). `windows` says where the network
looks. Networks and JSON files are read by `ctatlas.models.nnunet`.
"""

from ctatlas.inference.nnunet.engine import predict_nnunet
from ctatlas.inference.nnunet.logits import AS_NNUNET, Windowing

__all__ = ["AS_NNUNET", "Windowing", "predict_nnunet"]
