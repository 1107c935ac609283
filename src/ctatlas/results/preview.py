"""One picture of a segmentation: three planes through the structures, their outlines, and who is who."""

from __future__ import annotations

import io
from colorsys import hls_to_rgb, rgb_to_hls
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.anatomy import structures
from ctatlas.volume import box_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ctatlas.volume import Segmentation, Volume

# Soft tissue, as abdominal radiologists look at it: centre 40, width 400.
WINDOW_HU = (-160.0, 240.0)
# Indices grow toward the patient's left, back and feet, as rows and columns of a radiological picture do.
ORIENTATION = "LPI"
_NOTICE = "not for clinical use"
_AT_LEAST_LIGHT = 0.5
_LEGEND_COLUMNS = 8
INK, PAPER = "#e8e8e8", "#101010"


@dataclass(frozen=True, slots=True)
class Plane:
    """How one plane is cut out of an array in `ORIENTATION`, and what stands at its four edges.

    Attributes
    ----------
    axis : int
        The one looked along; the other two, in their order, are columns and rows.
    edges : (4,) str
        Letters at the left, right, top and bottom.
    """

    name: str
    axis: int
    edges: tuple[str, str, str, str]


# Radiological convention: the patient's right is at the left of the picture; a sagittal plane looks from the left side.
PLANES = (
    Plane("axial", 2, ("R", "L", "A", "P")),
    Plane("coronal", 1, ("R", "L", "S", "I")),
    Plane("sagittal", 0, ("A", "P", "S", "I")),
)


def preview(
    volume: Volume,
    segmentation: Segmentation,
    *,
    title: str = "",
    names: Mapping[str, str] | None = None,
) -> bytes:
    """Draw a scan with the outlines of its structures.

    Parameters
    ----------
    volume : Volume
    segmentation : Segmentation
        On the same grid, under canonical names. Structures without a voxel are left out.
    title : str, optional
    names : mapping of str to str, optional
        What to call structures in the legend; otherwise their display names.

    Returns
    -------
    bytes
        A PNG. The planes go through where most structures show much of themselves, voxels have their true proportions.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    scan, found = volume.reoriented(ORIENTATION), segmentation.reoriented(ORIENTATION)
    shown = [name for name, count in found.n_voxels().items() if count]
    at = best_planes(found)
    figure, axes = _panes(scan.grid.shape, scan.grid.spacing_mm, n_named=len(shown))
    for plane, pane in zip(PLANES, axes, strict=True):
        draw_plane(pane, plane, cut(scan.array, plane, at), pixel_mm(plane, scan))
    for number, name in enumerate(shown, start=1):
        mask = found.mask(name)
        for plane, pane in zip(PLANES, axes, strict=True):
            draw_outline(pane, cut(mask, plane, at), pixel_mm(plane, scan), str(number), color_on_black(name))
    draw_legend(figure, {(names or {}).get(name, _display_name(name)): color_on_black(name) for name in shown})
    figure.suptitle(title, color=INK, fontsize=11, x=0.01, ha="left")
    figure.text(0.99, 0.01, _NOTICE, color=INK, fontsize=8, ha="right", va="bottom")
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(picture, format="png", facecolor=PAPER, metadata={"Software": "ctatlas"})
    return picture.getvalue()


def best_planes(segmentation: Segmentation) -> tuple[int, int, int]:
    """Choose the index along each axis at which the structures together show most of themselves.

    Returns
    -------
    (3,) int
        Each structure counts by its area there as a share of its largest area along that axis, so that small structures
        weigh as much as large ones; square roots let many partly shown ones win over few at their largest. The middle
        of the grid when there is no voxel at all.
    """
    scores = [np.zeros(n) for n in segmentation.grid.shape]
    for name in segmentation.names:
        mask = segmentation.mask(name)
        if box := box_of(mask):
            for axis, extent in enumerate(box):
                areas = np.count_nonzero(mask[box], axis=tuple(other for other in range(3) if other != axis))
                scores[axis][extent] += np.sqrt(areas / areas.max())
    i, j, k = (int(score.argmax()) if score.any() else len(score) // 2 for score in scores)
    return i, j, k


def _panes(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], *, n_named: int
) -> tuple[Figure, list[Axes]]:
    """Lay out three panes side by side at one scale, above room for the legend."""
    from matplotlib.figure import Figure

    size_mm = np.multiply(shape, spacing_mm)
    widths, heights = zip(*(np.delete(size_mm, plane.axis) for plane in PLANES), strict=True)
    scale = 15.0 / sum(widths)  # inches a mm
    pane_height = float(np.clip(max(heights) * scale, 3.0, 10.0))
    top, bottom = 0.6, 0.35 + 0.19 * max(1, -(-n_named // _LEGEND_COLUMNS))  # inches
    height = pane_height + top + bottom
    figure = Figure(figsize=(15.6, height), dpi=100, facecolor=PAPER)
    grid = figure.add_gridspec(
        1, 3, width_ratios=widths, left=0.01, right=0.99, wspace=0.03, top=1 - top / height, bottom=bottom / height
    )
    return figure, [figure.add_subplot(grid[0, column]) for column in range(3)]


def pixel_mm(plane: Plane, scan: Volume) -> tuple[float, float]:
    """Return how far apart the columns and the rows of a plane are."""
    columns, rows = (mm for axis, mm in enumerate(scan.grid.spacing_mm) if axis != plane.axis)
    return columns, rows


def cut(array: np.ndarray, plane: Plane, at: tuple[int, int, int]) -> np.ndarray:
    """Return the (columns, rows) of one plane; a view, where numpy's `take` would copy the whole array."""
    everything: list[slice | int] = [slice(None)] * 3
    everything[plane.axis] = at[plane.axis]
    return array[tuple(everything)]


