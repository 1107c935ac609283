"""How values scatter over cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.benchmark.figures.style import BLUE, COLOURS, GREY, INK, ORANGE, new_figure, plain, short, spoken, styled
from ctatlas.benchmark.scores import Bools, Column, Floats, Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CLOUD, _DOTS = 0.38, 0.30  # heights, where models are 1 apart
_NEIGHBOURS = 512  # points of a density
_WHISKER = 1.5  # times the interquartile range at most
_HALF_BOX, _CAP = 0.31, 0.16


def raincloud(scores: Scores, order: Sequence[str], column: Column) -> Figure:
    """Draw of each model the density, the box and every case; the best on top."""
    with styled():
        figure = new_figure(0.9 + 0.36 * len(order))
        axes = plain(figure.subplots(), grid="x")
        rng = np.random.default_rng(0)
        place = {scores.models[m]: row for row, m in enumerate(column.models)}
        for y, model in enumerate(order):
            _one_cloud(axes, column.values[place[model]], y, rng)
        axes.set_yticks(range(len(order)), [short(model) for model in order])
        axes.set_ylim(len(order) - 0.4, -0.75)
        axes.set_xlabel(f"{scores.metric.title}, {scores.metric.unit}: mean over the structures of a case")
        _score_limits(axes, scores, axis="x")
        return figure


def _one_cloud(axes: Axes, values: Floats, y: float, rng: np.random.Generator) -> None:
    at, density = _density(values)
    axes.fill_between(at, y - 0.06, y - 0.06 - _CLOUD * density, color=BLUE, alpha=0.35, linewidth=0)
    low, median, high = np.percentile(values, (25, 50, 75))
    axes.plot([low, high], [y, y], color=INK, linewidth=3.2, solid_capstyle="butt")
    axes.plot(median, y, "o", color="white", markersize=4, markeredgecolor=INK, markeredgewidth=1)
    axes.plot(values.mean(), y, "D", color=ORANGE, markersize=3.6)
    jitter = y + 0.08 + _DOTS * rng.random(values.size)
    axes.plot(values, jitter, ".", color=BLUE, alpha=0.55, markersize=2.3, markeredgewidth=0, rasterized=True)


def _density(values: Floats) -> tuple[Floats, Floats]:
    """Return where, and the Gaussian density there, 1 at its highest."""
    spread = min(values.std(), float(np.subtract(*np.percentile(values, (75, 25)))) / 1.34) or values.std() or 1.0
    width = 0.9 * spread * values.size**-0.2  # Source: Silverman 1986, equation 3.31
    at = np.linspace(values.min(), values.max(), _NEIGHBOURS)
    total = np.exp(-0.5 * np.square((at[:, None] - values[None]) / width)).sum(axis=1)
    return at, total / total.max()


def boxes(scores: Scores, order: Sequence[str], columns: Sequence[Column], missed: Bools) -> Figure:
    """Draw a panel a structure: a box a model, and how many cases it missed altogether."""
    n_wide = min(3, len(columns))
    n_high = -(-len(columns) // n_wide)
    with styled():
        figure = new_figure(n_high * (0.75 + 0.165 * len(order)))
        panes = figure.subplots(n_high, n_wide, sharey=True, squeeze=False)
        for pane in panes.flat[len(columns) :]:
            pane.set_axis_off()
        for pane, column in zip(panes.flat, columns, strict=False):
            _one_panel(plain(pane, grid="x"), scores, order, column, missed)
        return figure


def _one_panel(axes: Axes, scores: Scores, order: Sequence[str], column: Column, missed: Bools) -> None:
    place = {scores.models[m]: row for row, m in enumerate(column.models)}
    shown = [(y, model) for y, model in enumerate(order) if model in place]
    _draw_boxes(axes, [y for y, _ in shown], [column.values[place[model]] for _, model in shown])
    s = scores.structures.index(column.structure)
    for y, model in shown:
        if n := int(missed[scores.models.index(model)][column.cases, s].sum()):
            axes.annotate(str(n), (1, y), xycoords=("axes fraction", "data"), xytext=(3, 0), textcoords="offset points",
                          fontsize=6.5, color=ORANGE, va="center", annotation_clip=False)  # fmt: skip
    axes.set_yticks(range(len(order)), [short(model, 18) for model in order], fontsize=7.5)
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_title(f"{spoken(column.structure)}, n = {column.n}", fontsize=9, loc="left")
    axes.tick_params(axis="x", labelsize=7.5)
    _score_limits(axes, scores, axis="x")


def _draw_boxes(axes: Axes, places: Sequence[int], groups: Sequence[Floats]) -> None:
    """Draw Tukey's boxes lying down, in a handful of strokes for all of them: matplotlib's own take seven each."""
    low, middle, high = (np.array([np.percentile(group, q) for group in groups]) for q in (25, 50, 75))
    reach = _WHISKER * (high - low)
    left = np.array([group[group >= end].min() for group, end in zip(groups, low - reach, strict=True)])
    right = np.array([group[group <= end].max() for group, end in zip(groups, high + reach, strict=True)])
    y = np.array(places)
    axes.hlines([*y, *y], [*left, *high], [*low, *right], color=GREY, linewidth=0.8)
    axes.vlines([*left, *right], [*(y - _CAP), *(y - _CAP)], [*(y + _CAP), *(y + _CAP)], color=GREY, linewidth=0.8)
    axes.barh(y, high - low, left=low, height=2 * _HALF_BOX, facecolor="white", edgecolor=INK, linewidth=0.8, zorder=2)
    axes.vlines(middle, y - _HALF_BOX, y + _HALF_BOX, color=ORANGE, linewidth=1.4, zorder=3)
    outside = [
        (value, place)
        for place, group, lowest, highest in zip(places, groups, left, right, strict=True)
        for value in group[(group < lowest) | (group > highest)]
    ]
    if outside:
        axes.plot(*zip(*outside, strict=True), ".", color=GREY, markersize=2.6, markeredgewidth=0, rasterized=True)


def survival(scores: Scores, order: Sequence[str], column: Column, n_named: int = 6) -> Figure:
    """Draw the share of cases that reach a value; the first models in colour, all others in grey."""
    with styled():
        figure = new_figure(3.6)
        axes = plain(figure.subplots(), grid="both")
        place = {scores.models[m]: row for row, m in enumerate(column.models)}
        for y, model in reversed(list(enumerate(order))):
            values = np.sort(scores.metric.goodness(column.values[place[model]]))
            share = 100 * (1 - np.arange(values.size) / values.size)
            named = y < n_named
            axes.step(
                np.abs(values), share, where="post", color=COLOURS[y] if named else GREY,
                linewidth=1.4 if named else 0.6, alpha=1 if named else 0.6, label=short(model) if named else None,
            )  # fmt: skip
        reach = "or more" if scores.metric.better == "higher" else "or less"
        title = scores.metric.off_title if scores.metric.errs_both_ways else scores.metric.title
        axes.set_xlabel(f"{title}, {scores.metric.unit}: mean over the structures of a case")
        axes.set_ylabel(f"share of cases with so much {reach}, %")
        axes.set_ylim(0, 101)
        _score_limits(axes, scores, axis="x")
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(
            handles[::-1], labels[::-1], frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5),
            title="others in grey" if len(order) > n_named else None, title_fontsize=7.5,
        )  # fmt: skip
        return figure


def _score_limits(axes: Axes, scores: Scores, axis: str) -> None:
    if scores.metric.is_score:
        (axes.set_xlim if axis == "x" else axes.set_ylim)(-1.5, 101.5)
