"""Copies are found whatever was done to them; different people are not taken for one."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import affine_transform

from ctatlas.atlas.add.body import coarse_body
from ctatlas.atlas.add.fingerprint import fingerprint, voxels_sha256
from ctatlas.atlas.add.likeness import NEARLY, Pictures, likeness, turned_likeness
from ctatlas.volume import Grid, Volume, box_of, read
from tests.support.atlases import coarse_phantom
from tests.volume.strategies import oblique_grid

TRUNK = 1  # a phantom whose arms are up: cutting arms away changes a picture more than cutting into a trunk


def noise(shape: tuple[int, int, int] = (5, 4, 3)) -> Volume:
    values = np.random.default_rng(3).integers(-1000, 1000, shape, np.int16)
    return Volume(np.asfortranarray(values), oblique_grid("LPS", shape=shape))


@pytest.mark.parametrize("code", ["RAS", "LPS", "SPR", "AIL"])
def test_the_hash_is_of_voxels_in_the_patients_axes(code: str) -> None:
    assert voxels_sha256(noise().reoriented(code)) == voxels_sha256(noise())


def test_a_scan_that_lost_its_place_hashes_alike_and_a_voxel_makes_a_difference() -> None:
    scan = noise()
    moved = Grid(scan.grid.shape, np.array([[0, 0, 0, 9.0], *[[0] * 4] * 3]) + scan.grid.affine)
    changed = scan.array.copy(order="F")
    changed[2, 1, 1] += 1
    assert voxels_sha256(Volume(scan.array, moved)) == voxels_sha256(scan)
    assert voxels_sha256(Volume(changed, scan.grid)) != voxels_sha256(scan)
    assert voxels_sha256(Volume(scan.array.astype(np.float32), scan.grid)) != voxels_sha256(scan)


def test_mirrored_voxels_are_another_scan() -> None:
    scan = noise()
    assert voxels_sha256(Volume(np.asfortranarray(scan.array[::-1]), scan.grid)) != voxels_sha256(scan)


def altered() -> dict[str, Volume]:
    """Return copies of a phantom, altered as releases and exports alter scans."""
    scan = coarse_phantom(TRUNK).volume
    i, j, k = scan.grid.shape
    rng = np.random.default_rng(0)
    upright = scan.reoriented("RAS")
    body = box_of(coarse_body(upright)[0])  # voxels of 5 mm and more: every one was looked at
    assert body is not None
    thick = Volume(
        np.asfortranarray(scan.array[:, :, ::2]), Grid((i, j, k // 2), scan.grid.affine @ np.diag([1, 1, 2, 1]))
    )
    noisy = np.clip(scan.array + rng.normal(0, 20, scan.array.shape), -1024, 3000).astype(np.int16)
    return {
        "turned": scan.reoriented("RSP"),
        "cut above": scan.crop((0, 0, 0), (i, j, k - 12)),
        "cut at both ends": scan.crop((0, 0, 7), (i, j, k - 9)),
        "cut to the body": upright.crop([side.start for side in body], [side.stop for side in body]),
        "clipped": Volume(np.clip(scan.array, -1000, 400), scan.grid),
        "clipped such that air is gone": Volume(np.clip(scan.array, -300, 400), scan.grid),
        "cut into the body at one side": scan.crop((i // 5, 0, 0), (i, j, k)),
        "cut into the body all around": scan.crop((i // 14, j // 14, 3), (i - i // 14, j - j // 14, k - 3)),
        "of cubes": resampled(scan, 4.0),
        "noisy": Volume(noisy, scan.grid),
        "every second slice": thick,
    }


def resampled(scan: Volume, mm: float) -> Volume:
    grid = scan.grid.resampled((mm, mm, mm))
    to_old = np.linalg.inv(scan.grid.affine) @ grid.affine
    values = affine_transform(scan.array.astype(float), to_old[:3, :3], to_old[:3, 3], grid.shape, order=1)
    return Volume(np.asfortranarray(values.astype(np.int16)), grid)


@pytest.mark.parametrize("what", altered())
def test_an_altered_copy_is_nearly_the_same(what: str) -> None:
    assert likeness(fingerprint(altered()[what]), fingerprint(coarse_phantom(TRUNK).volume)) > NEARLY


def with_another_header() -> dict[str, Volume]:
    """Return copies of a phantom whose header says other axes, or nothing, and how each is alike."""
    scan = coarse_phantom(TRUNK).volume.reoriented("RAS")
    values, affine = scan.array, scan.grid.affine
    size = scan.grid.spacing_mm
    wider = values.shape[0] - values.shape[1]
    square = np.pad(values, ((0, 0), (0, wider), (0, 0)), constant_values=-1000)
    square = square.repeat(2, 0).repeat(2, 1)  # and of 144 pixels: as scanners make them

    def of(values: np.ndarray, affine: np.ndarray = affine) -> Volume:
        return Volume(np.asfortranarray(values), Grid(values.shape, affine))

    return {
        "mirrored left to right": of(values[::-1]),
        "mirrored front to back": of(values[:, ::-1]),
        "mirrored head to feet": of(values[:, :, ::-1]),
        "turned by 180 degrees": of(values[::-1, ::-1, 8:]),
        "with turned axes": of(values.swapaxes(0, 1), np.diag([size[1], size[0], size[2], 1])),
        "with voxels of other lengths": of(values, np.eye(4)),
        "mirrored left to right, with voxels of other lengths": of(values[::-1], np.eye(4)),
        "with turned axes, with voxels of other lengths": of(square.transpose(2, 1, 0), np.eye(4)),
    }


@pytest.mark.parametrize("way", with_another_header())
def test_a_copy_with_another_header_is_nearly_the_same_and_the_way_is_told(way: str) -> None:
    picture = fingerprint(with_another_header()[way])
    known = Pictures()
    for number in range(3):
        known.add(f"case {number}", fingerprint(coarse_phantom(number).volume))
    ((name, found),) = known.like(picture)
    assert (name, found.way, found.value > NEARLY) == (f"case {TRUNK}", way, True)
    assert likeness(picture, fingerprint(coarse_phantom(TRUNK).volume)) < NEARLY


def test_different_people_are_not() -> None:
    pictures = [fingerprint(coarse_phantom(number).volume) for number in range(3)]
    assert max(likeness(one, other) for one, other in combinations(pictures, 2)) < NEARLY - 0.05
    assert max(turned_likeness(one, other).value for one, other in combinations(pictures, 2)) < NEARLY - 0.05


def test_one_scan_is_found_among_many() -> None:
    known = Pictures()
    assert known.like(fingerprint(coarse_phantom(TRUNK).volume)) == []
    for number in range(3):
        known.add(f"case {number}", fingerprint(coarse_phantom(number).volume))
    known.add("empty", "")
    for how in ("cut at both ends", "cut into the body at one side"):
        ((name, found),) = known.like(fingerprint(altered()[how]))
        assert (name, found.value > NEARLY, found.way) == (f"case {TRUNK}", True, "")


def test_real_torsos_are_told_apart_and_found_again(shared_data: Path) -> None:
    names = ("lidc-0001_ct_1p5mm", "lidc-0314_ct_2p5mm", "nsclc-r01-001_ct_2mm", "ts-example_ct")
    scans = [read(shared_data / "torso_ct" / f"{name}.nii.gz").reoriented("RAS") for name in names]
    pictures = [fingerprint(scan) for scan in scans]
    assert max(likeness(one, other) for one, other in combinations(pictures, 2)) < NEARLY - 0.05
    assert max(turned_likeness(one, other).value for one, other in combinations(pictures, 2)) < NEARLY - 0.05
    for scan, picture in zip(scans, pictures, strict=True):
        n = np.array(scan.grid.shape)
        copy = resampled(scan.crop(n // 20, n - n // 20).reoriented("LPI"), 4.0)
        assert likeness(fingerprint(Volume(np.clip(copy.array, -1000, 1000), copy.grid)), picture) >= NEARLY


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 60, 2), (9, 8, 70)])
def test_scans_without_a_body_and_odd_ones_have_a_picture_too(shape: tuple[int, int, int]) -> None:
    air = Volume(np.full(shape, -1000, np.int16, order="F"), Grid(shape, np.diag([2.0, 1.0, 3.0, 1.0])))
    assert likeness(fingerprint(air), fingerprint(air)) == 0
    assert turned_likeness(fingerprint(air), fingerprint(air)).value <= 0
    assert len(fingerprint(air)) % 128 == 0


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31))
def test_likeness_is_symmetric_and_that_of_itself_is_one(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = (rng.integers(0, 256, (length, 64), np.uint8).tobytes().hex() for length in (n, m))
    assert likeness(one, other) == pytest.approx(likeness(other, one), abs=1e-5)
    assert likeness(one, one) == pytest.approx(1, abs=1e-5)
