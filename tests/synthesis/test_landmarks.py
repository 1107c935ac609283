"""Organ centres, and the ways from one person's to another's."""

import numpy as np
import pytest

from ctatlas.synthesis.landmarks import AT_MOST_MM, fit, landmarks, pull
from ctatlas.synthesis.tables import tissue_id

STEP = 3.0


@pytest.fixture
def body():
    return np.zeros((60, 50, 70), dtype=np.uint8)


def test_centres_are_in_mm_and_leave_out_specks(body):
    body[10:30, 5:25, 20:40] = tissue_id("liver")
    body[50, 40, 50] = tissue_id("gallbladder")
    found = landmarks(body, STEP)
    assert found.keys() == {"liver"}
    np.testing.assert_allclose(found["liver"], (19.5 * STEP, 14.5 * STEP, 29.5 * STEP))


def test_what_the_first_or_last_slice_cuts_has_no_centre(body):
    body[10:30, 5:25, :20] = tissue_id("urinary_bladder_wall")
    body[10:30, 25:45, 55:] = tissue_id("heart_muscle")
    assert not landmarks(body, STEP)


def test_of_a_femur_the_head_counts_however_much_of_the_shaft_is_seen(body):
    body[10:20, 10:20, 20:40] = tissue_id("femur_left")
    short = landmarks(body, STEP)["femur_left"]
    body[10:20, 10:20, :40] = tissue_id("femur_left")
    np.testing.assert_allclose(landmarks(body, STEP)["femur_left"], short)
    assert short[2] == pytest.approx(((40 - 15) + 39) / 2 * STEP)


def test_fit_recovers_a_scale_and_shift_within_its_limits():
    rng = np.random.default_rng(1)
    person = {f"organ{n}": rng.uniform(-200, 200, 3) for n in range(12)}
    patient = {name: centre * (1.05, 0.95, 1.1) + (10, -4, 30) for name, centre in person.items()}
    scale, shift = fit(person, patient)
    np.testing.assert_allclose(scale, (1.05, 0.95, 1.1), atol=0.02)
    np.testing.assert_allclose(shift, (10, -4, 30), atol=4)


def test_fit_stays_at_one_with_a_single_organ_and_at_rest_with_none():
    scale, shift = fit({"liver": np.array([0.0, 0.0, 0.0])}, {"liver": np.array([5.0, 6.0, 7.0])})
    np.testing.assert_allclose(scale, 1)
    np.testing.assert_allclose(shift, (5, 6, 7))
    scale, shift = fit({"liver": np.zeros(3)}, {"spleen": np.zeros(3)})
    np.testing.assert_allclose(scale, 1)
    np.testing.assert_allclose(shift, 0)


def test_the_pull_takes_what_the_fit_left_to_an_organ_and_fades_away():
    person = {"liver": np.array([0.0, 0.0, 0.0])}
    patient = {"liver": np.array([12.0, -8.0, 0.0])}
    points = np.array([[12.0, 400.0], [-8.0, 0.0], [0.0, 0.0]], dtype=np.float32).reshape(3, 2, 1, 1)
    pulled = pull(person, patient, np.ones(3), np.zeros(3), points)[:, :, 0, 0]
    np.testing.assert_allclose(pulled[:, 0], np.array([-12.0, 8.0, 0.0]) / 1.3, atol=1e-4)
    np.testing.assert_allclose(pulled[:, 1], 0, atol=1e-3)


def test_the_pull_never_goes_farther_than_its_limit():
    person, patient = {"liver": np.array([500.0, 0.0, 0.0])}, {"liver": np.zeros(3)}
    pulled = pull(person, patient, np.ones(3), np.zeros(3), np.zeros((3, 1, 1, 1), dtype=np.float32))
    assert 0 < float(pulled[0].max()) <= AT_MOST_MM
