"""Who beats whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.benchmark.figures.style import DIVERGING, INK, new_figure, short, spoken, styled
from ctatlas.benchmark.pairwise import Comparison, Effect
from ctatlas.benchmark.scores import AVERAGE, Floats, Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

_COLOURED = 85  # percent of the differences that colours tell apart


def significance_map(
    metric: Metric, order: Sequence[str], comparisons: Sequence[Comparison], effects: Sequence[Effect]
) -> Figure:
    """Draw one map of the average: colour says by how much the row's model differs, a dot that it is better."""
    with styled():
        figure = new_figure(max(3.4, 1.5 + 0.29 * len(order)), width=max(4.2, 2.6 + 0.31 * len(order)))
        axes = figure.subplots()
        difference, better = _matrices(metric, order, AVERAGE, comparisons, effects)
        picture = _one_map(axes, metric, (difference, better), _limit([difference]), dot=3.6)
        names = [short(model, 20) for model in order]
        axes.set_yticks(range(len(order)), names)
        axes.set_xticks(range(len(order)), names, rotation=90)
        axes.set_ylabel("this model …")
        axes.set_xlabel("… against this one")
        bar = figure.colorbar(picture, ax=axes, shrink=0.8, pad=0.02, extend="both")
        bar.set_label(_colour_says(metric))
        bar.outline.set_visible(False)
        return figure


def significance_maps(
    metric: Metric,
    order: Sequence[str],
    structures: Sequence[str],
    comparisons: Sequence[Comparison],
    effects: Sequence[Effect],
) -> Figure:
    """Draw a small map a structure, all in one scale of colour and one order of models."""
    n_wide = min(3, len(structures))
    n_high = -(-len(structures) // n_wide)
    side = max(1.6, 0.125 * len(order))
    with styled():
        figure = new_figure(max(3.6, n_high * (side + 0.1) + 0.9))
        panes = figure.subplots(n_high, n_wide, squeeze=False)
        for pane in panes.flat[len(structures) :]:
            pane.set_axis_off()
        maps = [_matrices(metric, order, name, comparisons, effects) for name in structures]
        limit = _limit([difference for difference, _ in maps])
        picture = None
        for number, (pane, name, each) in enumerate(zip(panes.flat, structures, maps, strict=False)):
            picture = _one_map(pane, metric, each, limit, dot=1.7)
            n = next((one.n for one in comparisons if one.structure == name), 0)
            pane.set_title(f"{spoken(name)}, n = {n}", fontsize=8.5, loc="left")
            names = [short(model, 16) for model in order]
            pane.set_yticks(range(len(order)), names if number % n_wide == 0 else [], fontsize=6)
            lowest = number + n_wide >= len(structures)
            pane.set_xticks(range(len(order)), names if lowest else [], rotation=90, fontsize=6)
        if picture is not None:
            bar = figure.colorbar(picture, ax=panes, shrink=0.5, pad=0.02, location="right", extend="both")
            bar.set_label(_colour_says(metric))
            bar.outline.set_visible(False)
        return figure


def _limit(differences: Sequence[Floats]) -> float:
    """Return where colours end: one model far behind must not bleach all others."""
    sizes = np.abs(np.concatenate([each.ravel() for each in differences]))
    return max(float(np.nanpercentile(sizes, _COLOURED)) if np.isfinite(sizes).any() else 0.0, 1e-9)


def _colour_says(metric: Metric) -> str:
    if metric.errs_both_ways:
        return f"rank-biserial correlation\nof {metric.title}"
    return f"mean difference in {metric.title},\n{'percentage points' if metric.unit == '%' else metric.unit}"


def _one_map(axes: Axes, metric: Metric, cells: tuple[Floats, Floats], limit: float, dot: float) -> AxesImage:
    """Draw the differences, orange where the row's model is better, and dots where it is so significantly."""
    difference, better = cells
    colours = DIVERGING if metric.better == "lower" else f"{DIVERGING}_r"
    picture = axes.imshow(difference, cmap=colours, vmin=-limit, vmax=limit, aspect="equal")
    rows, columns = np.nonzero(better)
    axes.plot(columns, rows, "o", color=INK, markersize=dot, markeredgewidth=dot / 8, markeredgecolor="white")
    axes.set_xlim(-0.5, len(difference) - 0.5)
    axes.set_ylim(len(difference) - 0.5, -0.5)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return picture


def _matrices(
    metric: Metric, order: Sequence[str], structure: str, comparisons: Sequence[Comparison], effects: Sequence[Effect]
) -> tuple[Floats, Floats]:
    """Return (models, models): how much the row's model is above the column's, and whether it is better.

    What errs both ways has means near the perfect value for models that err much: there it is how often and by how much
    the row's model lies nearer to it.
    """
    place = {model: row for row, model in enumerate(order)}
    difference = np.full((len(order), len(order)), np.nan)
    better = np.zeros_like(difference)
    for one in effects:
        if one.structure == structure and one.model_a in place and one.model_b in place:
            apart = one.rank_biserial if metric.errs_both_ways else one.difference
            difference[place[one.model_a], place[one.model_b]] = apart
            difference[place[one.model_b], place[one.model_a]] = -apart
    for claim in comparisons:
        if claim.structure == structure and claim.significant and claim.better in place and claim.worse in place:
            better[place[claim.better], place[claim.worse]] = 1
    return difference, better
