from __future__ import annotations

from pathlib import Path
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from ctatlas.atlas.raw.folds import folds
from ctatlas.atlas.raw.pairs import Masks, Pair

NO_MASKS = cast("Masks", Path())


def pair(name: str, patient: str) -> Pair:
    return Pair(name, patient, is_test=False, told=frozenset(), masks=NO_MASKS)


@given(patients=st.lists(st.integers(0, 12), min_size=2, max_size=40))
def test_every_case_is_held_back_once_and_patients_stay_together(patients: list[int]) -> None:
    pairs = [pair(f"case_{number}", f"p{patient}") for number, patient in enumerate(patients)]
    found = folds(pairs)
    names = sorted(each.name for each in pairs)
    if len(set(patients)) < 2:
        assert found == []
        return
    assert len(found) == min(5, len(set(patients)))
    assert sorted(name for fold in found for name in fold["val"]) == names
    patient_of = {each.name: each.patient for each in pairs}
    for fold in found:
        assert sorted(fold["train"] + fold["val"]) == names
        assert not {patient_of[name] for name in fold["train"]} & {patient_of[name] for name in fold["val"]}
        assert fold["train"]
    assert folds(pairs[::-1]) == found
