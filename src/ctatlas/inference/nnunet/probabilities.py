"""What nnU-Net leaves for its ensembles beside labels: `<case>.npz` with probabilities, `<case>.pkl` with geometry."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from ctatlas.atomic import whole_file
from ctatlas.inference.nnunet.export import Restored
from ctatlas.inference.nnunet.images import ReadCase
from ctatlas.inference.nnunet.prepare import Way
from ctatlas.models.nnunet import Dataset

_LPS = np.array([-1.0, -1.0, 1.0])


def probabilities(restored: Restored, dataset: Dataset) -> np.ndarray:
    """Return the probabilities (n, z, y, x) float32 on the scan's grid, all classes at once.

    Outside of the part that was not cropped away, all is background; of regions none is there.
    """
    way = restored.way
    whole = np.zeros((len(restored.logits), *way.shape), np.float32)
    if not dataset.has_regions:
        whole[0] = 1
    inside = whole[(slice(None), *way.box.slices)]
    for lo, hi in restored.slabs():
        inside[:, lo:hi] = restored.probabilities(lo, hi, dataset)
    return whole.transpose(0, *(1 + axis for axis in way.backward))


def write_probabilities(found: np.ndarray, case: ReadCase, way: Way, path: Path, *, nibabel: bool) -> None:
    """Write `<path>.npz` and `<path>.pkl`, which 'nnUNetv2_ensemble' reads.

    Source: nnU-Net inference/export_prediction.py.
    """
    with whole_file(path.with_name(f"{path.name}.npz")) as file:
        np.savez_compressed(file, probabilities=found)
    with whole_file(path.with_name(f"{path.name}.pkl")) as file:
        pickle.dump(_facts(case, way, nibabel=nibabel), file)


def _facts(case: ReadCase, way: Way, *, nibabel: bool) -> dict[str, object]:
    box = [[lo, hi] for lo, hi in zip(way.box.lo, way.box.hi, strict=True)]
    facts: dict[str, object] = {
        "spacing": list(case.spacing),
        "shape_before_cropping": tuple(way.shape),
        "bbox_used_for_cropping": box,
        "shape_after_cropping_and_before_resampling": tuple(hi - lo for lo, hi in box),
    }
    if nibabel:
        return facts | {
            "nibabel_stuff": {
                "original_affine": case.grid.affine.copy(),
                "reoriented_affine": case.turned.affine.copy(),
            }
        }
    spacing = np.array(case.grid.spacing_mm)
    direction = _LPS[:, None] * case.grid.affine[:3, :3] / spacing
    geometry = {
        "spacing": tuple(spacing.tolist()),
        "origin": tuple((_LPS * case.grid.affine[:3, 3]).tolist()),
        "direction": tuple(direction.ravel().tolist()),
    }
    return facts | {"sitk_stuff": geometry}
