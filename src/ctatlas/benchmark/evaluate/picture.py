"""One picture of a structure: the outlines of reference and prediction where they differ most, in three planes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.benchmark.evaluate.case import CasePair, Measuring, read_reference
from ctatlas.benchmark.evaluate.geometry import on_one_grid
from ctatlas.benchmark.evaluate.matching import matched, put_together
from ctatlas.benchmark.evaluate.reading import read_masks
from ctatlas.errors import CtatlasError, ScanError
from ctatlas.results import NOTICE
from ctatlas.results.preview import INK, ORIENTATION, PAPER, PLANES, Plane, cut, draw_plane
from ctatlas.volume import box_of, read

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ctatlas.volume import Grid

# Green and magenta differ in lightness, too, for whoever sees colours differently.
# Source: reference/metrics-benchmark.md §6.
OF_REFERENCE, OF_PREDICTION = "#3ddc84", "#ff5ccd"
_MARGIN_MM = 25.0
_AT_LEAST_MM = 60.0  # of every side of the part that is shown
_NO_SCAN_HU = -400.0  # a dark gray, where there is no scan
_BAR_MM = 20.0


@dataclass(frozen=True, slots=True)
class Shown:
    """One structure in both sides, its scan where that is known, all in the order of axes of pictures.

    Attributes
    ----------
    gt, pred : (i, j, k) bool
    hu : (i, j, k) or None
    spacing_mm : tuple of float
    """

    gt: np.ndarray
    pred: np.ndarray
    hu: np.ndarray | None
    spacing_mm: tuple[float, float, float]

    @property
    def at(self) -> tuple[int, int, int]:
        """The slice along each axis in which the two differ most."""
        wrong = self.gt ^ self.pred
        wrong = wrong if wrong.any() else self.gt | self.pred
        i, j, k = (int(wrong.sum(axis=tuple({0, 1, 2} - {axis})).argmax()) for axis in range(3))
        return i, j, k


def read_shown(pair: CasePair, structure: str, measuring: Measuring) -> Shown:
    """Read what a picture of a structure needs, as it was measured.

    Raises
    ------
    ScanError
        When it can't be read; the scan alone is left out where that can't.
    """
    if pair.pred is None:
        raise ScanError(f"{pair.case}: has no prediction")
    gt = read_reference(pair, measuring)
    pred = read_masks(pair.pred, measuring.pred_label_set, gt.segmentation.grid)
    has_part = gt.has_part or pred.has_part
    placed = on_one_grid(gt.segmentation, pred.segmentation, has_part=has_part, resample=measuring.resample)
    match = matched(gt.told, pred.told, (structure,))
    sides = [put_together(placed.gt, match.gt_parts), put_together(placed.pred, match.pred_parts)]
    one, other = (side.select([structure]).reoriented(ORIENTATION) for side in sides)
    return Shown(one.mask(structure), other.mask(structure), _hu_on(pair.gt.ct, one.grid), one.grid.spacing_mm)


def draw(shown: Shown, title: str) -> bytes:
    """Draw the two masks, and behind them the scan, if there is one.

    Returns
    -------
    bytes
        A PNG: an axial, a coronal and a sagittal plane, each where the two differ most.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    at = shown.at
    part = _part(shown)
    sizes = [tuple(mm for axis, mm in enumerate(_size_mm(part, shown)) if axis != plane.axis) for plane in PLANES]
    height = float(np.clip(12.0 / sum(width / high for width, high in sizes), 2.5, 5.0))
    figure = Figure(figsize=(13.0, height + 0.9), dpi=100, facecolor=PAPER)
    grid = figure.add_gridspec(
        1, 3, width_ratios=[width / high for width, high in sizes],
        left=0.01, right=0.99, wspace=0.03, top=1 - 0.6 / (height + 0.9), bottom=0.35 / (height + 0.9),
    )  # fmt: skip
    for column, plane in enumerate(PLANES):
        _draw_pane(figure.add_subplot(grid[0, column]), plane, shown, part, at)
    lines = [
        Line2D([], [], color=OF_REFERENCE, linewidth=2.5, label="reference"),
        Line2D([], [], color=OF_PREDICTION, linewidth=2.5, label="prediction"),
    ]
    figure.legend(
        handles=lines, loc="lower left", ncols=2, frameon=False, labelcolor=INK, fontsize=9, bbox_to_anchor=(0.0, -0.01)
    )
    figure.suptitle(title, color=INK, fontsize=11, x=0.01, ha="left")
    figure.text(0.99, 0.015, NOTICE, color=INK, fontsize=8, ha="right", va="bottom")
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(picture, format="png", facecolor=PAPER, metadata={"Software": "ctatlas"})
    return picture.getvalue()


