"""What the scan shows inside a structure: gas where there is none, and HU that it can't have."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctatlas.anatomy_rules.checks.findings import Sign
from ctatlas.anatomy_rules.checks.registry import check
from ctatlas.anatomy_rules.checks.subject import Subject

GAS_HU = -300.0  # fat is above -200, and lung is no solid organ's neighbour inside the rim
RIM_MM = 3.0  # of a structure: neighbours shine in there
FEW_VOXELS = 20
AT_MOST_VOXELS = 200_000  # whose median is taken


@check("gas_inside")
def gas_inside(name: str, subject: Subject, *, at_most_ml: float) -> Iterator[Sign]:
    """Find gas inside a solid organ, away from its rim."""
    box = subject.box(name)
    if box is None or subject.given.hu is None:
        return
    gas = _inner(subject, name) & (subject.given.hu[box] < GAS_HU)
    gas_ml = int(np.count_nonzero(gas)) * subject.grid.voxel_ml
    if gas_ml > at_most_ml:
        yield Sign(f"{gas_ml:.1f} mL of gas inside", gas_ml, at_most_ml, "mL", subject.around(box, gas))


@check("hu")
def hu(name: str, subject: Subject, *, at_least_hu: float, at_most_hu: float) -> Iterator[Sign]:
    """Find a structure whose inside is too dark or too bright: the median of its HU, away from its rim."""
    box = subject.box(name)
    if box is None or subject.given.hu is None:
        return
    values = subject.given.hu[box][_inner(subject, name)]
    if len(values) < FEW_VOXELS:
        return
    median = float(np.median(values[:: len(values) // AT_MOST_VOXELS + 1]))
    if not at_least_hu <= median <= at_most_hu:
        limit = at_least_hu if median < at_least_hu else at_most_hu
        says = f"median {median:.0f} HU, expected {at_least_hu:g} to {at_most_hu:g}"
        yield Sign(says, median, limit, "HU")


def _inner(subject: Subject, name: str) -> np.ndarray:
    """Return a structure's voxels away from its rim; of a thin one all."""
    return subject.once(("inner", name), lambda: _without_rim(subject, name))


def _without_rim(subject: Subject, name: str) -> np.ndarray:
    mask = subject.mask(name)
    inner = mask.copy()
    for axis, mm in enumerate(subject.grid.spacing_mm):
        n = max(1, round(RIM_MM / mm))
        padded = np.pad(mask, [(n, n) if at == axis else (0, 0) for at in range(3)])
        low, high = [slice(None)] * 3, [slice(None)] * 3
        low[axis], high[axis] = slice(0, mask.shape[axis]), slice(2 * n, 2 * n + mask.shape[axis])
        inner &= padded[tuple(low)] & padded[tuple(high)]
    return inner if np.count_nonzero(inner) >= FEW_VOXELS else mask
