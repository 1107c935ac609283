"""Texture of a scan laid over a drawn anatomy: only like on like, and beside the mean."""

import numpy as np
import pytest

from ctatlas.synthesis.real_textures import Texture, real_texture, texture_of, textures
from ctatlas.synthesis.tables import materials, tissue_id

STEP = 3.0
NUMBER = {name: n for n, name in enumerate(textures(), start=1)}


@pytest.fixture(scope="module")
def scan():
    """A trunk: fat around muscle around inner fat with a strand, a lung with a vessel; the muscle is graded."""
    rng = np.random.default_rng(0)
    x, y, _ = np.indices((110, 90, 24))
    r = np.hypot((x - 55) / 50, (y - 45) / 40)
    hu = np.full(r.shape, -1000.0)
    body = r < 1
    hu[body] = -100
    hu[r < 0.75] = 60 + 0.8 * (x[r < 0.75] - 55)
    hu[(r < 0.5) & (x < 55)] = -100
    hu[(np.abs(x - 42) < 2) & (np.abs(y - 45) < 2)] = 40
    hu[(r < 0.5) & (x >= 55)] = -850
    hu[(np.abs(x - 65) < 2) & (np.abs(y - 45) < 2)] = 30
    return (hu + rng.normal(0, 10, hu.shape)).astype(np.int16), body


def test_every_material_of_the_table_is_one():
    named = [material for several in textures().values() for material in several]
    assert set(named) <= materials().keys()
    assert len(named) == len(set(named))


def test_each_sort_is_found_where_it_is(scan):
    hu, body = scan
    found = texture_of(hu, body, STEP)
    assert found.sort[55, 8, 12] == NUMBER["subcutaneous"]
    assert found.sort[38, 45, 12] == NUMBER["inner_fat"]
    assert found.sort[55, 20, 12] == NUMBER["soft"]
    assert found.sort[70, 45, 12] == NUMBER["lung"]
    assert not found.sort[~body].any()


def test_strands_and_vessels_stay_and_slow_changes_go(scan):
    hu, body = scan
    found = texture_of(hu, body, STEP)
    strand = found.hu[42, 45][found.sort[42, 45] == NUMBER["inner_fat"]]
    assert strand.mean() > 100
    vessel = found.hu[65, 45][found.sort[65, 45] == NUMBER["lung"]]
    assert vessel.mean() > 700
    soft = found.sort == NUMBER["soft"]
    assert abs(found.hu[soft].mean()) < 2
    assert 5 < found.hu[soft].std() < 14  # the noise was 10; the gradient alone has 20


def test_like_is_laid_on_like_and_the_rest_stays_zero():
    sort = np.zeros((20, 20, 20), dtype=np.uint8)
    sort[:10], sort[10:] = NUMBER["soft"], NUMBER["lung"]
    scan = Texture(sort, np.where(sort == NUMBER["soft"], 7, 300).astype(np.int16))
    labels = np.zeros((30, 25, 15), dtype=np.uint8)
    labels[:15], labels[15:25] = tissue_id("liver"), tissue_id("lung_left")
    labels[25:28] = tissue_id("subcutaneous_fat")
    laid = real_texture(labels, [scan], np.random.default_rng(0))
    assert set(np.unique(laid[:15])) <= {0, 7}
    assert set(np.unique(laid[15:25])) <= {0, 300}
    assert (laid[:25] != 0).mean() > 0.8
    assert not laid[25:].any()
