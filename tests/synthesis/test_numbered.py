from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ctatlas.synthesis.cases import PhantomCase, draw_case, make_case
from ctatlas.synthesis.numbered import LEVELS, numbered_bones


@pytest.fixture(scope="module")
def case() -> PhantomCase:
    plan = draw_case(3, 1, shape=(91, 75, 121), conditions=(), exact=False)
    spacing = (4.2, 4.0, 4.5)
    first = tuple(-step * (n - 1) / 2 for step, n in zip(spacing, plan.shape, strict=True))
    return make_case(replace(plan, spacing_mm=spacing, first_voxel_mm=(first[0], first[1], first[2])))


@pytest.fixture(scope="module")
def bones(case: PhantomCase) -> dict[str, np.ndarray]:
    return numbered_bones(case)


def height_mm(case: PhantomCase, mask: np.ndarray) -> float:
    return float(case.truth.grid.world(np.argwhere(mask).mean(axis=0))[2])


@pytest.mark.parametrize(("whole", "stem"), [("vertebrae", "vertebrae_"), ("ribs", "rib_")])
def test_every_voxel_of_the_whole_belongs_to_one_part(
    case: PhantomCase, bones: dict[str, np.ndarray], whole: str, stem: str
) -> None:
    total = np.sum([mask for name, mask in bones.items() if name.startswith(stem)], axis=0)
    assert (total == case.truth.mask(whole)).all()


def test_vertebrae_follow_each_other(case: PhantomCase, bones: dict[str, np.ndarray]) -> None:
    there = [name for name in (f"vertebrae_{level}" for level in LEVELS) if bones[name].sum() > 60]
    steps_mm = np.diff([height_mm(case, bones[name]) for name in there])
    assert len(there) > 10
    assert there.index("vertebrae_L1") > there.index("vertebrae_L5")
    assert ((steps_mm > 10) & (steps_mm < 55)).all()


@pytest.mark.parametrize("number", [5, 8, 10])
def test_ribs_are_on_their_side_and_begin_at_their_vertebra(
    case: PhantomCase, bones: dict[str, np.ndarray], number: int
) -> None:
    x = {side: case.truth.grid.world(np.argwhere(bones[f"rib_{side}_{number}"]))[:, 0] for side in ("left", "right")}
    assert x["left"].mean() < -40 < 40 < x["right"].mean()
    vertebra = case.truth.grid.world(np.argwhere(bones[f"vertebrae_T{number}"]))
    for side in ("left", "right"):
        rib = case.truth.grid.world(np.argwhere(bones[f"rib_{side}_{number}"]))
        nearest_mm = np.linalg.norm(rib[:, None] - vertebra[None], axis=-1).min()
        assert nearest_mm < 10
