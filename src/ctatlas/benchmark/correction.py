"""P-values of a family of tests, corrected for their number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ctatlas.benchmark.scores import Floats


def holm(p: Floats) -> Floats:
    """Return Holm's step-down p-values: they bound the chance of any false claim, whatever the dependence.

    Source: Holm 1979: in ascending order the largest so far of min(1, (m - i) p_i), i from 0.

    >>> [round(float(each), 3) for each in holm(np.array([0.01, 0.3, 0.04]))]
    [0.03, 0.3, 0.08]
    """
    factors = np.arange(p.size, 0, -1)
    return _in_order(p, lambda ordered: np.maximum.accumulate(np.minimum(1.0, factors * ordered)))


def bonferroni(p: Floats) -> Floats:
    """Return each p-value times their number, at most 1."""
    return np.minimum(1.0, p * p.size)


def benjamini_hochberg(p: Floats) -> Floats:
    """Return p-values that bound the expected share of false claims among the claims.

    Source: Benjamini and Hochberg 1995: in ascending order the smallest from here on of min(1, m p_i / i), i from 1.
    """
    factors = p.size / np.arange(1, p.size + 1)
    return _in_order(p, lambda ordered: _falling(np.minimum(1.0, factors * ordered)))


def benjamini_yekutieli(p: Floats) -> Floats:
    """Return the same under any dependence: m times 1 + 1/2 + … + 1/m. Source: Benjamini and Yekutieli 2001."""
    places = np.arange(1, p.size + 1)
    factors = p.size / places * (1 / places).sum()
    return _in_order(p, lambda ordered: _falling(np.minimum(1.0, factors * ordered)))


def _in_order(p: Floats, corrected: Callable[[Floats], Floats]) -> Floats:
    order = np.argsort(p, kind="stable")
    result = np.empty_like(p, dtype=np.float64)
    result[order] = corrected(p[order])
    return result


def _falling(ordered: Floats) -> Floats:
    return np.asarray(np.minimum.accumulate(ordered[::-1])[::-1])
