"""Places, and how far one can trust them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.benchmark.figures.style import (
    BLUE,
    COLOURS,
    GREY,
    INK,
    ORANGE,
    PALE,
    new_figure,
    plain,
    short,
    spoken,
    styled,
)
from ctatlas.benchmark.ranks import Ranking
from ctatlas.benchmark.scores import AVERAGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WAYS = {
    ("per_structure", "mean"): "mean per\nstructure",
    ("per_case", "mean"): "mean per\ncase",
    ("per_case", "median"): "median of\ncase means",
    ("per_case", "mean_rank"): "mean rank\nwithin cases",
    ("per_case", "tests_won"): "tests won",
}
_TAILS = (2.5, 97.5)
_LARGEST = 190.0  # area of the dot of all draws, in points squared


def blobs(ranking: Ranking) -> Figure:
    """Draw how often each model takes each place in the draws; area is share, lines hold 95 %."""
    order = np.argsort(ranking.ranks, kind="stable")
    n = len(order)
    with styled():
        figure = new_figure(1.6 + 0.24 * n, width=2.2 + 0.33 * n)
        axes = plain(figure.subplots(), grid="both")
        for x, m in enumerate(order):
            low, high = np.percentile(ranking.drawn[:, m], _TAILS)
            axes.plot([x, x], [low, high], color=GREY, linewidth=1)
            places, counts = np.unique(ranking.drawn[:, m], return_counts=True)
            axes.scatter(
                np.full(len(places), x),
                places,
                s=_LARGEST * counts / len(ranking.drawn),
                color=BLUE,
                linewidths=0,
                zorder=3,
            )
            axes.plot(x, ranking.ranks[m], "_", color=ORANGE, markersize=13, markeredgewidth=2, zorder=4)
        axes.set_xticks(range(n), [short(ranking.models[m], 20) for m in order], rotation=90)
        axes.set_yticks(range(1, n + 1))
        axes.set_ylim(n + 0.7, 0.3)
        axes.set_xlim(-0.7, n - 0.3)
        axes.set_ylabel("place")
        return figure


def ways(rankings: Sequence[Ranking], order: Sequence[str]) -> Figure:
    """Draw the place of each model by every way to rank the average."""
    found = [
        (label, next((r for r in rankings if (r.structure, r.mean_kind, r.method) == (AVERAGE, *key)), None))
        for key, label in WAYS.items()
    ]
    shown = [(label, ranking) for label, ranking in found if ranking is not None]
    with styled():
        figure = new_figure(0.9 + 0.22 * len(order), width=7.0)
        axes = plain(figure.subplots())
        moved = 0
        for model in order:
            places = [ranking.ranks[ranking.models.index(model)] for _, ranking in shown]
            moves = len({round(float(place), 3) for place in places}) > 1
            colour = COLOURS[moved % len(COLOURS)] if moves else GREY
            moved += moves
            axes.plot(range(len(shown)), places, "o-", color=colour, markersize=4, linewidth=1.6 if moves else 0.9)
        first, last = shown[0][1], shown[-1][1]
        axes.set_xticks(range(len(shown)), [label for label, _ in shown], fontsize=8)
        axes.set_yticks(*_shared_places(first), fontsize=8)
        axes.set_ylim(len(order) + 0.6, 0.4)
        right = axes.twinx()
        right.set_ylim(axes.get_ylim())
        right.set_yticks(*_shared_places(last), fontsize=8)
        right.tick_params(length=2.5, color=GREY)
        return figure


def _shared_places(ranking: Ranking) -> tuple[list[float], list[str]]:
    """Return places and the names that stand there; equal places share a line."""
    names: dict[float, list[str]] = {}
    for m in np.argsort(ranking.ranks, kind="stable"):
        names.setdefault(float(ranking.ranks[m]), []).append(ranking.models[m])
    spelt = [
        f"{place:g}  " + ", ".join(short(model, 18) for model in models[:3]) + (" …" if len(models) > 3 else "")
        for place, models in names.items()
    ]
    return list(names), spelt


def taus(rankings: Sequence[Ranking]) -> Figure:
    """Draw Kendall's tau between the rankings of the draws and the full one, for each structure and the average."""
    shown = [r for r in rankings if r.method == "mean" and len(r.drawn) and len(r.models) > 2]
    shown = sorted((r for r in shown if np.isfinite(r.taus).any()), key=lambda r: r.structure != AVERAGE)
    with styled():
        figure = new_figure(0.9 + 0.27 * len(shown), width=7.4)
        axes = plain(figure.subplots(), grid="x")
        for y, ranking in enumerate(shown):
            tau = ranking.taus[np.isfinite(ranking.taus)]
            low, median, high = np.percentile(tau, (2.5, 50, 97.5))
            values, counts = np.unique(np.round(tau, 3), return_counts=True)
            axes.vlines(
                values, y - 0.38 * counts / counts.max(), y + 0.38 * counts / counts.max(), color=BLUE, linewidth=1.6
            )
            axes.plot([low, high], [y, y], color=INK, linewidth=1)
            axes.plot(median, y, "o", color="white", markeredgecolor=INK, markersize=4.5)
        axes.set_yticks(range(len(shown)), [_name(ranking) for ranking in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.axvline(1, color=PALE, zorder=0)
        axes.set_xlabel("Kendall's tau-b of each draw to the ranking of all cases")
        return figure


def _name(ranking: Ranking) -> str:
    if ranking.structure != AVERAGE:
        return f"{spoken(ranking.structure)}, n = {ranking.n}"
    return f"average {ranking.mean_kind.replace('_', ' ')}, n = {ranking.n}"
