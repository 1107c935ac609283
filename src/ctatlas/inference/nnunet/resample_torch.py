"""Resampling as plans named `…_torchres` ask for it: torch's linear interpolation, apart along a much coarser axis.

Source: nnU-Net `resample_torch_fornnunet`, as recorded; checked against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import interpolate

if TYPE_CHECKING:
    from ctatlas.models.nnunet import Resampling

Shape = tuple[int, ...]
_MODES = {2: "bilinear", 3: "trilinear"}
_SCALE, _SURE = 1000, 700  # of masks in half precision; from where on no other label is asked


def resample_torch(array: np.ndarray, shape: Shape, apart: int | None) -> np.ndarray:
    """Bring channels (c, z, y, x) to another shape, float32; along the axis `apart` by the nearest voxel."""
    data = torch.from_numpy(np.ascontiguousarray(array)).float()
    if apart is None:
        return _linear(data, shape).numpy()
    flat = [size for axis, size in enumerate(shape) if axis != apart]
    sheets = data.movedim(1 + apart, 1)  # (c, n, …)
    planes = _linear(sheets.flatten(0, 1), tuple(flat)).reshape(*sheets.shape[:2], *flat)
    return interpolate(planes.movedim(1, 1 + apart)[None], shape, mode="nearest-exact")[0].numpy()


def resample_labels_torch(labels: np.ndarray, shape: Shape, how: Resampling, apart: int | None) -> np.ndarray:
    """Bring a label map (z, y, x) to another shape, label by label."""
    found = np.zeros(shape, labels.dtype)
    sure = np.zeros(shape, np.bool_)
    values = np.unique(labels)
    shares = []
    for value in values:
        mask = (labels == value)[None].astype(np.float32)
        if how.memefficient_seg_resampling:
            found[resample_torch(mask, shape, apart)[0] > 0.5] = value
            continue
        shares.append(resample_torch(mask * _SCALE, shape, apart)[0].astype(np.float16))
        found[shares[-1] > _SURE] = value
        sure |= shares[-1] > _SURE
    if shares and not sure.all():
        found[~sure] = values[np.stack([share[~sure] for share in shares]).argmax(0)]
    return found


def _linear(data: torch.Tensor, shape: Shape) -> torch.Tensor:
    """(n, …) → (n, *shape)."""
    return interpolate(data[None], shape, mode=_MODES[len(shape)], align_corners=False, antialias=False)[0]
