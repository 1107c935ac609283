from __future__ import annotations

import numpy as np
import pytest

from ctatlas.anatomy_rules import Tidied, apply_rules, rules_from
from ctatlas.volume import Grid, Segmentation
from tests.anatomy_rules.bodies import ellipsoid
from tests.inference.scans import ALL_ORDERS

SHAPE = (41, 31, 61)


def grid(order: str = "LPS") -> Grid:
    """Return a grid over x, y, z of about ±120, ±90, ±150 mm, in an order of axes."""
    affine = np.diag([6.0, 6.0, 5.0, 1.0])
    affine[:3, 3] = -120, -90, -150
    return Grid(SHAPE, affine).reoriented(order)


def ruled(on: Grid, masks: dict[str, np.ndarray], **row: object) -> Tidied:
    return apply_rules(Segmentation.from_masks(on, masks), rules_from([{"source": "a test", **row}]))


def at_heights(on: Grid, *z_mm: float) -> np.ndarray:
    return np.logical_or.reduce([ellipsoid(on, (0, 0, z), (20, 20, 10)) for z in z_mm])


@pytest.mark.parametrize("order", ALL_ORDERS[::7])
@pytest.mark.parametrize(
    ("parameters", "kept_mm"),
    [
        ({"below": ["liver"]}, (-120, -60)),
        ({"below": ["liver"], "by_mm": 80.0}, (-120,)),
        ({"below": ["liver"], "by_mm": -70.0}, (-120, -60, 60)),
        ({"below": ["liver"], "level": "top"}, (-120, -60)),
        ({"below": ["liver"], "level": "bottom", "by_mm": 40.0}, (-120,)),
        ({"above": ["liver"]}, (60, 120)),
        ({"above": ["liver"], "level": "top", "by_mm": 50.0}, (120,)),
    ],
)
def test_order_along_the_body(order: str, parameters: dict[str, object], kept_mm: tuple[float, ...]) -> None:
    on = grid(order)
    masks = {"spleen": at_heights(on, -120, -60, 60, 120), "liver": ellipsoid(on, (50, 0, 0), (50, 50, 50))}

    tidied = ruled(on, masks, kind="order_along_z", structure="spleen", **parameters)

    assert (tidied.segmentation.mask("spleen") == at_heights(on, *kept_mm)).all()


@pytest.mark.parametrize(("radius_mm", "is_landmark"), [(50.0, True), (30.0, False)])
def test_what_is_left_of_a_reference_moves_nothing(radius_mm: float, *, is_landmark: bool) -> None:
    on = grid()
    spleen = at_heights(on, 60)
    lung = ellipsoid(on, (-60, 0, -60), (radius_mm,) * 3)  # 520 or 110 mL, and a lung has 250 at least

    tidied = ruled(
        on, {"spleen": spleen, "lung_left": lung}, kind="order_along_z", structure="spleen", below=["lung_left"]
    )

    assert tidied.segmentation.mask("spleen").any() != is_landmark


@pytest.mark.parametrize("order", ["RAS", "LPI", "SRP"])
@pytest.mark.parametrize(
    ("parameters", "is_dropped"),
    [
        ({"below": ["liver"], "level": "middle"}, False),  # how high it goes on above the scan is not known
        ({"below": ["liver"], "level": "bottom"}, True),
        ({"above": ["liver"], "level": "middle", "by_mm": 200.0}, True),
    ],
)
def test_a_reference_that_the_scan_cuts_above(order: str, parameters: dict[str, object], *, is_dropped: bool) -> None:
    on = grid(order)
    masks = {"spleen": at_heights(on, 120), "liver": ellipsoid(on, (60, 0, 150), (40, 40, 60))}

    tidied = ruled(on, masks, kind="order_along_z", structure="spleen", **parameters)

    assert bool(tidied.findings) is is_dropped


def test_order_without_the_reference_says_nothing() -> None:
    on = grid()
    masks = {"spleen": at_heights(on, 120), "liver": np.zeros(on.shape, dtype=bool)}

    assert not ruled(on, masks, kind="order_along_z", structure="spleen", below=["liver"]).findings
    assert not ruled(on, masks, kind="order_along_z", structure="spleen", below=["heart"]).findings


def test_a_union_means_its_parts() -> None:
    on = grid()
    hips = {"hip_left": ellipsoid(on, (-60, 0, 0), (35, 35, 35)), "hip_right": ellipsoid(on, (60, 0, 0), (35, 35, 35))}
    masks = {"femur_left": at_heights(on, -80, 80), **hips}

    tidied = ruled(on, masks, kind="order_along_z", structure="femur_left", below=["hips"])

    assert (tidied.segmentation.mask("femur_left") == at_heights(on, -80)).all()


NEAR = {"kind": "near", "structure": "gallbladder", "of": ["liver"], "within_mm": 12}


@pytest.mark.parametrize(("gap_mm", "kept"), [(0, True), (5, True), (30, False)])
def test_near(gap_mm: float, *, kept: bool) -> None:
    on = grid()
    liver = ellipsoid(on, (40, 0, 0), (40, 40, 40))
    bladder = ellipsoid(on, (40, 0, -40 - gap_mm - 18), (14, 14, 18))

    tidied = ruled(on, {"liver": liver, "gallbladder": bladder}, **NEAR)

    assert (tidied.segmentation.mask("gallbladder") == (bladder if kept else False)).all()


def test_near_spares_what_the_scan_has_cut() -> None:
    on = grid()
    liver, bladder = ellipsoid(on, (40, 0, 80), (30, 30, 30)), ellipsoid(on, (0, 0, -150), (14, 14, 18))

    assert not ruled(on, {"liver": liver, "gallbladder": bladder}, **NEAR).findings


