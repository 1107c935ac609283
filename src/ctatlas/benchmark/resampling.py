"""Bootstrap by patient: how much a number hangs on who happened to be scanned.

All cases, structures and models of a patient are drawn together, and every model meets the same draws.

Source: Efron and Tibshirani 1993; patients as the units because scans of one patient are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ctatlas.benchmark.scores import Floats

CONFIDENCE = 0.95
_TAILS = (100 * (1 - CONFIDENCE) / 2, 100 * (1 + CONFIDENCE) / 2)


@dataclass(frozen=True)
class Resampling:
    """Draws of patients with replacement.

    Attributes
    ----------
    weights : (resamples, cases) float64
        How often each case was drawn; equal for cases of one patient.
    """

    weights: Floats

    @classmethod
    def draw(cls, patients: Sequence[int], n: int, rng: np.random.Generator) -> Resampling:
        """Draw `n` times as many patients as there are.

        Parameters
        ----------
        patients : (cases,) sequence of int
            The patient of each case.
        """
        _, who = np.unique(np.asarray(patients, np.int64), return_inverse=True)
        n_patients = int(who.max()) + 1 if who.size else 0
        if not n_patients:
            return cls(np.zeros((n, 0)))
        counts = rng.multinomial(n_patients, np.full(n_patients, 1 / n_patients), size=n)
        return cls(counts[:, who].astype(np.float64))

    def of_cases(self, cases: npt.NDArray[np.intp]) -> Resampling:
        """Return the same draws, of some of the cases only."""
        return Resampling(self.weights[:, cases])

    def means(self, values: Floats) -> Floats:
        """Return the mean over cases in every draw.

        Parameters
        ----------
        values : (cases, …) float64
            nan where a case has no value: it does not count.

        Returns
        -------
        (resamples, …) float64
            nan where a draw has no case with a value.
        """
        flat = values.reshape(values.shape[0], -1)
        there = np.isfinite(flat)
        counts = self.weights @ there
        totals = self.weights @ np.where(there, flat, 0.0)
        means = np.divide(totals, counts, out=np.full_like(totals, np.nan), where=counts > 0)
        return means.reshape(-1, *values.shape[1:])

    def medians(self, values: Floats) -> Floats:
        """Return the (resamples, m) medians of (cases, m) values without nan."""
        half = self.weights.sum(axis=1) / 2
        rows = np.arange(len(self.weights))
        found = np.empty((len(self.weights), values.shape[1]))
        for column in range(values.shape[1]):
            order = np.argsort(values[:, column], kind="stable")
            ordered, reached = values[order, column], np.cumsum(self.weights[:, order], axis=1)
            lower = (reached < half[:, None]).sum(axis=1)
            upper = (reached <= half[:, None]).sum(axis=1)
            last = len(order) - 1
            found[rows, column] = (ordered[np.minimum(lower, last)] + ordered[np.minimum(upper, last)]) / 2
        return found


def interval(draws: Floats) -> tuple[Floats, Floats]:
    """Return the ends of the 95 % percentile interval over the first axis; nan where no draw has a value."""
    flat = draws.reshape(len(draws), -1)
    there = np.isfinite(flat)
    ends = np.full((2, flat.shape[1]), np.nan)
    whole = there.all(axis=0)
    if len(flat):
        ends[:, whole] = np.percentile(flat[:, whole], _TAILS, axis=0)
    for column in np.flatnonzero(~whole & there.any(axis=0)):  # a draw may hold no case with a value
        ends[:, column] = np.percentile(flat[there[:, column], column], _TAILS)
    low, high = ends.reshape(2, *draws.shape[1:])
    return low, high