def draw_plane(pane: Axes, plane: Plane, values: np.ndarray, steps_mm: tuple[float, float]) -> None:
    """Draw the (columns, rows) HU of a plane in gray, with the letters of its sides."""
    columns_mm, rows_mm = steps_mm
    columns, rows = values.shape
    extent = (-columns_mm / 2, (columns - 0.5) * columns_mm, (rows - 0.5) * rows_mm, -rows_mm / 2)
    low, high = WINDOW_HU
    pane.imshow(values.T, cmap="gray", vmin=low, vmax=high, extent=extent, aspect="equal", interpolation="bilinear")
    pane.set_autoscale_on(False)
    pane.set_axis_off()
    left, right, top, bottom = plane.edges
    letters = {left: (0.02, 0.5), right: (0.98, 0.5), top: (0.5, 0.98), bottom: (0.5, 0.02)}
    align = {0.02: ("left", "bottom"), 0.5: ("center", "center"), 0.98: ("right", "top")}
    for letter, (x, y) in letters.items():
        pane.text(
            x, y, letter, transform=pane.transAxes, ha=align[x][0], va=align[y][1],
            color="#ffd24a", fontsize=12, fontweight="bold",
        )  # fmt: skip
    pane.set_title(plane.name, color=INK, fontsize=9, loc="left", pad=3)


def draw_outline(
    pane: Axes, mask: np.ndarray, steps_mm: tuple[float, float], number: str, color: tuple[float, float, float]
) -> None:
    """Draw around the (columns, rows) mask of a structure, and its number of the legend into it."""
    from matplotlib.patheffects import withStroke

    if not mask.any():
        return
    padded = np.pad(mask, 1).T  # so that an outline closes at the border too
    columns = (np.arange(padded.shape[1]) - 1) * steps_mm[0]
    rows = (np.arange(padded.shape[0]) - 1) * steps_mm[1]
    pane.contour(columns, rows, padded, levels=[0.5], colors=[color], linewidths=1.2)
    x, y = (float(at) for at in _inside(mask) * steps_mm)
    stroke = [withStroke(linewidth=1.8, foreground=PAPER)]
    pane.text(x, y, number, color=INK, fontsize=7, ha="center", va="center", path_effects=stroke, clip_on=True)


def _inside(mask: np.ndarray) -> np.ndarray:
    """Return the column and row of the mask that is nearest to its centre; the centre itself may lie outside of it."""
    places = np.argwhere(mask)
    nearest = np.square(places - places.mean(axis=0)).sum(axis=1).argmin()
    return np.asarray(places[nearest])


def draw_legend(
    figure: Figure, colors: Mapping[str, tuple[float, float, float]], *, columns: int = _LEGEND_COLUMNS
) -> None:
    """Say below the panes what each colour and number is, in as many columns as the figure has room for."""
    from matplotlib.lines import Line2D

    if not colors:
        figure.text(0.5, 0.03, "nothing found", color=INK, fontsize=12, ha="center")
        return
    lines = [
        Line2D([], [], color=color, linewidth=3, label=f"{number} {name}")
        for number, (name, color) in enumerate(colors.items(), start=1)
    ]
    figure.legend(
        handles=lines, loc="lower center", ncols=min(columns, len(lines)), bbox_to_anchor=(0.47, 0.0),
        frameon=False, labelcolor=INK, fontsize=8, columnspacing=1.2, handlelength=1.2,
    )  # fmt: skip


def color_on_black(name: str) -> tuple[float, float, float]:
    """Return a structure's colour as red, green, blue in [0, 1], lightened where it would drown in a dark picture."""
    red, green, blue = structures()[name].color if name in structures() else (255, 255, 255)
    hue, lightness, saturation = rgb_to_hls(red / 255, green / 255, blue / 255)
    return hls_to_rgb(hue, max(lightness, _AT_LEAST_LIGHT), saturation)


def _display_name(name: str) -> str:
    return structures()[name].display_name if name in structures() else name
