"""Which cases are held back in which fold: those of one patient always together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ctatlas.atlas.raw.pairs import Pair

N_FOLDS = 5  # Source: nnU-Net, nnUNetTrainer.do_split


def folds(pairs: Sequence[Pair]) -> list[dict[str, list[str]]]:
    """Split cases into five folds, as `splits_final.json` has them; none where there are fewer than two patients.

    Patients come in an order that their names alone decide, so that it has nothing to do with how cases are listed.
    """
    by_patient: dict[str, list[str]] = {}
    for pair in pairs:
        by_patient.setdefault(pair.patient, []).append(pair.name)
    order = sorted(by_patient, key=lambda patient: hashlib.sha256(patient.encode()).hexdigest())
    n = min(N_FOLDS, len(order))
    if n < 2:
        return []
    held = [sorted(name for patient in order[fold::n] for name in by_patient[patient]) for fold in range(n)]
    names = sorted(pair.name for pair in pairs)
    return [{"train": [name for name in names if name not in set(some)], "val": some} for some in held]
