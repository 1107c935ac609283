"""A case before and after its correction, side by side: outlines, the truth, and where the attention was."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.results import preview
from ctatlas.volume import Segmentation, Volume

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_AXIAL, _CORONAL, _ = preview.PLANES
_LEGEND_COLUMNS = 5  # names of thirty letters stay within the picture


@dataclass(frozen=True, slots=True, eq=False)
class Pictured:
    """What is drawn, all on the scan's grid.

    Attributes
    ----------
    structures : sequence of str
        Those that were corrected.
    attention : (i, j, k) uint8
        Their maps, the highest value of all.
    """

    title: str
    scan: Volume
    structures: Sequence[str]
    before: Segmentation
    after: Segmentation
    truth: Segmentation
    attention: np.ndarray


def picture(shown: Pictured) -> bytes:
    """Draw a coronal and an axial plane, before above after, where most was changed; return a PNG.

    The patient's right is at the left of the picture. Outlines are in the structures' colours, the truth is dashed, the
    attention glows in the upper row.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scan = shown.scan.reoriented(preview.ORIENTATION)
    before, after = shown.before.reoriented(preview.ORIENTATION), shown.after.reoriented(preview.ORIENTATION)
    truth = shown.truth.reoriented(preview.ORIENTATION)
    heat = _turned(shown)
    at = _most_changed(before, after, shown.structures)
    figure = Figure(figsize=(11.0, 10.4), dpi=100, facecolor=preview.PAPER)
    panes = figure.subplots(2, 2)
    for row, (masks, says) in enumerate(((before, "before"), (after, "after"))):
        for pane, plane in zip(panes[row], (_CORONAL, _AXIAL), strict=True):
            mm = preview.pixel_mm(plane, scan)
            preview.draw_plane(pane, plane, preview.cut(scan.array, plane, at), mm)
            pane.set_title(f"{says}, {plane.name}", color=preview.INK, fontsize=10, loc="left", pad=3)
            if says == "before":
                _glow(pane, preview.cut(heat, plane, at), mm)
            for name in shown.structures:
                number = str(shown.structures.index(name) + 1)
                color = preview.color_on_black(name)
                preview.draw_outline(pane, preview.cut(masks.mask(name), plane, at), mm, number, color)
                _dash(pane, preview.cut(truth.mask(name), plane, at), mm)
    colors = {name: preview.color_on_black(name) for name in shown.structures}
    preview.draw_legend(figure, colors, columns=_LEGEND_COLUMNS)
    figure.suptitle(shown.title, color=preview.INK, fontsize=11, x=0.01, ha="left")
    figure.subplots_adjust(left=0.01, right=0.99, top=0.93, bottom=0.08, wspace=0.02, hspace=0.08)
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(
        content, format="png", facecolor=preview.PAPER, metadata={"Software": "ctatlas"}
    )
    return content.getvalue()


def _turned(shown: Pictured) -> np.ndarray:
    """Return the attention in the orientation of pictures."""
    return Volume(shown.attention.astype(np.int16), shown.scan.grid).reoriented(preview.ORIENTATION).array


def _most_changed(before: Segmentation, after: Segmentation, names: Sequence[str]) -> tuple[int, int, int]:
    """Return the index along each axis at which corrections changed most voxels."""
    changed = np.zeros(before.grid.shape, np.uint8)
    for name in names:
        changed += before.mask(name) != after.mask(name)
    i, j, k = (int(changed.sum(axis=tuple({0, 1, 2} - {axis})).argmax()) for axis in range(3))
    return i, j, k


def _glow(pane: Axes, heat: np.ndarray, mm: tuple[float, float]) -> None:
    values = np.ma.masked_equal(heat.T, 0)
    columns, rows = heat.shape
    extent = (-mm[0] / 2, (columns - 0.5) * mm[0], (rows - 0.5) * mm[1], -mm[1] / 2)
    pane.imshow(values, cmap="autumn", vmin=0, vmax=255, alpha=0.45, extent=extent, aspect="equal")


def _dash(pane: Axes, mask: np.ndarray, mm: tuple[float, float]) -> None:
    if not mask.any():
        return
    padded = np.pad(mask, 1).T
    columns, rows = ((np.arange(n) - 1) * step for n, step in zip(padded.shape[::-1], mm, strict=True))
    pane.contour(columns, rows, padded, levels=[0.5], colors="white", linewidths=0.9, linestyles="dashed")
