"""How far two surfaces lie apart: NSD, Hausdorff distances, mean distances and overlaps of surface elements.

Every surface element has an area and a distance to the nearest element of the other surface. What is summed are areas
by distance, so that any tolerance and percentile follows from one small table, and neither the order of the elements
nor which axis comes first changes a bit. Source: Nikolov et al. 2021 and their surface-distance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.kernels.distances import nearest_mm
from ctatlas.kernels.surfel_areas import areas_mm2, lengths_mm
from ctatlas.kernels.surfels import Surfels
from ctatlas.measure.layers import Layer, Layout
from ctatlas.measure.metrics import Metric

if TYPE_CHECKING:
    from ctatlas.measure.pair import Pair
    from ctatlas.measure.presets import Values


ROUNDING = 1e-9  # of a distance: lengths closer than that are one length, rounded differently


@dataclass(frozen=True, slots=True, eq=False)
class Directed:
    """How far one surface lies from another.

    Attributes
    ----------
    distances_mm : (n,) float64
        Every distance that occurs, ascending; infinite when there is no other surface.
    areas : (n,) float64
        How much of the surface lies at each, in mm2; of a contour in a picture, in mm.
    """

    distances_mm: np.ndarray
    areas: np.ndarray

    @property
    def area(self) -> float:
        """The whole surface."""
        return float(self.areas.sum())

    def area_within(self, tolerance_mm: float) -> float:
        """Return how much of it lies at most so far away."""
        return float(self.areas[: np.searchsorted(self.distances_mm, tolerance_mm, side="right")].sum())

    def moment(self) -> float:
        """Return the sum of area times distance."""
        return float((self.areas * self.distances_mm).sum())

    def distance_of_share_mm(self, percent: float) -> float:
        """Return the distance within which so much of the surface lies; nan when there is none."""
        if not len(self.areas):
            return math.nan
        at = int(np.searchsorted(np.cumsum(self.areas) / self.area, percent / 100))
        return float(self.distances_mm[min(at, len(self.areas) - 1)])


@dataclass(frozen=True, slots=True)
class SurfaceDistances:
    """Both directions between a reference and a prediction."""

    gt_to_pred: Directed
    pred_to_gt: Directed

    def rounded(self) -> SurfaceDistances:
        """Return the same with distances in float32."""
        ways = (self.gt_to_pred, self.pred_to_gt)
        return SurfaceDistances(*(Directed(way.distances_mm.astype(np.float32), way.areas) for way in ways))

    def nsd(self, tolerance_mm: float) -> float:
        """Return the share of both surfaces within the tolerance of the other one; nan when there is neither."""
        within = self.gt_to_pred.area_within(tolerance_mm) + self.pred_to_gt.area_within(tolerance_mm)
        return _ratio(within, self.gt_to_pred.area + self.pred_to_gt.area)

    def surface_overlap_gt(self, tolerance_mm: float) -> float:
        """Return the share of the reference surface within the tolerance of the prediction; nan when there is none."""
        return _ratio(self.gt_to_pred.area_within(tolerance_mm), self.gt_to_pred.area)

    def surface_overlap_pred(self, tolerance_mm: float) -> float:
        """Return the share of the predicted surface within the tolerance of the reference; nan when there is none."""
        return _ratio(self.pred_to_gt.area_within(tolerance_mm), self.pred_to_gt.area)

    def hausdorff_mm(self, percent: float = 100) -> float:
        """Return the distance within which so much of each surface lies from the other one, the larger of the two."""
        ways = (self.gt_to_pred, self.pred_to_gt)
        return max((way.distance_of_share_mm(percent) for way in ways if len(way.areas)), default=math.nan)

    def asd_gt_to_pred_mm(self) -> float:
        """Return the mean distance of the reference surface from the prediction."""
        return _ratio(self.gt_to_pred.moment(), self.gt_to_pred.area)

    def asd_pred_to_gt_mm(self) -> float:
        """Return the mean distance of the predicted surface from the reference."""
        return _ratio(self.pred_to_gt.moment(), self.pred_to_gt.area)

    def assd_mm(self) -> float:
        """Return the mean distance over both surfaces together."""
        moment = self.gt_to_pred.moment() + self.pred_to_gt.moment()
        return _ratio(moment, self.gt_to_pred.area + self.pred_to_gt.area)

    def masd_mm(self) -> float:
        """Return the mean of the two directed mean distances."""
        return (self.asd_gt_to_pred_mm() + self.asd_pred_to_gt_mm()) / 2

    def tie_share(self, tolerance_mm: float) -> float:
        """Return the share of both surfaces at the tolerance but for rounding, which decides whether it is within.

        Notes
        -----
        3 voxels of 0.8 mm are 2.4000000000000004 mm in float64, more than a tolerance of 2.4 mm. A comparison is made
        as it stands, as surface-distance makes it; where this share is large another tolerance says more. What lies at
        the tolerance to the last bit, such as a voxel of 1 mm at 1 mm, is within it and counts for nothing here.
        """
        slack = ROUNDING * max(1.0, tolerance_mm)
        at = 0.0
        for way in (self.gt_to_pred, self.pred_to_gt):
            beyond = np.abs(way.distances_mm - tolerance_mm)
            at += float(way.areas[(beyond > 0) & (beyond <= slack)].sum())
        return _ratio(at, self.gt_to_pred.area + self.pred_to_gt.area)


# Source of all formulas: metrics.csv
SURFACE_METRICS: Mapping[str, Callable[[SurfaceDistances, float], float]] = MappingProxyType(
    {
        "nsd": SurfaceDistances.nsd,
        "surface_overlap_gt": SurfaceDistances.surface_overlap_gt,
        "surface_overlap_pred": SurfaceDistances.surface_overlap_pred,
        "tie_share": SurfaceDistances.tie_share,
        "hd": lambda surfaces, _: surfaces.hausdorff_mm(),
        "hd95": lambda surfaces, _: surfaces.hausdorff_mm(95),
        "assd": lambda surfaces, _: surfaces.assd_mm(),
        "masd": lambda surfaces, _: surfaces.masd_mm(),
        "asd_gt_to_pred": lambda surfaces, _: surfaces.asd_gt_to_pred_mm(),
        "asd_pred_to_gt": lambda surfaces, _: surfaces.asd_pred_to_gt_mm(),
    }
)


def measured(
    pair: Pair,
    wanted: Sequence[Metric],
    tolerances_mm: Sequence[float],
    *,
    is_single: bool = False,
    slack: float = 0.0,
) -> Values:
    """Measure by surface elements: a family of metrics.

    Parameters
    ----------
    pair, wanted, tolerances_mm
        As every family of metrics.
    is_single : bool
        Compare distances with the tolerance in float32. Source: MONAI `SurfaceDiceMetric`, `use_subvoxels=True`.
    slack : float
        Of the tolerance, within which what lies beyond it lies there by rounding alone.

    Returns
    -------
    mapping
        (metric, tolerance) -> value; None where a distance is to nothing or nothing is divided by nothing.
    """
    surfaces = pair.surfaces().rounded() if is_single else pair.surfaces()
    values: dict[tuple[str, float | None], float | None] = {}
    for metric in wanted:
        for tolerance in tolerances_mm if metric.takes_tolerance else (None,):
            within = float(np.float32(tolerance or 0.0)) if is_single else (tolerance or 0.0) * (1 + slack)
            value = SURFACE_METRICS[metric.name](surfaces, within)
            values[metric.name, tolerance] = value if math.isfinite(value) else None
    return values


@dataclass(frozen=True, slots=True)
class SurfelPair:
    """The surface elements of a structure in the reference and in the prediction, and how both images were laid out."""

    gt: Surfels
    pred: Surfels
    layout: Layout


def surfels_of_masks(gt: np.ndarray, pred: np.ndarray) -> SurfelPair:
    """Find the surface elements of two masks, (i, j, k) or (i, j) bool, of one shape."""
    layout = Layout.of(gt)
    one, other = (Layer(layout.laid(mask).view(np.uint8), {1: 1}, layout.flat).surfels[1] for mask in (gt, pred))
    return SurfelPair(one, other, layout)


def surface_distances(pair: SurfelPair, spacing_mm: Sequence[float]) -> SurfaceDistances:
    """Measure how far two surfaces lie apart.

    Parameters
    ----------
    pair : SurfelPair
    spacing_mm : (3,) or (2,) float
        Along the axes of the image.
    """
    along = pair.layout.laid_spacing(spacing_mm)
    area_of = lengths_mm(along[1:]) if pair.layout.flat else areas_mm2(along)
    gt, pred = pair.gt.corners(), pair.pred.corners()
    ways = []
    for codes, own, other in ((pair.gt.codes, gt, pred), (pair.pred.codes, pred, gt)):
        distances = (
            nearest_mm(own, other, along, turned=pair.layout.turned) if len(other) else np.full(len(own), np.inf)
        )
        ways.append(_summed(distances, codes, area_of))
    return SurfaceDistances(*ways)


def _summed(distances_mm: np.ndarray, codes: np.ndarray, area_of: np.ndarray) -> Directed:
    """Sum areas by distance. Elements of one distance and area are counted first, so no order is left to matter."""
    sizes, size_of = np.unique(area_of, return_inverse=True)
    kinds = size_of.astype(np.uint8)[codes]
    apart = distances_mm > 0  # in a good prediction most are not
    values = np.unique(distances_mm[apart])
    places = np.searchsorted(values, distances_mm[apart]) + 1
    counts = np.bincount(places * len(sizes) + kinds[apart], minlength=(len(values) + 1) * len(sizes))
    counts[: len(sizes)] = np.bincount(kinds[~apart], minlength=len(sizes))
    areas = (counts.reshape(-1, len(sizes)) * sizes).sum(axis=1)
    there = areas > 0
    return Directed(np.concatenate([[0.0], values])[there], areas[there])


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
