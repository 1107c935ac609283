from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.inference.nnunet.resample import (
    axis_apart,
    resample,
    resample_labels,
    resampled_shape,
    resize,
    resize_labels,
)
from ctatlas.models.nnunet import Resampling

sizes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))


@given(sizes, sizes, st.integers(0, 3), st.integers(0, 9))
def test_an_array_is_resized_as_scikit_image_does(
    shape: tuple[int, int, int], new_shape: tuple[int, int, int], order: int, seed: int
) -> None:
    transform = pytest.importorskip("skimage.transform")
    values = np.random.default_rng(seed).standard_normal(shape)

    expected = transform.resize(values, new_shape, order, mode="edge", anti_aliasing=False)

    assert (resize(values, new_shape, order) == expected).all()


@pytest.mark.parametrize(
    ("spacing", "new_spacing", "axis"),
    [
        ((5.0, 1.0, 1.0), (1.0, 1.0, 1.0), 0),
        ((3.0, 1.0, 1.0), (1.0, 1.0, 1.0), None),  # three times is not more than three times
        ((1.0, 1.0, 1.0), (1.0, 4.0, 1.0), 1),
        ((1.0, 1.0, 5.0), (4.0, 1.0, 1.0), 2),  # the old grid speaks first
        ((5.0, 5.0, 1.0), (1.0, 1.0, 1.0), None),  # no single axis is the coarse one
    ],
)
def test_an_axis_is_taken_apart_when_it_is_much_coarser(
    spacing: tuple[float, ...], new_spacing: tuple[float, ...], axis: int | None
) -> None:
    assert axis_apart(Resampling(), spacing, new_spacing) == axis


def test_plans_may_force_it_or_forbid_it() -> None:
    assert axis_apart(Resampling(force_separate_z=True), (1.2, 1.0, 1.0), (9.0, 1.0, 1.0)) == 0
    assert axis_apart(Resampling(force_separate_z=False), (9.0, 1.0, 1.0), (1.0, 1.0, 1.0)) is None


def test_halves_of_voxels_are_rounded_to_even() -> None:
    assert resampled_shape((5, 7, 9), (1.0, 1.0, 1.0), (2.0, 2.0, 2.0)) == (2, 4, 4)


def test_slices_far_apart_are_not_mixed() -> None:
    values = np.zeros((1, 2, 4, 4), np.float32)
    values[0, 1] = 1

    found = resample(values, (6, 8, 8), Resampling(order=3), (6.0, 1.0, 1.0), (2.0, 0.5, 0.5))

    assert np.unique(found).tolist() == [0, 1]
    assert (found[0, 3:] == 1).all()


def test_a_label_goes_where_its_share_is_highest() -> None:
    labels = np.zeros((1, 1, 6), np.int32)
    labels[..., 2:4], labels[..., 4:] = 7, -1

    found = resize_labels(labels, (1, 1, 12), 1)

    assert found.ravel().tolist() == [0, 0, 0, 0, 7, 7, 7, 7, -1, -1, -1, -1]


def test_torch_interpolates_labels_and_logits_apart_along_a_coarse_axis() -> None:
    how = Resampling(kind="torch", force_separate_z=None)
    rng = np.random.default_rng(0)
    values = rng.standard_normal((2, 3, 5, 4)).astype(np.float16)

    found = resample(values, (9, 10, 8), how, (9.0, 1.0, 1.0), (3.0, 0.5, 0.5))

    assert found.dtype == np.float32
    assert (found[:, 0:3] == found[:, 1:2]).all()
    assert np.ptp(found[:, 2:4], axis=1).max() > 0.1

    labels = (values[0] > 0).astype(np.int32)
    shares = resample(labels[None].astype(np.float32), (9, 10, 8), how, (9.0, 1.0, 1.0), (3.0, 0.5, 0.5))[0]
    sure = np.abs(shares - 0.5) > 0.01
    resampled = resample_labels(labels, (9, 10, 8), how, (9.0, 1.0, 1.0), (3.0, 0.5, 0.5))
    assert (resampled == (shares > 0.5))[sure].all()
