"""The skin around organs."""

from itertools import pairwise

import numpy as np

from ctatlas.synthesis.outlines import hull_of_slices, in_outline
from ctatlas.synthesis.tables import tissue_id


def test_the_outline_holds_all_organs_with_a_margin():
    mask = np.zeros((60, 50, 3), dtype=bool)
    mask[15:20, 20:30, 1] = mask[40:45, 22:30, 1] = True
    body = hull_of_slices(mask, 12.0, 3.0)
    assert (body & mask).sum() == mask.sum()
    assert body[30, 25, 1]  # the gap between the organs is inside
    assert body[12, 25, 1]
    assert not body[:, :, 0].any()


def test_under_the_skin_lie_fat_then_muscle():
    body = np.zeros((80, 80, 1), dtype=bool)
    body[5:75, 5:75] = True
    painted = np.zeros(body.shape, dtype=np.uint8)
    painted[40:, :, :] = tissue_id("liver")
    out = in_outline(painted, body, 2.0, 10.0)
    inwards = [int(v) for v in out[:40, 40, 0]]
    order = [inwards[0], *(b for a, b in pairwise(inwards) if a != b)]
    assert order == [tissue_id(n) for n in ("air", "skin", "subcutaneous_fat", "muscle", "visceral_fat")]
    assert out[50, 40, 0] == tissue_id("liver")
    assert (out[74, 5:75, 0] == tissue_id("skin")).all()
