from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ctatlas.results.preview import best_planes, color_on_black, preview
from ctatlas.volume import Grid, Segmentation, Volume

LIVER_AT = (slice(30, 36), slice(8, 20), slice(10, 14))  # RAS: on the patient's right
SHAPE = (40, 30, 16)
SPACING = (2.0, 3.0, 6.0)


@pytest.fixture(scope="module")
def body() -> Volume:
    hu = np.full(SHAPE, -1000, np.int16)
    hu[4:36, 5:25, 1:15] = 0
    hu[LIVER_AT] = 240
    return Volume(hu, Grid(SHAPE, np.diag([*SPACING, 1.0])))


@pytest.fixture(scope="module")
def liver(body: Volume) -> Segmentation:
    mask = np.zeros(SHAPE, bool)
    mask[LIVER_AT] = True
    return Segmentation.from_masks(body.grid, {"liver": mask, "spleen": np.zeros(SHAPE, bool)})


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def center(mask: np.ndarray) -> tuple[float, float]:
    rows, columns = np.nonzero(mask)
    return rows.mean(), columns.mean()


def panes(body: Volume) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return, pane by pane, where it is brighter than the soft tissue of the body and where tissue is at all."""
    picture = pixels(preview(body, Segmentation(body.grid)))
    gray = (np.ptp(picture, axis=2) == 0) & (np.arange(len(picture)) < len(picture) - 50)[:, None]
    level = picture[:, :, 0]
    tissue = gray & (level > 90) & (level < 110)  # 0 HU in the window of -160 to 240
    # panes are told apart by the columns without any tissue between them
    columns = np.flatnonzero(tissue.sum(axis=0) > 20)
    parts = np.split(columns, np.flatnonzero(np.diff(columns) > 20) + 1)
    return [(picture[:, p[0] - 1 : p[-1] + 1], tissue[:, p[0] - 1 : p[-1] + 1]) for p in parts]


def test_planes_go_where_structures_show_most() -> None:
    large, small = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    large[5:20, 5:20, 2:8] = True
    small[7:9, 10:12, 6:10] = True
    grid = Grid(SHAPE, np.eye(4))
    i, j, k = best_planes(Segmentation.from_masks(grid, {"liver": large & ~small, "gallbladder": small}))
    assert i in (7, 8)
    assert j in (10, 11)
    assert k in (6, 7)


def test_planes_of_nothing_are_in_the_middle() -> None:
    assert best_planes(Segmentation(Grid(SHAPE, np.eye(4)))) == (20, 15, 8)


def test_there_are_three_planes_of_true_proportions(body: Volume) -> None:
    found = panes(body)
    assert len(found) == 3
    millimetres = [(32 * 2, 20 * 3), (32 * 2, 14 * 6), (20 * 3, 14 * 6)]  # columns, rows of the block of tissue
    for (_, tissue), (columns_mm, rows_mm) in zip(found, millimetres, strict=True):
        rows, columns = np.nonzero(tissue)
        assert np.ptp(columns) / np.ptp(rows) == pytest.approx(columns_mm / rows_mm, rel=0.06)


@pytest.mark.parametrize("code", ["RAS", "LPS", "SAR", "AIL"])
def test_the_patients_right_is_at_the_left_and_the_head_is_up_however_the_scan_is_stored(
    body: Volume, liver: Segmentation, code: str
) -> None:
    assert preview(body.reoriented(code), liver.reoriented(code)) == preview(body, liver)
    found = panes(body)
    # without structures the planes are in the middle: coronal j = 15 crosses the bright block, axial k = 8 does not
    (coronal, tissue) = found[1]
    bright = coronal[:, :, 0] > 240
    assert center(bright)[1] < center(tissue)[1]
    assert center(bright)[0] < center(tissue)[0]


def test_outlines_and_legend_bear_the_structures_colour(body: Volume, liver: Segmentation) -> None:
    with_liver, without = pixels(preview(body, liver)), pixels(preview(body, liver.select(["spleen"])))
    color = np.multiply(color_on_black("liver"), 255)

    def n_colored(picture: np.ndarray) -> int:
        return int((np.abs(picture - color).max(axis=2) < 12).sum())

    assert n_colored(with_liver) > 300
    assert n_colored(without) == 0


def test_the_same_scan_gives_the_same_bytes(body: Volume, liver: Segmentation) -> None:
    assert preview(body, liver, title="a") == preview(body, liver, title="a")
