from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.errors import ModelError
from ctatlas.inference import infer, infer_within
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


def torso() -> Volume:
    """Return a trunk in air: skin, fat and muscle, two lungs, and a liver of 130 HU on the patient's right."""
    x, y, z = np.meshgrid(np.arange(80), np.arange(60), np.arange(45), indexing="ij")
    outline = ((x - 39.5) / 34) ** 2 + ((y - 29.5) / 25) ** 2
    hu = np.full(x.shape, -1000, np.int16)
    hu[outline < 1] = -100
    hu[outline < 0.8] = 50
    hu[((np.abs(x - 39.5) - 14) / 9) ** 2 + ((y - 30) / 14) ** 2 + ((z - 34) / 9) ** 2 < 1] = -850
    hu[(x > 45) & (x < 62) & (np.abs(y - 30) < 10) & (z > 4) & (z < 18)] = 130
    return Volume(hu, Grid(hu.shape, np.diag([4.0, 4.0, 5.0, 1])))


CALIBRATED = '[calibrated]\nstructures = ["body", "lung_left", "lung_right"]'
HU = {"gallbladder": -100, "spleen": 50, "liver": 130}


@pytest.mark.parametrize("order", ["RAS", "LPS", "SAL"])
def test_what_hu_gives_stands_beside_what_the_network_gives(order: str, tmp_path: Path) -> None:
    model = load(tiny_model(tmp_path / "tiny", list(HU), hu=HU, extra=CALIBRATED))
    volume = torso().reoriented(order)
    found = infer(volume, model, save_probabilities=True, save_entropy=True)
    at = found.segmentation.reoriented("RAS")
    assert set(at.names) == {*HU, "body", "lung_left", "lung_right"}
    assert at.mask("liver")[48:60, 24:36, 7:16].all()
    assert at.mask("lung_right")[50:58, 26:34, 30:38].all()  # x grows to the patient's right
    assert at.mask("lung_left")[21:29, 26:34, 30:38].all()
    assert at.mask("body")[15:65, 15:45, 2:43].all()
    assert not at.mask("body")[:4].any()
    assert list(found.probabilities) == list(HU)
    assert found.probabilities["liver"].shape == volume.grid.shape == found.entropy.shape
    assert found.why_nothing == ""


def test_a_scan_without_a_torso_gives_nothing_and_the_reason(tmp_path: Path) -> None:
    model = load(tiny_model(tmp_path / "tiny", list(HU), hu=HU, extra=CALIBRATED))
    air = Volume(np.full((30, 20, 10), -1000, np.int16), Grid((30, 20, 10), np.diag([4.0, 4.0, 5.0, 1])))
    found = infer(air, model)
    assert found.why_nothing
    assert set(found.segmentation.n_voxels().values()) == {0}
    assert set(found.segmentation.names) == {*HU, "body", "lung_left", "lung_right"}
    assert found.entropy is None
    assert not found.probabilities


def test_a_card_that_asks_hu_for_too_much_is_refused(tmp_path: Path) -> None:
    model = load(tiny_model(tmp_path / "tiny", extra='[calibrated]\nstructures = ["pancreas"]'))
    with pytest.raises(ModelError, match="can't find pancreas without learning; can: body, lung_left"):
        infer(torso(), model)
