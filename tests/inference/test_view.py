import numpy as np
import pytest
from numpy.testing import assert_allclose

from ctatlas.inference import View, infer_within, mirrored_channels
from ctatlas.inference.route import plan
from ctatlas.kernels.boxes import Box
from ctatlas.models import Model, load
from ctatlas.volume import Grid, Volume
from tests.support_models import class_hu, tiny_model
from tests.volume.strategies import oblique_grid

CLASSES = ("kidney_left", "kidney_right", "liver")
HU = class_hu(CLASSES)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    extra = "[training]\nmirroring = true"
    return load(tiny_model(tmp_path_factory.mktemp("m") / "tiny", CLASSES, spacing_mm=[4.0, 5.0, 6.0], extra=extra))


def scan(order: str = "RAS") -> Volume:
    """Return a scan of three blocks; the one on the patient's left has the HU of a left kidney."""
    hu = np.full((131, 71, 31), -1000, np.int16)
    for name, box in (("kidney_left", (5, 40)), ("liver", (45, 85)), ("kidney_right", (90, 122))):
        hu[slice(*box), 8:62, 4:27] = HU[name]
    return Volume(hu, oblique_grid("RAS", shape=hu.shape)).reoriented(order)


def maps(volume: Volume, model: Model, view: View) -> dict[str, np.ndarray]:
    found = infer_within(volume, model, np.ones(volume.grid.shape, bool), view=view, keep_network=True)
    assert found.network is not None
    return {name: found.network[name] for name in CLASSES}


@pytest.mark.parametrize("code", ["RAS", "LPS", "SAR", "PIL"])
def test_a_shift_moves_the_networks_grid_by_parts_of_its_voxels_along_the_networks_axes(
    model: Model, code: str
) -> None:
    grid = oblique_grid(code, shape=(19, 15, 17))
    box = Box((0, 0, 0), grid.shape)
    plain, moved = (plan(grid, model.card, box, shift) for shift in ((0.0, 0.0, 0.0), (0.5, -0.25, 0.0)))
    way = moved.coarse.world((0, 0, 0)) - plain.coarse.world((0, 0, 0))
    upright = grid.reoriented("RAS").affine[:3, :3]
    axes = upright / np.linalg.norm(upright, axis=0)
    assert_allclose(way, axes @ (0.5 * 4.0, -0.25 * 5.0, 0.0), atol=1e-9)
    assert_allclose(moved.coarse.affine[:3, :3], plain.coarse.affine[:3, :3])


def test_a_mirrored_view_exchanges_sides_for_the_network_and_names_them_as_they_are(model: Model) -> None:
    """The tiny network goes by HU, so that exchanged names show."""
    plain, mirrored = maps(scan(), model, View()), maps(scan(), model, View(mirrored=True))
    assert_allclose(mirrored["kidney_left"], plain["kidney_right"], atol=1e-6)
    assert_allclose(mirrored["kidney_right"], plain["kidney_left"], atol=1e-6)
    assert_allclose(mirrored["liver"], plain["liver"], atol=1e-6)
    assert mirrored_channels(model.card) == [0, 2, 1, 3]


def test_how_a_scan_is_stored_changes_no_map(model: Model) -> None:
    view = View(shift=(0.5, 0.25, 0.5), spacing=1.25)
    upright, stored = (
        infer_within(volume, model, np.ones(volume.grid.shape, bool), view=view, keep_network=True).network
        for volume in (scan(), scan("SPL"))
    )
    assert upright is not None
    assert stored is not None
    assert stored.grid.reoriented("RAS").same_place(upright.grid)
    turned = Volume(np.asarray(stored["liver"]), stored.grid).reoriented("RAS")
    assert_allclose(turned.array, upright["liver"], atol=1e-5)


@pytest.mark.parametrize("view", [View(), View((0.5, 0.5, 0.5)), View(spacing=0.8)])
def test_maps_lie_where_their_grid_says(model: Model, view: View) -> None:
    volume = scan()
    found = infer_within(volume, model, np.ones(volume.grid.shape, bool), view=view, keep_network=True)
    network, mask = found.network, found.segmentation.mask("kidney_right")
    assert network is not None
    share = network.share_of(mask)
    middle, expected = (
        grid.world(np.argwhere(values > 0.5).mean(axis=0))
        for grid, values in ((network.grid, network["kidney_right"]), (volume.grid, mask))
    )
    assert np.linalg.norm(middle - expected) < 2.0  # of voxels of 4 to 6 mm
    assert share.sum() * network.grid.voxel_ml == pytest.approx(mask.sum() * volume.grid.voxel_ml, rel=0.1)


def test_without_a_body_there_is_no_network_map(model: Model) -> None:
    volume = Volume(np.zeros((5, 6, 7), np.int16), Grid((5, 6, 7), np.eye(4)))
    found = infer_within(volume, model, np.zeros((5, 6, 7), bool), keep_network=True)
    assert found.network is None
    assert not found.segmentation.mask("liver").any()
