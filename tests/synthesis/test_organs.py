"""Organs differ between people in volume, form, place and make, and those that belong together stay together."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ctatlas.synthesis.organs import draw_organs, grown
from ctatlas.synthesis.shapes import Tube
from ctatlas.synthesis.subject import Subject, draw_subject
from ctatlas.synthesis.tables import placement

N = 300


@pytest.fixture(scope="module")
def people() -> list[tuple[Subject, dict]]:
    rng = np.random.default_rng(0)
    subjects = [draw_subject(rng, None, ()) for _ in range(N)]
    return [(subject, draw_organs(rng, subject)) for subject in subjects]


def test_stomachs_are_collapsed_or_full_and_of_every_form(people):
    volumes = [organs["stomach"]["target_ml"] for _, organs in people]
    assert min(volumes) < 70
    assert max(volumes) > 850
    forms = Counter(organs["stomach"]["form"] for _, organs in people)
    for name, share in placement()["organs"]["stomach"]["forms"].items():
        assert forms[name] / N == pytest.approx(share, abs=4 * np.sqrt(share / N))


def test_the_splenic_vein_stays_with_the_pancreas(people):
    def apart(one: str, other: str) -> float:
        return float(np.std([np.subtract(organs[one]["shift"], organs[other]["shift"]) for _, organs in people]))

    assert apart("portal", "pancreas") < 3
    assert apart("duodenum", "pancreas") < 4
    assert apart("spleen", "pancreas") > 6


def test_every_form_has_parts():
    made = {(part["organ"], part["form"]) for part in placement()["parts"] if "form" in part}
    named = {(organ, form) for organ, group in placement()["organs"].items() for form in group.get("forms", ())}
    assert made == named


def test_fat_parts_the_pancreas_of_the_old_only(people):
    assert all(organs["pancreas"]["clefts_mm"] == 0 for subject, organs in people if subject.age < 45)
    assert np.mean([organs["pancreas"]["clefts_mm"] for subject, organs in people if subject.age > 80]) > 2


def test_a_hollow_organ_grows_more_in_calibre_than_in_length():
    tube = Tube(((0.0, 0.0, 0.0), (100.0, 0.0, 0.0)), (10.0, 10.0))
    wide = grown(tube, "stomach", {"anchor": (0.0, 0.0, 0.0), "scale": 2.0, "shift": (0.0, 0.0, 0.0)})
    length, calibre = wide.points[1][0] / 100, wide.radii[0] / 10
    assert length * calibre**2 == pytest.approx(8)
    assert 1.2 < length < calibre
