"""Means, spreads and intervals of every model: the rows of `summary.csv`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ctatlas.benchmark.resampling import Resampling, interval
from ctatlas.benchmark.scores import AVERAGE, Floats, Scores, nan_mean

COHORTS = ("own", "common")


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One model, structure, metric, cohort, kind of mean and ddof.

    Attributes
    ----------
    structure : str
        "average": over all structures.
    cohort : str
        "own": all cases of the model; "common": those in which all models have a value.
    mean_kind : str
        "structure": over the cases of one structure; of averages "per_case": over cases, of each case's mean over its
        structures; "per_structure": over structures, of each structure's mean over its cases.
    n : int
        What the mean and the s.d. are taken over: cases, or structures where the kind is "per_structure".
    mean, sd, median, ci_low, ci_high : float
        In the metric's unit, fractions in percent; nan where undefined. The interval is that of the mean: 95 %,
        percentile bootstrap by patient.
    ddof : int
        The s.d. is divided by n - ddof.
    """

    model: str
    structure: str
    metric: str
    cohort: str
    mean_kind: str
    n: int
    mean: float
    sd: float
    ddof: int
    median: float
    ci_low: float
    ci_high: float


def summarise(scores: Scores, resampling: Resampling) -> Iterator[SummaryRow]:
    """Summarise one metric; models without results of a structure have no row of it."""
    for cohort in COHORTS:
        values = scores.of_cohort(cohort)
        draws = resampling.means(np.moveaxis(values, 1, 0))  # (resamples, models, structures)
        in_average = scores.common_structures if cohort == "common" else np.ones(len(scores.structures), np.bool_)
        case_means = scores.case_means(cohort)
        columns = [
            *((name, "structure", values[:, :, s], draws[:, :, s]) for s, name in enumerate(scores.structures)),
            (AVERAGE, "per_case", case_means, resampling.means(case_means.T)),
            (AVERAGE, "per_structure", *_over_structures(values, draws, in_average)),
        ]
        for name, kind, spread, drawn in columns:
            low, high = interval(drawn)
            for m, model in enumerate(scores.models):
                yield from _rows(spread[m], (model, name, scores.metric.label, cohort, kind), (low[m], high[m]))


def _over_structures(values: Floats, draws: Floats, in_average: np.ndarray) -> tuple[Floats, Floats]:
    """Return the (models, structures) means, and the (resamples, models) means of these."""
    return nan_mean(values, axis=1)[:, in_average], nan_mean(draws[:, :, in_average], axis=2)


def _rows(values: Floats, words: tuple[str, str, str, str, str], ends: tuple[float, float]) -> Iterator[SummaryRow]:
    there = values[np.isfinite(values)]
    if not there.size:
        return
    low, high = map(float, ends)
    for ddof in (0, 1):
        sd = float(there.std(ddof=ddof)) if there.size > ddof else float("nan")
        yield SummaryRow(*words, there.size, float(there.mean()), sd, ddof, float(np.median(there)), low, high)
