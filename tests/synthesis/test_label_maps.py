"""Completing a patient's label map with a drawn person."""

import numpy as np
import pytest

from ctatlas.synthesis.label_maps import LabelMap, as_tissues, centroids, complete, fit, hull_of_slices
from ctatlas.synthesis.phantom import draw_phantom
from ctatlas.synthesis.tables import tissue_id, tissues

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


def test_kidneys_get_a_cortex_and_a_medulla(patient):
    painted, known = as_tissues(patient, NAMES, STEP)
    assert known == {"liver", "spleen", "kidney_left", "kidney_right", "urinary_bladder"}
    cortex, medulla = ((painted == tissue_id(f"kidney_left_{name}")).sum() for name in ("cortex", "medulla"))
    assert cortex > medulla > 0
    assert (painted == tissue_id("liver")).sum() == (patient == 1).sum()


def test_the_patients_organs_survive_and_the_persons_copies_vanish(patient):
    painted, known = as_tissues(patient, NAMES, STEP)
    label_map = LabelMap(painted, known, patient > 0, STEP)
    rng = np.random.default_rng(0)
    whole = complete(label_map, draw_phantom(rng), rng)
    by_structure = {
        name: [t.id for t in tissues().values() if t.structure == name] for name in (*known, "lung_right", "vertebrae")
    }
    for label, name in NAMES.items():
        if name in known:
            np.testing.assert_array_equal(np.isin(whole, by_structure[name]), patient == label)
    assert np.isin(whole, by_structure["vertebrae"]).sum() * STEP**3 > 200_000
    assert not whole[patient == 0].any()


def test_fit_recovers_a_scale_and_shift_within_its_limits():
    rng = np.random.default_rng(1)
    person = {f"organ{n}": rng.uniform(-200, 200, 3) for n in range(12)}
    patient = {name: centre * (1.05, 0.95, 1.1) + (10, -4, 30) for name, centre in person.items()}
    scale, shift = fit(person, patient)
    np.testing.assert_allclose(scale, (1.05, 0.95, 1.1), atol=0.02)
    np.testing.assert_allclose(shift, (10, -4, 30), atol=4)


def test_fit_stays_at_one_with_a_single_organ():
    scale, shift = fit({"liver": np.array([0.0, 0.0, 0.0])}, {"liver": np.array([5.0, 6.0, 7.0])})
    np.testing.assert_allclose(scale, 1)
    np.testing.assert_allclose(shift, (5, 6, 7))


def test_centroids_are_in_mm_and_leave_out_specks(patient):
    painted, _ = as_tissues(patient, NAMES, STEP)
    painted[0, 0, 0] = tissue_id("gallbladder")
    found = centroids(painted, STEP)
    assert "gallbladder" not in found
    np.testing.assert_allclose(found["liver"], np.argwhere(patient == 1).mean(axis=0) * STEP)


def test_the_outline_holds_all_organs_with_a_margin():
    mask = np.zeros((60, 50, 3), dtype=bool)
    mask[15:20, 20:30, 1] = mask[40:45, 22:30, 1] = True
    body = hull_of_slices(mask, 12.0, 3.0)
    assert (body & mask).sum() == mask.sum()
    assert body[30, 25, 1]  # the gap between the organs is inside
    assert body[12, 25, 1]
    assert not body[:, :, 0].any()
