"""What one table says about one model and metric, before models are joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ctatlas.benchmark.flags import Flag, error
from ctatlas.benchmark.scores import Floats
from ctatlas.measure import records as measure

# In the order of their codes; "" where a table does not say.
STATUSES = ("", *measure.STATUSES)
MISSED = (STATUSES.index("pred_absent"), STATUSES.index("missing_prediction"))
GT_ABSENT, BOTH_ABSENT = STATUSES.index("gt_absent"), STATUSES.index("both_absent")
# Scores from 0 to 1; text and numbers beyond can't be right.
_SLACK = 1e-9
_PERCENT = 1.5  # above it a fraction must have been meant in percent


@dataclass(frozen=True, slots=True)
class Measured:
    """The values of one model.

    Attributes
    ----------
    metric : str
    values : (cases, structures) float64
        As written: a fraction, mm or mL; nan where there is none.
    status : (cases, structures) uint8
        Codes of `STATUSES`.
    tolerance_mm : float or None
    implementations : tuple of str
        The conventions that the table names.
    free_names : bool
        Whether a column may be anything, so that only known structures are taken for such.
    """

    model: str
    metric: str
    cases: tuple[str, ...]
    structures: tuple[str, ...]
    values: Floats
    status: npt.NDArray[np.uint8]
    tolerance_mm: float | None = None
    implementations: tuple[str, ...] = ()
    free_names: bool = False


def refuse_impossible(
    values: Floats, where: tuple[str, str], cases: Sequence[str], structures: Sequence[str], *, is_fraction: bool
) -> tuple[Floats, list[Flag]]:
    """Take out what can't be: infinities, and fractions outside of 0 to 1.

    Parameters
    ----------
    values : (cases, structures) float64
    where : (model, metric)

    Returns
    -------
    (cases, structures) float64, list of Flag
        All nan when most values look like percent.
    """
    model, metric = where
    there = ~np.isnan(values)
    if is_fraction and there.any() and np.median(values[there]) > _PERCENT:
        text = (
            f"values up to {np.nanmax(values):g}; expected fractions from 0 to 1, these look like percent: "
            "the table is left out, divide it by 100"
        )
        return np.full_like(values, np.nan), [error("out_of_range", text, model=model, metric=metric)]
    wrong = np.isinf(values)
    if is_fraction:
        wrong |= there & ((values < -_SLACK) | (values > 1 + _SLACK))
    expected = "a fraction from 0 to 1" if is_fraction else "a finite number"
    flags = [
        error(
            "out_of_range", f"{values[i, j]:g}; expected {expected}; the value is left out",
            model=model, metric=metric, structure=structures[j], case=cases[i],
        )
        for i, j in np.argwhere(wrong)
    ]  # fmt: skip
    return np.where(wrong, np.nan, values), flags
