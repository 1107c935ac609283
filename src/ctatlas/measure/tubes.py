"""clDice: whether the centre lines of tubes lie within one another, so whether vessels stay connected.

The skeleton is taken on the grid of voxels (Lee's thinning, of scikit-image) and knows no spacing: on thick slices it
runs in steps, and a value says less. A solid blob has a skeleton, too, without a meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.errors import InstallError
from ctatlas.measure.counts import ratio
from ctatlas.measure.metrics import Metric
from ctatlas.measure.pair import Pair

if TYPE_CHECKING:
    from ctatlas.measure.presets import Values


def measured(
    pair: Pair, wanted: Sequence[Metric], _tolerances_mm: Sequence[float], *, zero_is_undefined: bool = False
) -> Values:
    """Measure clDice: the family has one metric.

    Parameters
    ----------
    pair, wanted
        As every family of metrics.
    zero_is_undefined : bool
        Give no value where neither line meets the other mask. Source: MetricsReloaded, which divides 0 by 0.

    Raises
    ------
    InstallError
        When scikit-image is not installed.
    """
    value = cldice(pair.gt, pair.pred)
    value = None if zero_is_undefined and not value else value
    return {(metric.name, None): value for metric in wanted}


def cldice(gt: np.ndarray, pred: np.ndarray) -> float | None:
    """Return the harmonic mean of the shares of each centre line that lie within the other mask.

    Parameters
    ----------
    gt, pred : (i, j, k) or (i, j) bool

    Returns
    -------
    float or None
        In [0, 1]; 0 where neither line meets the other mask; None where a mask has no line: thinning leaves nothing of
        an empty one, and of some solid blocks.

    Raises
    ------
    InstallError
        When scikit-image is not installed.

    Notes
    -----
    Source: Shit et al. 2021.
    """
    if not (gt.any() and pred.any()):
        return None
    sensitivity, precision = _share_within(skeleton(gt), pred), _share_within(skeleton(pred), gt)
    if sensitivity is None or precision is None:
        return None
    return ratio(2 * precision * sensitivity, precision + sensitivity) or 0.0


def skeleton(mask: np.ndarray) -> np.ndarray:
    """Return the centre line of a mask, one voxel wide, bool."""
    try:
        from skimage.morphology import skeletonize
    except ModuleNotFoundError as error:
        raise InstallError("clDice needs scikit-image: pip install 'ctatlas[measure]'.") from error
    return np.asarray(skeletonize(np.ascontiguousarray(mask)), bool)


def _share_within(line: np.ndarray, mask: np.ndarray) -> float | None:
    return ratio(int(np.count_nonzero(line & mask)), int(np.count_nonzero(line)))
