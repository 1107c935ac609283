from __future__ import annotations

import pytest
import torch

from ctatlas.models.networks import swin
from ctatlas.models.networks.swin import (
    PATCH_MERGINGS,
    PatchMerging,
    WindowAttention,
    apart,
    shift_regions,
    window_and_shift,
)


def corners_taken(order: str) -> list[int]:
    """Merge one cube whose corner (i, j, k) holds 100 i + 10 j + k, with norm and reduction out of the way."""
    merging = PatchMerging(1, order)
    merging.norm = torch.nn.Identity()
    merging.reduction = torch.nn.Identity()
    i, j, k = torch.meshgrid(*[torch.arange(2.0)] * 3, indexing="ij")
    return [int(each) for each in merging((100 * i + 10 * j + k)[None, ..., None]).ravel()]


def test_the_old_merging_takes_two_corners_twice_and_leaves_two_out() -> None:
    assert corners_taken("monai<1.5") == [0, 100, 10, 1, 101, 10, 1, 111]


def test_the_new_merging_takes_every_corner() -> None:
    assert corners_taken("monai>=1.5") == [0, 100, 10, 1, 110, 101, 11, 111]
    assert corners_taken("v2") == [0, 1, 10, 11, 100, 101, 110, 111]
    assert set(PATCH_MERGINGS) == {"monai<1.5", "monai>=1.5", "v2"}


def test_an_axis_no_longer_than_a_window_is_one_window_and_does_not_shift() -> None:
    assert window_and_shift((6, 7, 8), 3) == ((6, 7, 7), (0, 0, 3))


def test_the_mask_parts_what_only_the_roll_made_neighbours() -> None:
    mask = apart(shift_regions((2, 4, 1), (2, 2, 1), (0, 1, 0)))
    # Two windows along the second axis; in the second, its last column came from the other end.
    parted = -100 * torch.tensor([[0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0]] * 2)
    assert torch.equal(mask, torch.stack((torch.zeros(4, 4), parted)))


def test_a_smaller_window_reads_the_corner_of_the_whole_ones_table() -> None:
    index = swin.relative_position_index()
    assert index.shape == (343, 343)
    assert index[0, 0] == (6 * 169) + (6 * 13) + 6
    assert index[342, 0] == 2196
    assert index[0, 1] == index[0, 0] - 1


@pytest.mark.parametrize("at_once", [1, 3, 64])
def test_how_many_windows_are_attended_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    torch.manual_seed(0)
    attention = WindowAttention(6, 2)
    windows = torch.randn(8, 12, 6)
    regions = torch.randint(3, (4, 12))
    whole = attention(windows, regions)
    monkeypatch.setattr(swin, "_AT_ONCE", at_once)
    torch.testing.assert_close(attention(windows, regions), whole, rtol=0, atol=1e-6)
