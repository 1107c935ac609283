from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from ctatlas.inference.nnunet.export import Restored, export_labels, highest_between, least_likely
from ctatlas.inference.nnunet.lines import Lines, between, linear
from ctatlas.inference.nnunet.prepare import Way
from ctatlas.inference.nnunet.resample import resample
from ctatlas.kernels.boxes import Box
from ctatlas.models.nnunet import Configuration, Dataset, Resampling

Shape = tuple[int, int, int]
sizes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
new_sizes = st.tuples(st.integers(1, 23), st.integers(1, 23), st.integers(1, 23))
hows = st.builds(
    Resampling,
    order=st.sampled_from([1, 1, 1, 0, 3]),
    order_z=st.sampled_from([0, 0, 1]),
    force_separate_z=st.sampled_from([None, True, False]),
)


def _dataset(n: int, *, regions: bool = False) -> Dataset:
    labels = {f"label {value}": (value,) for value in range(1, n + 1)}
    return Dataset(
        channel_names=("CT",), labels=labels, regions_class_order=tuple(range(1, n + 1)) if regions else None
    )


def _restored(logits: np.ndarray, shape: Shape, how: Resampling, coarse_axis: int = 0) -> Restored:
    spacing = [4.0 if axis == coarse_axis else 1.0 for axis in range(3)]
    new = [step * n / m for step, n, m in zip(spacing, shape, logits.shape[1:], strict=True)]
    way = Way(shape, Box((0, 0, 0), shape), tuple(spacing), tuple(new), (0, 1, 2))
    configuration = Configuration.model_construct(resampling_probabilities=how)
    return Restored(logits, way, configuration)


def _plainly(restored: Restored) -> np.ndarray:
    """Restore all classes at once, as nnU-Net does."""
    way, how = restored.way, restored.configuration.resampling_probabilities
    return resample(restored.logits, way.box.shape, how, way.new_spacing, way.spacing)


def _logits(shape: Shape, n: int, seed: int, step: float) -> np.ndarray:
    """Draw smooth logits on steps of a size, so that ties come up."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.standard_normal((n, *shape)), (0, 1, 1, 1))
    return (np.round(smooth / step) * step).astype(np.float16)


@given(
    shape=sizes,
    new_shape=new_sizes,
    how=hows,
    axis=st.integers(0, 2),
    seed=st.integers(0, 99),
    step=st.sampled_from([0.5, 1e-3]),
)
def test_slabs_give_what_all_classes_at_once_give(
    shape: Shape, new_shape: Shape, how: Resampling, axis: int, seed: int, step: float
) -> None:
    restored = _restored(_logits(shape, 4, seed, step), new_shape, how, axis)
    plain = _plainly(restored)

    slabs = list(restored.slabs(voxels=60))

    found = np.concatenate([restored.labels(lo, hi, _dataset(3)) for lo, hi in slabs])
    assert (found == plain.argmax(0)).all()
    assert (np.concatenate([restored.slab(lo, hi) for lo, hi in slabs], axis=1) == plain).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_compiled_or_not_the_same_class_wins(dtype: type[np.floating[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    logits = _logits((7, 9, 8), 6, 1, 0.25).astype(dtype)
    lines = Lines(*map(linear, (7, 9, 8), (19, 22, 13)))
    compiled = highest_between(logits, lines)

    monkeypatch.setattr("ctatlas.inference.nnunet.export.has_numba", lambda: False)

    assert (highest_between(logits, lines) == compiled).all()
    assert (compiled == np.stack([between(each.astype(float), lines).astype(dtype) for each in logits]).argmax(0)).all()


@given(shape=sizes, new_shape=new_sizes, how=hows, seed=st.integers(0, 99))
def test_of_regions_the_last_likely_one_stands(shape: Shape, new_shape: Shape, how: Resampling, seed: int) -> None:
    restored = _restored(_logits(shape, 3, seed, 1e-3), new_shape, how)
    first, second, third = 1 / (1 + np.exp(-_plainly(restored).astype(np.float32))) > 0.5
    expected = np.select([third, second, first], [3, 2, 1], 0)

    dataset = _dataset(3, regions=True)

    found = np.concatenate([restored.labels(lo, hi, dataset) for lo, hi in restored.slabs(voxels=60)])
    assert (found == expected).all()


def test_a_region_is_likely_from_a_hair_above_zero() -> None:
    assert 0 < least_likely() < 1e-6


def _unstretched(logits: np.ndarray, way: Way) -> Restored:
    return Restored(logits, way, Configuration.model_construct(resampling_probabilities=Resampling()))


def test_what_was_cropped_away_is_background_and_axes_are_turned_back() -> None:
    logits = np.zeros((2, 3, 4, 5), np.float16)
    logits[1] = 1
    way = Way((9, 8, 7), Box((1, 2, 1), (4, 6, 6)), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (2, 0, 1))

    labels = export_labels(_unstretched(logits, way), _dataset(1))

    assert labels.shape == (7, 9, 8)
    assert labels.sum() == labels[1:6, 1:4, 2:6].sum() == 60


@pytest.mark.parametrize(("n", "dtype"), [(254, np.uint8), (255, np.uint16)])
def test_labels_are_bytes_as_long_as_they_fit(n: int, dtype: type[np.generic]) -> None:
    logits = np.zeros((n + 1, 1, 1, 1), np.float16)
    logits[n] = 1
    way = Way((1, 1, 1), Box((0, 0, 0), (1, 1, 1)), (1.0,) * 3, (1.0,) * 3, (0, 1, 2))

    labels = export_labels(_unstretched(logits, way), _dataset(n))

    assert labels.dtype == dtype
    assert labels.item() == n


def test_memory_is_that_of_a_slab_and_not_of_the_scan() -> None:
    shape = (64, 96, 96)
    restored = _restored(_logits((32, 16, 16), 25, 0, 1e-3), shape, Resampling())
    of_all_classes = 25 * int(np.prod(shape)) * 2

    tracemalloc.start()
    export_labels(restored, _dataset(24), slab_voxels=2**14)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < of_all_classes / 4
