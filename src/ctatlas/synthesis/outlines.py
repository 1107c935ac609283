"""The skin around organs: a body outline where a label map has none, and what lies under the skin."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ctatlas.synthesis.tables import tissue_id


def in_outline(painted: np.ndarray, body: np.ndarray, spacing: float, fat_mm: float) -> np.ndarray:
    """Dress the painted inside in skin, fat and muscle that follow another body's outline."""
    depth = ndimage.distance_transform_edt(np.pad(body, ((1, 1), (1, 1), (0, 0))), sampling=(spacing, spacing, 100.0))[
        1:-1, 1:-1
    ]
    outside = np.isin(painted, [tissue_id(n) for n in ("air", "skin", "subcutaneous_fat", "table_foam", "table_shell")])
    out = np.where(
        outside, np.where(depth < fat_mm + 25, tissue_id("muscle"), tissue_id("visceral_fat")), painted
    ).astype(np.uint8)
    out[depth < fat_mm] = tissue_id("subcutaneous_fat")
    out[depth < 2.5] = tissue_id("skin")
    out[~body] = tissue_id("air")
    return out


def hull_of_slices(mask: np.ndarray, margin_mm: float, spacing_mm: float) -> np.ndarray:
    """Return a body outline around organs: every slice closed, filled and widened by `margin_mm`."""
    radius = round(60 / spacing_mm)
    pad = radius + round(margin_mm / spacing_mm)
    body = np.zeros_like(mask)
    for k in range(mask.shape[2]):
        wide = np.pad(mask[:, :, k], pad)
        if not wide.any():
            continue
        closed = ndimage.distance_transform_edt(~wide) <= radius
        closed = ndimage.distance_transform_edt(closed) > radius - margin_mm / spacing_mm
        body[:, :, k] = ndimage.binary_fill_holes(closed | wide)[pad:-pad, pad:-pad]
    return body
