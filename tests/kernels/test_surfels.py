from __future__ import annotations

import json
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

from ctatlas.kernels import surfels
from ctatlas.kernels.surfel_areas import areas_mm2, lengths_mm

SHAPES = [(9, 7, 13), (1, 9, 17), (3, 1, 1), (1, 1, 1), (16, 16, 16), (5, 8, 24)]
CORNERS = list(product((0, 1), repeat=3))


def index_of(numbers: dict[int, int], dtype: type) -> np.ndarray:
    index = np.zeros(np.iinfo(dtype).max + 1, np.int64)
    index[list(numbers)] = list(numbers.values())
    return index


def by_definition(mask: np.ndarray, *, flat: bool) -> dict[tuple[int, ...], int]:
    """Return corner -> neighbour code, voxel by voxel."""
    planes = range(1 if flat else mask.shape[0] + 1)
    codes = {}
    for corner in product(planes, range(mask.shape[1] + 1), range(mask.shape[2] + 1)):
        code = 0
        for bit, offset in enumerate(CORNERS):
            at = tuple(c - 1 + o for c, o in zip(corner, offset, strict=True))
            if all(0 <= a < n for a, n in zip(at, mask.shape, strict=True)) and mask[at]:
                code += 2 ** (7 - bit)
        if code not in (0, 15 if flat else 255):
            codes[corner] = code
    return codes


@pytest.mark.parametrize("way", [surfels._by_loops, surfels._by_numpy])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("shape", "flat"), [*((shape, False) for shape in SHAPES), ((1, 9, 17), True)], ids=str)
def test_all_structures_of_a_label_map_at_once(way, dtype, shape, flat) -> None:
    numbers = {3: 2, 7: 1, 200: 3}
    labels = np.random.default_rng(1).choice(np.array([0, 0, 3, 7, 7, 9, 200], dtype), shape)
    found = way(labels, index_of(numbers, dtype), flat=flat)
    assert len(found) == 4
    assert not len(found[0].keys)
    for label, number in numbers.items():
        here = zip(found[number].corners().tolist(), found[number].codes.tolist(), strict=True)
        assert {tuple(corner): code for corner, code in here} == by_definition(labels == label, flat=flat)
        assert (np.diff(found[number].keys) > 0).all()


def test_nothing_has_no_surface() -> None:
    index = index_of({1: 1}, np.uint8)
    for shape in ((4, 4, 4), (0, 0, 0)):
        assert [len(each.keys) for each in surfels.surfels(np.zeros(shape, np.uint8), index)] == [0, 0]


def test_areas_and_lengths_of_the_vectors(shared_data: Path) -> None:
    path = shared_data.parent / "reference" / "vectors" / "surface_tables.json"
    if not path.is_file():
        pytest.skip(f"no vectors at {path}")
    tables = json.loads(path.read_text(encoding="utf-8"))
    for row in tables["area_3d"]:
        np.testing.assert_allclose(areas_mm2(tuple(row["spacing"])), row["area_by_code"], rtol=1e-15)
    for row in tables["length_2d"]:
        np.testing.assert_allclose(lengths_mm(tuple(row["spacing"])), row["length_by_code"], rtol=1e-15)


def test_areas_are_those_of_surface_distance_at_any_spacing() -> None:
    tables = pytest.importorskip("surface_distance").lookup_tables
    rng = np.random.default_rng(0)
    for spacing in rng.uniform(0.3, 6, (40, 3)).tolist():
        expected = tables.create_table_neighbour_code_to_surface_area(spacing)
        np.testing.assert_allclose(areas_mm2(tuple(spacing)), expected, rtol=1e-15)


@pytest.mark.parametrize("order", [*permutations(range(3))], ids=str)
@pytest.mark.parametrize("turned", CORNERS, ids=str)
def test_turning_and_swapping_axes_changes_no_bit_of_an_area(order, turned) -> None:
    spacing = (0.7, 0.9, 1.3)
    there = areas_mm2(tuple(spacing[axis] for axis in order))
    here = areas_mm2(spacing)
    for code in range(256):
        moved = 0
        for bit, corner in enumerate(CORNERS):
            if code & 128 >> bit:
                moved |= 128 >> CORNERS.index(tuple(corner[axis] ^ turned[axis] for axis in order))
        assert there[moved] == here[code]
