"""What is let go window by window is what is kept whole, to the last bit, and takes no more memory in a longer scan."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from ctatlas.inference import infer_within
from ctatlas.inference.decide import decide
from ctatlas.inference.predict import predict, predicted
from ctatlas.inference.prepare import Prepared, prepare
from ctatlas.inference.restore import restore, restored
from ctatlas.models import Model, load
from ctatlas.volume.grid import Grid
from ctatlas.volume.scan import Volume
from tests.inference.scans import ALL_ORDERS, blobs
from tests.support_models import tiny_model

CLASSES = ("liver", "spleen", "aorta", "stomach")
OBLIQUE = np.array([[-1.3, 0.1, 0, 5], [0.1, 1.6, 0.2, 7], [0, -0.2, 2.5, 9], [0, 0, 0, 1.0]])
GRID = {"smooth": True, "spacing_mm": [4.0, 3.0, 5.0], "window": [8, 10, 6]}


def made(folder: Path, **card: object) -> Model:
    return load(tiny_model(folder, CLASSES, **GRID | card))


def prepared_for(model: Model, shape: tuple[int, int, int] = (33, 40, 47), order: str = "RAS") -> Prepared:
    volume = Volume(blobs(shape, seed=4), Grid(shape, OBLIQUE)).reoriented(order)
    body = np.zeros(volume.grid.shape, np.bool_, order="F")
    body[3:-5, 2:-4, 4:-2] = True
    return prepare(volume, model.card, body)


@pytest.mark.parametrize("order", ALL_ORDERS[::5])
def test_planes_come_one_after_the_other_without_a_gap(order: str, tmp_path: Path) -> None:
    model = made(tmp_path / "tiny", orientation="ASL")
    prepared = prepared_for(model, order=order)
    ends = [0]
    for planes in predicted(prepared, model):
        assert planes.first == ends[-1]
        assert planes.values.shape[:3] == (5, *prepared.route.coarse.shape[:2])
        ends.append(planes.end)
    assert ends[-1] == prepared.route.coarse.shape[2]
    assert len(ends) >= 3


@pytest.mark.parametrize("decide_by", ["argmax", "threshold"])
@pytest.mark.parametrize("order", ["RAS", "LPI", "SAR", "AIL", "PSR"])
def test_what_passes_by_is_what_was_kept(order: str, decide_by: str, tmp_path: Path) -> None:
    model = made(tmp_path / "tiny", orientation="ILA", overlap=0.75, decide=decide_by)
    prepared = prepared_for(model, order=order)
    whole = restore(predict(prepared, model), prepared.route, slab_voxels=5000)
    passing = list(restored(predicted(prepared, model), prepared.route, slab_voxels=5000))
    assert [slab.box for slab in passing] == [slab.box for slab in whole]
    for one, other in zip(passing, whole, strict=True):
        np.testing.assert_array_equal(one.planes, other.planes)
    kept, found = (decide(slabs, model.card, prepared.route.scan) for slabs in (whole, iter(passing)))
    assert sum(mask.any() for _, mask in kept.items()) >= 3
    for name, mask in kept.items():
        np.testing.assert_array_equal(found.mask(name), mask)


def test_the_engine_gives_the_same_whether_probabilities_are_wanted_or_not(tmp_path: Path) -> None:
    model = made(tmp_path / "tiny")
    volume = Volume(blobs((41, 37, 58), seed=8), Grid((41, 37, 58), OBLIQUE))
    everywhere = np.ones(volume.grid.shape, np.bool_)
    passing = infer_within(volume, model, everywhere, save_entropy=True)
    kept = infer_within(volume, model, everywhere, save_probabilities=CLASSES, save_entropy=True, keep_network=True)
    np.testing.assert_array_equal(passing.segmentation.layers, kept.segmentation.layers)
    np.testing.assert_array_equal(passing.entropy, kept.entropy)


def peak_of(model: Model, n_slices: int) -> tuple[int, int]:
    """Return the most that is held while all planes pass, and what the probabilities would take whole."""
    prepared = prepared_for(model, (90, 80, n_slices))
    tracemalloc.start()
    for _ in restored(predicted(prepared, model), prepared.route, slab_voxels=4 * 90 * 80):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak, 4 * len(model.card.classes) * prepared.route.coarse.n_voxels


def test_a_longer_scan_takes_no_more_memory(tmp_path: Path) -> None:
    model = made(tmp_path / "tiny", orientation="LPS", spacing_mm=[2.0, 2.0, 2.5], window=[16, 16, 16])
    (short, _), (long, whole) = peak_of(model, 60), peak_of(model, 180)
    assert short > 4 * 5 * 16**3  # else nothing was measured
    assert long < 1.1 * short
    assert long < whole / 3
