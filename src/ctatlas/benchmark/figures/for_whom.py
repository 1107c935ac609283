"""Sub-groups of cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.benchmark.figures.style import BLUE, GREY, INK, ORANGE, SEQUENTIAL, new_figure, plain, short, styled
from ctatlas.benchmark.groups import NOT_STATED
from ctatlas.benchmark.scores import AVERAGE, Metric
from ctatlas.benchmark.subgroups import ALL_MODELS, SubgroupRow

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def forest(metric: Metric, rows: Sequence[SubgroupRow], at_least: int) -> Figure:
    """Draw how far each group lies from the mean of all cases, the mix of structures taken out, with its interval."""
    whose = ALL_MODELS if any(row.model == ALL_MODELS for row in rows) else next(row.model for row in rows)
    shown = [row for row in rows if (row.row, row.model, row.structure) == ("group", whose, AVERAGE)]
    gates = {
        row.column: row for row in rows if (row.row, row.model, row.structure) == ("kruskal_wallis", whose, AVERAGE)
    }
    lines: list[tuple[str, SubgroupRow | None]] = []
    for column in dict.fromkeys(row.column for row in shown):
        p = f"   Kruskal-Wallis p {_p(gates[column].p_corrected)}" if column in gates else ""
        lines.append((f"{column}{p}", None))
        lines += [(row.group, row) for row in shown if row.column == column]
    with styled():
        figure = new_figure(1.0 + 0.2 * len(lines), width=7.6)
        axes = plain(figure.subplots(), grid="x")
        axes.axvline(0, color=INK, linewidth=0.8)
        for y, (name, row) in enumerate(lines):
            if row is None:
                axes.annotate(
                    name, (0, y), xycoords=("axes fraction", "data"), xytext=(6, 0), textcoords="offset points",
                    fontweight="bold", fontsize=8.5, va="center",
                )  # fmt: skip
            else:
                _one_line(axes, y, row, at_least)
        labels = ["" if row is None else f"{short(name, 30)}, n = {row.n}" for name, row in lines]
        axes.set_yticks(range(len(lines)), labels, fontsize=8)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(lines) - 0.4, -0.8)
        unit = "percentage points" if metric.unit == "%" else metric.unit
        axes.set_xlabel(f"{metric.title}: distance from the mean of all cases, {unit}")
        return figure


def _one_line(axes: object, y: int, row: SubgroupRow, at_least: int) -> None:
    small = row.n < at_least or row.group == NOT_STATED
    outside = row.difference_low > 0 or row.difference_high < 0
    colour = GREY if small else ORANGE if outside else BLUE
    axes.plot([row.difference_low, row.difference_high], [y, y], color=colour, linewidth=1.4)  # type: ignore[attr-defined]
    axes.plot(row.difference, y, "o", color=colour, markersize=4.5)  # type: ignore[attr-defined]


def heat_map(metric: Metric, rows: Sequence[SubgroupRow], order: Sequence[str], at_least: int) -> Figure:
    """Draw groups by models: the mean in each cell, small groups in grey."""
    cells = {(row.column, row.group, row.model): row for row in rows if (row.row, row.structure) == ("group", AVERAGE)}
    groups = list(dict.fromkeys((row.column, row.group) for row in cells.values()))
    models = [model for model in order if any(key[2] == model for key in cells)]
    means = np.array(
        [[cells[*group, model].mean if (*group, model) in cells else np.nan for model in models] for group in groups]
    )
    n = [max(cells[*group, model].n for model in models if (*group, model) in cells) for group in groups]
    grey = np.array([size < at_least for size in n])
    with styled():
        figure = new_figure(max(3.2, 1.5 + 0.2 * len(groups)), width=3.4 + 0.36 * len(models))
        axes = plain(figure.subplots())
        shown = np.where(grey[:, None], np.nan, means)
        axes.set_facecolor("#d9d9d9")
        picture = axes.imshow(shown, cmap=SEQUENTIAL, aspect="auto")
        low, high = picture.get_clim()
        for y in range(len(groups)):
            for x in range(len(models)):
                if np.isfinite(means[y, x]):
                    dark = not grey[y] and (means[y, x] - low) / max(high - low, 1e-9) < 0.55
                    axes.text(
                        x,
                        y,
                        f"{means[y, x]:.0f}",
                        ha="center",
                        va="center",
                        fontsize=6.5,
                        color="white" if dark else INK,
                    )
        axes.set_xticks(range(len(models)), [short(model, 20) for model in models], rotation=90)
        labels = [f"{column}: {short(group, 24)}, n = {size}" for (column, group), size in zip(groups, n, strict=True)]
        axes.set_yticks(range(len(groups)), labels, fontsize=7.5)
        for y in range(1, len(groups)):
            if groups[y][0] != groups[y - 1][0]:
                axes.axhline(y - 0.5, color="white", linewidth=3)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        bar = figure.colorbar(picture, ax=axes, shrink=0.5, pad=0.02)
        bar.set_label(f"{metric.title}, {metric.unit}: mean per case")
        bar.outline.set_visible(False)
        return figure


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.2g}"
