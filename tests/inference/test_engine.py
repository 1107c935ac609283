from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.inference import infer_within
from ctatlas.inference.prepare import body_box
from ctatlas.models import Model, load
from ctatlas.volume.grid import Grid
from ctatlas.volume.scan import Volume
from tests.inference.scans import ALL_ORDERS, blobs, bodies, scans
from tests.reference import whole_volume
from tests.support_models import tiny_model

CLASSES = ("liver", "spleen", "aorta", "stomach")
OBLIQUE = np.array([[-1.3, 0.1, 0, 5], [0.1, 1.6, 0.2, 7], [0, -0.2, 2.5, 9], [0, 0, 0, 1.0]])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Return a network that sees its surroundings, on an anisotropic grid with axes unlike any scan's."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return load(
        tiny_model(folder, CLASSES, smooth=True, spacing_mm=[4.0, 3.0, 5.0], orientation="ASL", window=[8, 10, 6])
    )


def everywhere(volume: Volume) -> np.ndarray:
    return np.ones(volume.grid.shape, np.bool_)


def labels_of(volume: Volume, model: Model, body: np.ndarray) -> np.ndarray:
    ids = {name: channel for channel, name in model.card.foreground.items()}
    return infer_within(volume, model, body).segmentation.combined(ids)


@given(data=st.data(), volume=scans())
def test_engine_equals_the_plain_one_except_at_ties(data: st.DataObject, volume: Volume, model: Model) -> None:
    body = data.draw(bodies(volume.grid.shape))
    box = body_box(body, volume.grid)
    network = whole_volume.network_grid(volume.grid, model.card, box.lo, box.hi)
    hu, seen = (whole_volume.sampled(array, volume.grid, network) for array in (volume.array, body))
    scores = whole_volume.restored(whole_volume.probabilities(hu, seen > 1e-3, model), network, volume.grid)
    first, second = np.sort(scores, axis=0)[[-1, -2]]
    clear = np.zeros(volume.grid.shape, np.bool_)
    clear[box.slices] = (first - second > 1e-4)[box.slices]

    labels = labels_of(volume, model, body)

    np.testing.assert_array_equal(labels[clear], scores.argmax(axis=0)[clear])
    assert clear[box.slices].mean() > 0.5
    outside = labels.copy()
    outside[box.slices] = 0
    assert not outside.any()


@pytest.mark.parametrize("order", ALL_ORDERS)
def test_order_of_axes_does_not_matter(order: str, model: Model) -> None:
    volume = Volume(blobs((23, 17, 12), seed=5), Grid((23, 17, 12), OBLIQUE))
    turned = volume.reoriented(order)
    expected = infer_within(volume, model, everywhere(volume)).segmentation.reoriented(order)
    found = infer_within(turned, model, everywhere(turned)).segmentation
    shares = [(found.mask(name) == mask).mean() for name, mask in expected.items()]
    assert min(shares) > 0.9995  # ties: sums in float32 depend on their order
    assert min(mask.mean() for _, mask in found.items()) > 0.02


def test_every_structure_is_where_its_hu_is(tmp_path: Path) -> None:
    hu = np.full((61, 50, 37), -1000, np.int16, order="F")
    hu[10:50, 10:40, 4:33] = 0
    hu[15:25, 15:30, 10:20] = 150
    hu[30:45, 15:30, 10:20] = 300
    volume = Volume(hu, Grid(hu.shape, OBLIQUE))
    found = infer_within(volume, load(tiny_model(tmp_path / "tiny")), hu > -500).segmentation
    assert found.names == ("liver", "spleen", "aorta")
    assert found.mask("liver")[12:14, 12:38, 6:30].all()
    assert found.mask("spleen")[18:22, 18:27, 13:17].all()
    assert found.mask("aorta")[33:42, 18:27, 13:17].all()
    assert not any(mask[:7].any() for _, mask in found.items())


@pytest.mark.parametrize("batch", [1, 3, 50])
@pytest.mark.parametrize("threads", ["1", "3"])
def test_batch_and_threads_change_no_voxel(
    batch: int, threads: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    volume = Volume(blobs((41, 37, 28), seed=8), Grid((41, 37, 28), OBLIQUE))
    monkeypatch.setenv("CTATLAS_THREADS", threads)
    same = {"smooth": True, "spacing_mm": [4.0, 3.0, 5.0], "orientation": "ASL", "window": [8, 10, 6]}
    other = load(tiny_model(tmp_path / "tiny", CLASSES, batch=batch, **same))
    assert other.backend.workers == int(threads)
    one = infer_within(volume, model, everywhere(volume), save_probabilities=CLASSES, save_entropy=True)
    two = infer_within(volume, other, everywhere(volume), save_probabilities=CLASSES, save_entropy=True)
    np.testing.assert_array_equal(two.segmentation.layers, one.segmentation.layers)
    np.testing.assert_array_equal(two.entropy, one.entropy)
    np.testing.assert_array_equal(list(two.probabilities.values()), list(one.probabilities.values()))


def test_no_body_gives_every_structure_without_a_voxel(model: Model) -> None:
    volume = Volume(blobs((9, 10, 11), seed=1), Grid((9, 10, 11), OBLIQUE))
    found = infer_within(volume, model, ~everywhere(volume), save_probabilities=["liver"], save_entropy=True)
    assert found.segmentation.n_voxels() == dict.fromkeys(CLASSES, 0)
    assert not found.probabilities["liver"].any()
    assert not found.entropy.any()


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 30, 20), (40, 2, 3)])
def test_one_slice_or_one_voxel_is_a_scan_too(shape: tuple[int, int, int], model: Model) -> None:
    volume = Volume(np.full(shape, 300, np.int16), Grid(shape, OBLIQUE))
    assert infer_within(volume, model, everywhere(volume)).segmentation.grid == volume.grid
