"""What HU tells of a real torso, proven on phantoms whose truth is known, and on the real scans where they are."""

import numpy as np
import pytest

from ctatlas.errors import ScanError
from ctatlas.synthesis.imaging import draw_scanner, render
from ctatlas.synthesis.intensities import draw_intensities
from ctatlas.synthesis.paint import paint
from ctatlas.synthesis.phantom import draw_phantom
from ctatlas.training.classes import IGNORED, channels_of_code, class_of_tissue, set_codes, trained_classes
from ctatlas.training.label_map_members import labelled_scan
from ctatlas.training.scans import SPACING_MM, UNLABELLED
from ctatlas.training.torsos import fields_of_view, find_bone, partial_labels

MM = 4.0
HARD = {"esophagus": 0.1, "other_bone": 0.1}  # gas in the gullet looks like lung, a spongy breast bone like liver
CHANNEL = {each.name: each.channel for each in trained_classes()}


@pytest.fixture(scope="module", params=["native", "arterial"])
def person(request):
    rng = np.random.default_rng([5, 1])
    axes = [np.arange(-230, 230, MM), np.arange(-170, 150, MM), np.arange(-150, 300, MM)]
    painted = paint(draw_phantom(rng, conditions=()), *axes)
    intensities = draw_intensities(rng, randomise=False, spread=0.0, phase=request.param)
    hu = render(painted, intensities, draw_scanner(rng), (MM, MM, MM))
    return tuple(np.ascontiguousarray(array[::-1, ::-1]) for array in (painted, hu.astype(np.int16)))


def test_the_true_class_is_hardly_ever_ruled_out(person):
    painted, hu = person
    labels, truth = partial_labels(hu, MM, "whole"), class_of_tissue()[painted]
    allowed = np.zeros((256, 256), dtype=bool)
    allowed[IGNORED] = True
    for code, members in channels_of_code().items():
        allowed[code, list(members)] = True
    seen = (truth < len(CHANNEL)) & (hu > -1020)  # not outside the circle of reconstruction
    wrong = ~allowed[labels, truth]
    for name, channel in CHANNEL.items():
        here = seen & (truth == channel)
        if here.any():
            assert wrong[here].mean() < HARD.get(name, 0.06), name


def test_most_of_the_body_is_judged(person):
    painted, hu = person
    labels = partial_labels(hu, MM, "whole")
    inside = painted > 0
    assert (labels[inside] == IGNORED).mean() < 0.4
    assert (labels[class_of_tissue()[painted] == CHANNEL["lungs"]] == CHANNEL["lungs"]).mean() > 0.8
    assert (labels[~inside] == 0).mean() > 0.9


def test_enhanced_blood_is_no_bone(person):
    painted, hu = person
    truth = class_of_tissue()[painted]
    bone, _ = find_bone(hu, painted > 0, truth == CHANNEL["lungs"], MM)
    assert bone.sum() * MM**3 > 200_000
    bones = np.isin(truth, [CHANNEL[name] for name in ("vertebrae", "hips", "femurs", "other_bone")])
    assert bones[bone].mean() > 0.9
    assert not bone[truth == CHANNEL["heart"]].any()


def test_near_metal_nothing_is_said_of_density(person):
    painted, hu = person
    hu = hu.copy()
    x, y, z = np.argwhere(class_of_tissue()[painted] == CHANNEL["vertebrae"]).mean(axis=0).astype(int)
    hu[x - 1 : x + 2, y - 1 : y + 2, z - 3 : z + 3] = 3000
    code = {name: value for (name, view), value in set_codes().items() if view == "whole"}
    labels = partial_labels(hu, MM, "whole")[x - 6 : x + 7, y, z]
    assert set(labels.tolist()) <= {code["no_lung"], code["anything"], CHANNEL["lungs"]}


def test_what_shows_no_torso_is_refused():
    with pytest.raises(ScanError, match="expected a torso"):
        partial_labels(np.full((30, 30, 30), -1000, dtype=np.int16), MM, "whole")


def test_the_table_names_fields_of_view_that_exist():
    views = {view for _, view in set_codes()}
    assert set(fields_of_view().values()) <= views
    assert fields_of_view().keys() == UNLABELLED.keys()


def test_on_a_labelled_real_scan_the_true_class_is_left_in_question(shared_data):
    tissues, hu = labelled_scan(shared_data)
    labels, truth = partial_labels(hu, SPACING_MM, "whole"), class_of_tissue()[tissues]
    allowed = np.zeros((256, 256), dtype=bool)
    allowed[IGNORED] = True
    for code, members in channels_of_code().items():
        allowed[code, list(members)] = True
    ruled_out = {
        name: float((~allowed[labels, truth])[truth == channel].mean())
        for name, channel in CHANNEL.items()
        if (truth == channel).any()
    }
    assert len(ruled_out) > 20
    assert {name: share for name, share in ruled_out.items() if share > 0.03} == {
        "other_bone": pytest.approx(0.06, abs=0.03)  # ribs thinner than a voxel
    }
    bones = np.isin(truth, [CHANNEL[name] for name in ("vertebrae", "hips", "femurs", "other_bone")])
    bone = labels == set_codes()["bone", "whole"]
    assert bones[bone & (truth < len(CHANNEL))].mean() > 0.97
    assert bone[bones].mean() > 0.25
