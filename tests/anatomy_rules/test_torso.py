"""The table for the torso on a healthy body, on the faults that a network is known for, and on cut scans."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation
from scipy.spatial.transform import Rotation

from ctatlas.anatomy import structures
from ctatlas.anatomy_rules import Tidied, apply_rules, rule_table
from ctatlas.volume import Grid, Segmentation
from tests.anatomy_rules.bodies import NAMES, Triple, body, ellipsoid, grid_of, segmentation, swapped

OBLIQUE = Rotation.from_euler("xyz", (8, -6, 11), degrees=True).as_matrix()
GRIDS = {
    "RAS": grid_of((6.0, 6.0, 6.0)),
    "SPL": grid_of((6.0, 7.0, 5.0)).reoriented("SPL"),
    "oblique": grid_of((6.0, 5.5, 6.5), turn=OBLIQUE),
}


def tidy(grid: Grid, masks: Mapping[str, np.ndarray]) -> Tidied:
    return apply_rules(segmentation(grid, masks), rule_table("torso"))


def volume_ml(mask: np.ndarray, grid: Grid) -> float:
    return float(np.count_nonzero(mask)) * grid.voxel_ml


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
@pytest.mark.parametrize("mirror", [False, True], ids=["usual", "mirror-wise"])
def test_a_healthy_body_stays_as_it_is(grid: Grid, mirror: bool) -> None:  # noqa: FBT001
    masks = body(grid, mirror=mirror)

    tidied = tidy(grid, masks)

    assert all((tidied.segmentation.mask(name) == mask).all() for name, mask in masks.items())
    assert [finding.rule for finding in tidied.findings] == (["situs"] if mirror else [])


@pytest.mark.parametrize("grid", [GRIDS["SPL"], GRIDS["oblique"]], ids=["SPL", "oblique"])
@pytest.mark.parametrize(
    ("name", "centre", "radii"),
    [
        pytest.param("hip_left", (-140, -20, 195), (25, 30, 35), id="hip on the shoulder"),
        pytest.param("hip_right", (140, -20, 195), (25, 30, 35), id="other hip on the shoulder"),
        pytest.param("hip_right", (120, -60, 60), (15, 20, 40), id="hip on ribs"),
        pytest.param("femur_left", (-150, 0, 200), (20, 20, 40), id="femur on the upper arm"),
        pytest.param("femur_right", (95, -20, -190), (15, 15, 15), id="femur on the hip bone"),
        pytest.param("gallbladder", (-100, 60, -60), (20, 20, 25), id="gallbladder left of the spine"),
        pytest.param("gallbladder", (105, 20, -130), (16, 16, 30), id="gallbladder on the colon, away from the liver"),
        pytest.param("gallbladder", (70, 60, 45), (20, 20, 25), id="gallbladder on the liver's dome"),
        pytest.param("kidney_right", (100, -60, 40), (10, 10, 28), id="kidney behind the liver's dome"),
        pytest.param("kidney_right", (105, -40, 150), (16, 16, 40), id="kidney in the chest"),
        pytest.param("kidney_left", (-112, 10, -130), (14, 14, 20), id="kidney on the colon"),
        pytest.param("urinary_bladder", (20, 60, 0), (50, 40, 40), id="bladder in the upper belly"),
        pytest.param("urinary_bladder", (0, 60, -130), (50, 35, 35), id="bladder above the hips"),
        pytest.param("heart", (0, 40, -180), (60, 50, 50), id="heart in the pelvis"),
        pytest.param("heart", (-45, 40, -10), (60, 50, 50), id="heart in the belly"),
        pytest.param("spleen", (110, -30, 0), (30, 45, 50), id="spleen on the right"),
        pytest.param("spleen", (-75, 0, 210), (30, 45, 30), id="spleen in the chest"),
        pytest.param("liver", (0, 80, 230), (40, 30, 25), id="liver in the neck"),
        pytest.param("liver", (-105, 10, -200), (40, 30, 30), id="a small second liver"),
        pytest.param("stomach", (100, 40, -60), (30, 30, 30), id="stomach on the right"),
        pytest.param("stomach", (-20, 50, -250), (30, 30, 30), id="stomach in the pelvis"),
        pytest.param("vertebrae", (95, -80, 60), (12, 12, 20), id="vertebra on a rib"),
        pytest.param("aorta", (100, -60, -150), (12, 12, 80), id="aorta in the flank"),
        pytest.param("inferior_vena_cava", (-40, -30, -100), (9, 9, 30), id="vein left of the aorta"),
        pytest.param("inferior_vena_cava", (10, 30, 200), (10, 10, 40), id="lower vein in the upper chest"),
        pytest.param("colon", (75, 0, 190), (20, 20, 20), id="colon in the upper chest"),
        pytest.param("pancreas", (0, 10, 150), (60, 14, 14), id="pancreas in the chest"),
        pytest.param("iliopsoas_left", (-50, -60, 80), (16, 16, 50), id="hip muscle beside the thoracic spine"),
    ],
)
def test_a_false_organ_goes_and_all_else_stays(grid: Grid, name: str, centre: Triple, radii: Triple) -> None:
    masks = body(grid)
    false = ellipsoid(grid, centre, radii) & ~binary_dilation(masks[name], np.ones((3, 3, 3)))
    faulty = {key: mask & ~false for key, mask in masks.items()} | {name: masks[name] | false}

    tidied = tidy(grid, faulty)

    left = {key: tidied.segmentation.mask(key) for key in masks}
    assert volume_ml(false, grid) > 2
    assert (left[name] == masks[name]).all()
    assert any(finding.structure == name and finding.removed_ml > 2 for finding in tidied.findings)
    assert all((left[key] >= faulty[key]).all() for key in masks if key != name)
    assert all((left[key] <= masks[key]).all() for key in masks)  # where the false one was, holes may be filled


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
@pytest.mark.parametrize("mirror", [False, True], ids=["usual", "mirror-wise"])
def test_half_a_kidney_called_by_the_other_side_comes_home(grid: Grid, mirror: bool) -> None:  # noqa: FBT001
    masks = body(grid, mirror=mirror)
    lower = masks["kidney_right"] & (grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))[..., 2] < -70)
    faulty = dict(masks) | {"kidney_right": masks["kidney_right"] & ~lower, "kidney_left": masks["kidney_left"] | lower}

    tidied = tidy(grid, faulty)

    assert (tidied.segmentation.mask("kidney_right") == masks["kidney_right"]).all()
    assert (tidied.segmentation.mask("kidney_left") == masks["kidney_left"]).all()
    moved_ml = volume_ml(lower, grid)
    assert [(f.structure, f.removed_ml, f.added_ml) for f in tidied.findings[-2:]] == [
        ("kidney_left", pytest.approx(moved_ml, abs=0.001), 0.0),
        ("kidney_right", 0.0, pytest.approx(moved_ml, abs=0.001)),
    ]


def test_names_on_the_wrong_sides_are_put_right() -> None:
    grid = GRIDS["SPL"]
    masks = body(grid)
    pairs = [name for name in NAMES if name.startswith(("kidney", "iliopsoas"))]

    tidied = tidy(grid, dict(masks) | {name: masks[swapped(name)] for name in pairs})

    assert all((tidied.segmentation.mask(name) == masks[name]).all() for name in pairs)


@pytest.mark.parametrize("lost", ["kidney_left", "kidney_right", "spleen", "lung_right", "liver", "hip_left"])
def test_an_organ_that_was_taken_out_is_no_fault_of_the_others(lost: str) -> None:
    grid = GRIDS["oblique"]
    masks = body(grid, without=(lost,))

    tidied = tidy(grid, masks)

    assert all((tidied.segmentation.mask(name) == mask).all() for name, mask in masks.items())


@given(ends=st.tuples(st.integers(0, 97), st.integers(0, 97)), sides=st.tuples(st.integers(0, 12), st.integers(48, 59)))
def test_a_cut_scan_loses_nothing(ends: tuple[int, int], sides: tuple[int, int]) -> None:
    grid = GRIDS["RAS"]
    box = slice(*sides), slice(0, grid.shape[1]), slice(min(ends), max(ends) + 1)
    part = grid.crop([side.start for side in box], [side.stop for side in box])
    masks = {name: mask[box] for name, mask in body(grid).items()}

    tidied = tidy(part, masks)

    lost_ml = {name: volume_ml(mask & ~tidied.segmentation.mask(name), part) for name, mask in masks.items()}
    # Of large organs the table drops what the end of a scan leaves below 5 mL.
    assert {name: ml for name, ml in lost_ml.items() if ml > max(5.0, 0.05 * volume_ml(masks[name], part))} == {}


def test_a_real_body_stays_as_it_is_however_the_scan_is_cut(shared_data: Path) -> None:
    whole = _real(shared_data)
    cuts = [(0, 112), (0, 56), (28, 84), (56, 112), (84, 112), (40, 70)]

    lost = [
        finding
        for low, high in cuts
        for finding in apply_rules(_between(whole, low, high), rule_table("torso")).findings
        if finding.removed_ml > 5
    ]

    assert lost == []


def _real(shared_data: Path) -> Segmentation:
    """Return the label map `ts-example`, its lobes and vertebrae joined."""
    image = nibabel.load(shared_data / "labelmaps" / "ts-example_labels.nii.gz")
    ids = np.asarray(image.dataobj).astype(np.uint8)
    grid = Grid(ids.shape, image.affine)
    masks = {name: ids == value for value, name in _REAL_NAMES.items()}
    joined = {"lung_left": (10, 11), "lung_right": (12, 13, 14), "vertebrae": range(26, 51)}
    return segmentation(grid, dict(masks) | {name: np.isin(ids, list(values)) for name, values in joined.items()})


def _between(whole: Segmentation, low: int, high: int) -> Segmentation:
    """Return the slices low <= k < high."""
    i, j, _ = whole.grid.shape
    part = whole.grid.crop((0, 0, low), (i, j, high))
    return segmentation(part, {name: mask[:, :, low:high] for name, mask in whole.items()})


_REAL_NAMES = {
    1: "spleen", 2: "kidney_right", 3: "kidney_left", 4: "gallbladder", 5: "liver", 6: "stomach", 7: "pancreas",
    18: "small_bowel", 20: "colon", 21: "urinary_bladder", 52: "aorta", 63: "inferior_vena_cava", 75: "femur_left",
    76: "femur_right", 77: "hip_left", 78: "hip_right", 88: "iliopsoas_left", 89: "iliopsoas_right",
}  # fmt: skip


def test_every_structure_and_reference_of_the_table_is_known() -> None:
    rows = rule_table("torso")
    references = [row.parameters.get(key, ()) for row in rows for key in ("of", "below", "above", "any_of")]

    named = {name for row in rows for name in row.structures} | {name for each in references for name in each}

    assert named <= structures().keys()
    assert all(row.source for row in rows)
