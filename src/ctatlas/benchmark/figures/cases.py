"""Case by case: what all models find hard, and what one metric sees that the other does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.benchmark.figures.style import BLUE, GREY, INK, ORANGE, SEQUENTIAL, new_figure, plain, short, styled
from ctatlas.benchmark.scores import Column, Floats, Scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_DECADE = 10  # volumes further apart than this need a logarithmic axis


def shared_failures(scores: Scores, order: Sequence[str], column: Column) -> Figure:
    """Draw every case of every model, cases from hard to easy: dark columns are hard for all, dark tiles for one."""
    place = {scores.models[m]: row for row, m in enumerate(column.models)}
    values = column.values[[place[model] for model in order]]
    good = scores.metric.goodness(values)
    by_difficulty = np.argsort(good.mean(axis=0), kind="stable")
    shown = -good if scores.metric.errs_both_ways else values
    with styled():
        figure = new_figure(1.1 + 0.2 * len(order))
        axes = plain(figure.subplots())
        cmap = SEQUENTIAL if scores.metric.better == "higher" else f"{SEQUENTIAL}_r"
        picture = axes.imshow(
            shown[:, by_difficulty], cmap=cmap, aspect="auto", interpolation="nearest", rasterized=True
        )
        axes.set_yticks(range(len(order)), [short(model) for model in order], fontsize=8)
        axes.set_xlabel(f"{column.n} cases, the hardest for all models at the left")
        bar = figure.colorbar(picture, ax=axes, pad=0.015)
        title = scores.metric.off_title if scores.metric.errs_both_ways else scores.metric.title
        bar.set_label(f"{title}, {scores.metric.unit}")
        bar.outline.set_visible(False)
        return figure


def one_against_the_other(first: Scores, second: Scores, model: str) -> Figure:
    """Draw two metrics of one model against each other, a dot a case and structure."""
    m = first.models.index(model)
    x, y = first.values[m].ravel(), second.values[m].ravel()
    there = np.isfinite(x) & np.isfinite(y)
    x, y = x[there], y[there]
    with styled():
        figure = new_figure(4.2, width=4.8)
        axes = plain(figure.subplots(), grid="both")
        axes.plot([0, 100], [0, 100], color=GREY, linewidth=0.8)
        axes.plot(x, y, ".", color=BLUE, alpha=0.35, markersize=3, markeredgewidth=0, rasterized=True)
        axes.set_xlabel(f"{first.metric.title}, {first.metric.unit}")
        axes.set_ylabel(f"{second.metric.title}, {second.metric.unit}")
        axes.set_xlim(-2, 102)
        axes.set_ylim(-2, 102)
        axes.set_aspect("equal")
        return figure


def volumes(reference_ml: Floats, predicted_ml: Floats, model: str) -> Figure:
    """Draw Bland and Altman's plot of volumes: difference against mean, with bias and limits of agreement."""
    middle, apart = (reference_ml + predicted_ml) / 2, predicted_ml - reference_ml
    bias, sd = apart.mean(), apart.std(ddof=1)
    with styled():
        figure = new_figure(3.6, width=6.4)
        axes = plain(figure.subplots(), grid="y")
        axes.plot(middle, apart, ".", color=BLUE, alpha=0.6, markersize=5, markeredgewidth=0, rasterized=True)
        for level, text in ((bias, "bias"), (bias - 1.96 * sd, "-1.96 s.d."), (bias + 1.96 * sd, "+1.96 s.d.")):
            axes.axhline(level, color=ORANGE if text == "bias" else INK, linewidth=1)
            axes.annotate(f"{text} {level:.1f}", (1, level), xycoords=("axes fraction", "data"), xytext=(4, 0),
                          textcoords="offset points", va="center", fontsize=7.5, annotation_clip=False)  # fmt: skip
        if middle.max() > _DECADE * middle.min():
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel(f"{short(model)}: mean of reference and prediction, mL")
        axes.set_ylabel("prediction minus reference, mL")
        return figure