@pytest.mark.parametrize("order", ["RAS", "PIL"])
def test_between(order: str) -> None:
    on = grid(order)
    hips = {"hip_left": ellipsoid(on, (-60, 0, 0), (30, 40, 40)), "hip_right": ellipsoid(on, (60, 0, 0), (30, 40, 40))}
    inside, above = ellipsoid(on, (0, 0, -10), (25, 25, 25)), ellipsoid(on, (0, 0, 70), (25, 25, 20))
    masks = {**hips, "urinary_bladder": inside | above}
    row = {"kind": "between", "structure": "urinary_bladder", "of": ["hip_left", "hip_right"]}

    strict, wide = ruled(on, masks, **row), ruled(on, masks, **row, margin_mm=[0, 0, 40])
    one_hip = ruled(on, {**masks, "hip_left": np.zeros(on.shape, dtype=bool)}, **row)

    assert (strict.segmentation.mask("urinary_bladder") == inside).all()
    assert (wide.segmentation.mask("urinary_bladder") == (inside | above)).all()
    assert not one_hip.findings


def test_requires() -> None:
    on = grid()
    bladder = ellipsoid(on, (0, 0, 0), (30, 30, 30))
    row = {"kind": "requires", "structure": "urinary_bladder", "any_of": ["hips", "femurs"]}

    alone = ruled(on, {"urinary_bladder": bladder}, **row)
    at_home = ruled(on, {"urinary_bladder": bladder, "femur_left": ellipsoid(on, (-80, 0, -60), (20, 20, 50))}, **row)

    assert not alone.segmentation.mask("urinary_bladder").any()
    assert not at_home.findings


def test_near_midline() -> None:
    on = grid()
    spine, rib = ellipsoid(on, (10, -50, 0), (20, 20, 120)), ellipsoid(on, (90, 0, 0), (15, 15, 15))
    masks = {"vertebrae": spine | rib, "aorta": ellipsoid(on, (-60, 0, 0), (10, 10, 60))}

    tidied = ruled(on, masks, kind="near_midline", structures=["vertebrae", "aorta"], within_mm=50)

    assert (tidied.segmentation.mask("vertebrae") == spine).all()
    assert not tidied.segmentation.mask("aorta").any()


PART_OF = {"kind": "part_of", "structures": ["kidney_left"], "organ": "spleen", "touching": 0.3}


@pytest.mark.parametrize("order", ALL_ORDERS[::7])
def test_half_a_spleen_called_kidney_is_spleen_again(order: str) -> None:
    on = grid(order)
    whole, kidney = ellipsoid(on, (-60, -20, 40), (40, 30, 40)), ellipsoid(on, (-60, -20, -60), (25, 25, 40))
    back = whole & ellipsoid(on, (-60, -80, 40), (90, 60, 90))

    tidied = ruled(on, {"spleen": whole & ~back, "kidney_left": kidney | back}, **PART_OF)

    assert (tidied.segmentation.mask("spleen") == whole).all()
    assert (tidied.segmentation.mask("kidney_left") == kidney).all()
    assert {finding.structure for finding in tidied.findings} == {"kidney_left", "spleen"}
    assert "makes up 30% of its surface" in tidied.findings[0].why


@pytest.mark.parametrize("beside", [[], ["spleen"]])
def test_an_only_kidney_stays_whatever_it_touches(beside: list[str]) -> None:
    on = grid()
    kidney = ellipsoid(on, (-60, -20, 0), (25, 25, 40))
    around = ellipsoid(on, (-60, -20, 0), (50, 50, 60)) & ~kidney

    assert not ruled(on, {"kidney_left": kidney} | dict.fromkeys(beside, around), **PART_OF).findings


def test_pieces_that_all_touch_stay_and_so_do_those_that_hardly_do() -> None:
    on = grid()
    two = at_heights(on, -60, 60)
    around = ellipsoid(on, (0, 0, 0), (60, 60, 120)) & ~two
    above = at_heights(on, 85) & ~two

    assert not ruled(on, {"kidney_left": two, "spleen": around}, **PART_OF).findings
    assert not ruled(on, {"kidney_left": two, "spleen": above}, **PART_OF).findings


def test_outside_takes_shared_voxels_only() -> None:
    on = grid()
    liver, lung = ellipsoid(on, (40, 0, 0), (50, 50, 50)), ellipsoid(on, (40, 0, 70), (45, 45, 60))

    tidied = ruled(on, {"liver": liver, "lung_right": lung}, kind="outside", structure="liver", of=["lung_right"])

    assert (tidied.segmentation.mask("liver") == (liver & ~lung)).all()
    assert (tidied.segmentation.mask("lung_right") == lung).all()


INSIDE = {"kind": "inside", "structure": "liver_tumor", "of": ["liver"]}


@pytest.mark.parametrize("margin_mm", [0.0, 13.0])
def test_inside_with_a_margin(margin_mm: float) -> None:
    on = grid()
    liver, tumor = ellipsoid(on, (0, 0, 0), (50, 50, 50)), ellipsoid(on, (0, 0, 50), (20, 20, 30))

    tidied = ruled(on, {"liver": liver, "liver_tumor": tumor}, **INSIDE, margin_mm=margin_mm)

    centres = on.world(np.moveaxis(np.indices(on.shape), 0, -1))
    nearest = np.array([np.linalg.norm(centres[liver] - point, axis=1).min() for point in centres[tumor]])
    assert (tidied.segmentation.mask("liver_tumor")[tumor] == (nearest <= margin_mm)).all()


def test_inside_of_nothing_changes_nothing() -> None:
    on = grid()

    assert not ruled(on, {"liver_tumor": at_heights(on, 0)}, **INSIDE).findings
