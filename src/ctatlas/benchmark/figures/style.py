"""One look for all figures: colours that colour-blind readers tell apart, plain axes, SVG and PNG."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GREY, PALE = "#222222", "#8a8a8a", "#e3e3e3"
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
# Source: Okabe and Ito 2008, without its yellow, which is hard to see on white.
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, "#56b4e9", "#e69f00", INK)
SEQUENTIAL, DIVERGING = "viridis", "PuOr"
_SETTINGS = {
    "svg.fonttype": "path",  # the same letters on every machine
    "svg.hashsalt": "ctatlas",  # the same bytes in every run
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.labelsize": 9.0,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
WIDTH = 8.4  # inches: a page of the report
_PNG_DPI, _POINTS_DPI = 130, 130


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure; the layout keeps labels apart."""
    from matplotlib.figure import Figure

    with styled():
        return Figure(figsize=(width, height), layout="constrained", facecolor="white", dpi=_PNG_DPI)


def styled() -> AbstractContextManager[object]:
    """Return the context in which figures are drawn and saved."""
    import matplotlib as mpl

    return mpl.rc_context(_SETTINGS)  # type: ignore[arg-type]


def laid_out(figure: Figure) -> Figure:
    """Fix where everything stands, so that the layout is worked out once for all formats."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    with styled():
        figure.draw_without_rendering()  # the room that labels need is known only after the first
        if engine := figure.get_layout_engine():
            engine.execute(figure)
    figure.set_layout_engine(None)
    return figure


def as_svg(figure: Figure) -> bytes:
    """Return a figure as SVG; clouds of many points in it are pictures."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    content = io.BytesIO()
    with styled():
        FigureCanvasSVG(figure).print_figure(
            content, format="svg", dpi=_POINTS_DPI, metadata={"Date": None, "Creator": "ctatlas"}
        )
    return content.getvalue()


def as_png(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    content = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(content, format="png", dpi=_PNG_DPI, metadata={"Software": "ctatlas"})
    return content.getvalue()


def plain(axes: Axes, *, grid: Literal["x", "y", "both", ""] = "") -> Axes:
    """Take away what is not needed, and put thin lines behind along one axis."""
    axes.tick_params(length=2.5, color=GREY)
    if grid:
        axes.grid(axis=grid, color=PALE, linewidth=0.7)
        axes.set_axisbelow(True)
    return axes


def short(name: str, at_most: int = 26) -> str:
    """Return a name that fits beside an axis; the middle of a longer one is left out."""
    if len(name) <= at_most:
        return name
    half = (at_most - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def spoken(structure: str) -> str:
    """Return a structure's name as a reader says it."""
    from ctatlas.anatomy import structure_called, structures

    known = structure_called(structure)
    return structures()[known].display_name if known else structure.replace("_", " ")
