"""Completing a patient's label map with a drawn person."""

import numpy as np
import pytest
from scipy import ndimage

from ctatlas.synthesis.label_maps import LabelMap, complete, mirrored
from ctatlas.synthesis.phantom import draw_phantom
from ctatlas.synthesis.tables import tissues
from ctatlas.synthesis.tissue_maps import as_tissues

NAMES = {
    1: "liver",
    2: "spleen",
    3: "kidney_left",
    4: "kidney_right",
    5: "urinary_bladder",
    6: "vertebrae_L1",
    118: "body",
}
STEP = 4.0


@pytest.fixture(scope="module")
def patient():
    """A crude patient: ellipses in an elliptic body, indexed (left, back, head)."""
    x, y, z = np.ogrid[-200:200:STEP, -140:140:STEP, -280:120:STEP]
    labels = np.where((x / 180) ** 2 + (y / 120) ** 2 + 0 * z < 1, 118, 0).astype(np.uint8)
    for label, centre, radii in (
        (1, (-80, -20, 20), (65, 75, 70)),
        (2, (105, 40, 30), (25, 40, 50)),
        (3, (65, 50, -10), (26, 26, 55)),
        (4, (-65, 50, -20), (26, 26, 55)),
        (5, (0, -50, -230), (45, 35, 35)),
    ):
        labels[sum(((v - c) / r) ** 2 for v, c, r in zip((x, y, z), centre, radii, strict=True)) < 1] = label
    return labels


def test_the_patients_organs_survive_and_the_persons_copies_vanish(patient):
    painted, known = as_tissues(patient, NAMES, STEP)
    label_map = LabelMap(painted, known, patient > 0, STEP)
    rng = np.random.default_rng(0)
    whole = complete([label_map], draw_phantom(rng, conditions=()), rng)
    by_structure = {
        name: [t.id for t in tissues().values() if t.structure == name] for name in (*known, "lung_right", "vertebrae")
    }
    for label, name in NAMES.items():
        if name in known:
            np.testing.assert_array_equal(np.isin(whole, by_structure[name]), patient == label)
    assert np.isin(whole, by_structure["vertebrae"]).sum() * STEP**3 > 200_000
    assert not whole[patient == 0].any()


def ids_of(structure):
    return [t.id for t in tissues().values() if t.structure == structure]


def test_a_second_patients_organs_come_to_lie_where_the_first_ones_were(patient):
    painted, known = as_tissues(patient, NAMES, STEP)
    first = LabelMap(painted, known, patient > 0, STEP)
    smaller = np.where(patient == 1, 1, 0).astype(np.uint8)[::-1][10:-10, 5:-5, 8:]  # a liver alone, on another grid
    second = LabelMap(*as_tissues(smaller, NAMES, STEP), smaller > 0, STEP)
    whole = complete([first, second], draw_phantom(np.random.default_rng(3), conditions=()), np.random.default_rng(3))
    liver, was = np.isin(whole, ids_of("liver")), patient == 1
    assert liver.sum() == pytest.approx(was.sum(), rel=0.05)
    assert 2 * (liver & was).sum() / (liver.sum() + was.sum()) > 0.9
    spleen = np.isin(whole, ids_of("spleen"))
    assert spleen.sum() == pytest.approx((patient == 2).sum(), rel=0.05)


def test_a_mirrored_frame_keeps_organs_on_their_side(patient):
    labels = patient.copy()
    labels[70:76, 40:50, 10:30] = 7
    names = NAMES | {7: "hip_left", 8: "hip_right"}
    labels[25:35, 40:50, 10:20] = 8
    label_map = LabelMap(*as_tissues(labels, names, STEP), labels > 0, STEP)
    frame = mirrored(label_map)
    for structure in ("liver", "spleen", "kidney_left", "kidney_right"):
        np.testing.assert_array_equal(
            np.isin(frame.tissues, ids_of(structure)), np.isin(label_map.tissues, ids_of(structure))
        )
    left, right = (np.argwhere(np.isin(frame.tissues, ids_of(f"hip_{side}"))) for side in ("left", "right"))
    assert len(left) == (labels == 8).sum()
    assert len(right) == (labels == 7).sum()
    assert left[:, 0].mean() > 50 > right[:, 0].mean()  # index 0 grows to the left


def test_situs_inversus_swaps_sides_and_names_and_twice_is_nothing(patient):
    label_map = LabelMap(*as_tissues(patient, NAMES, STEP), patient > 0, STEP)
    turned = mirrored(label_map, organs=True)
    liver = np.argwhere(np.isin(turned.tissues, ids_of("liver")))
    assert liver[:, 0].mean() > 50
    left = np.argwhere(np.isin(turned.tissues, ids_of("kidney_left")))
    assert left[:, 0].mean() > 50
    assert len(left) == (patient == 4).sum()
    np.testing.assert_array_equal(mirrored(turned, organs=True).tissues, label_map.tissues)


def test_the_persons_chest_does_not_stick_out_of_a_guessed_skin(patient):
    painted, known = as_tissues(patient, NAMES, STEP)
    narrow = patient > 0
    narrow[:30] = narrow[-30:] = False
    rng = np.random.default_rng(0)
    whole = complete([LabelMap(painted, known, narrow, STEP, skin_seen=False)], draw_phantom(rng, conditions=()), rng)
    lungs = np.isin(whole, [*ids_of("lung_left"), *ids_of("lung_right")])
    assert lungs.sum() * STEP**3 > 1_000_000  # two thirds of them would be cut off by the narrow skin
    near = ndimage.binary_dilation(lungs, np.ones((5, 5, 1)))  # 8 mm around, within each slice
    assert not (near & (whole == 0)).any()
