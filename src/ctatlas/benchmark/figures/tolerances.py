"""NSD by tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.benchmark.figures.style import COLOURS, GREY, new_figure, plain, short, styled
from ctatlas.benchmark.resampling import Resampling, interval
from ctatlas.benchmark.scores import Scores, nan_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curve(several: Sequence[Scores], order: Sequence[str], resampling: Resampling, n_named: int = 6) -> Figure:
    """Draw the mean per structure of each model at every tolerance, the first models with their intervals."""
    at = [scores.metric.tolerance_mm or 0.0 for scores in several]
    with styled():
        figure = new_figure(3.6)
        axes = plain(figure.subplots(), grid="both")
        for y, model in reversed(list(enumerate(order))):
            m = several[0].models.index(model)
            common = [scores.of_cohort("common")[m][:, scores.common_structures] for scores in several]
            means = [float(nan_mean(nan_mean(values, axis=0), axis=0)) for values in common]
            named = y < n_named
            colour = COLOURS[y] if named else GREY
            axes.plot(
                at,
                means,
                "o-",
                color=colour,
                markersize=3.5,
                linewidth=1.4 if named else 0.6,
                label=short(model) if named else None,
            )
            if named:
                ends = [interval(nan_mean(resampling.means(values), axis=1)) for values in common]
                axes.fill_between(
                    at,
                    [float(np.squeeze(e[0])) for e in ends],
                    [float(np.squeeze(e[1])) for e in ends],
                    color=colour,
                    alpha=0.15,
                    linewidth=0,
                )
        axes.set_xlabel("tolerance, mm")
        axes.set_ylabel("NSD, %: mean per structure")
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(
            handles[::-1], labels[::-1], frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5)
        )
        return figure