def _draw_pane(
    pane: Axes, plane: Plane, shown: Shown, part: tuple[slice, slice, slice], at: tuple[int, int, int]
) -> None:
    steps = [mm for axis, mm in enumerate(shown.spacing_mm) if axis != plane.axis]
    inside = tuple(extent for axis, extent in enumerate(part) if axis != plane.axis)
    gt, pred = (cut(mask, plane, at)[inside] for mask in (shown.gt, shown.pred))
    values = np.full(gt.shape, _NO_SCAN_HU) if shown.hu is None else cut(shown.hu, plane, at)[inside]
    draw_plane(pane, plane, values, (steps[0], steps[1]))
    n = shown.gt.shape[plane.axis]
    area_cm2 = float((gt ^ pred).sum()) * steps[0] * steps[1] / 100
    pane.set_title(
        f"{plane.name}, slice {at[plane.axis] + 1} of {n}: {area_cm2:.1f} cm² differ",
        color=INK,
        fontsize=9,
        loc="left",
        pad=3,
    )
    for mask, color, width in ((gt, OF_REFERENCE, 2.6), (pred, OF_PREDICTION, 1.2)):
        if mask.any():
            padded = np.pad(mask, 1).T
            columns, rows = ((np.arange(n) - 1) * step for n, step in zip(padded.shape[::-1], steps, strict=True))
            pane.contour(columns, rows, padded, levels=[0.5], colors=[color], linewidths=width)
    _draw_bar(pane)


def _draw_bar(pane: Axes) -> None:
    """Draw how long 20 mm are."""
    from matplotlib.patheffects import withStroke

    left, right = pane.get_xlim()
    bottom, top = pane.get_ylim()
    x, y = right - 0.05 * (right - left) - _BAR_MM, bottom + 0.06 * (top - bottom)
    stroke = [withStroke(linewidth=3.5, foreground=PAPER)]
    pane.plot([x, x + _BAR_MM], [y, y], color=INK, linewidth=2, path_effects=stroke)
    label = f"{_BAR_MM:g} mm"
    pane.text(x + _BAR_MM / 2, y, label, color=INK, fontsize=7, ha="center", va="bottom", path_effects=stroke)


def _part(shown: Shown) -> tuple[slice, slice, slice]:
    """Return the box around both masks that is shown, with a margin."""
    box = box_of(shown.gt | shown.pred)
    if box is None:
        raise ScanError("neither mask has a voxel")
    found = []
    for extent, mm, n in zip(box, shown.spacing_mm, shown.gt.shape, strict=True):
        wanted_mm = max(_AT_LEAST_MM, (extent.stop - extent.start) * mm + 2 * _MARGIN_MM)
        middle, half = (extent.start + extent.stop) / 2, wanted_mm / mm / 2
        found.append(slice(max(0, int(middle - half)), min(n, int(np.ceil(middle + half)))))
    i, j, k = found
    return i, j, k


def _size_mm(part: tuple[slice, slice, slice], shown: Shown) -> list[float]:
    return [(extent.stop - extent.start) * mm for extent, mm in zip(part, shown.spacing_mm, strict=True)]


def _hu_on(ct: Path | None, grid: Grid) -> np.ndarray | None:
    """Read a scan that lies on the masks' voxels; without one the outlines stand alone."""
    if ct is None:
        return None
    try:
        scan = read(ct).reoriented(ORIENTATION)
    except CtatlasError:
        return None
    return scan.array if scan.grid.is_like(grid) else None
