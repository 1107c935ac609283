"""Votes on a scan and what of them is learnt: on a drawn person whose truth is known."""

import shutil
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import pytest
from scipy import ndimage

pytest.importorskip("torch", reason="training needs the extra 'torch'")

from ctatlas.errors import ModelError, ScanError
from ctatlas.inference import Scene, View
from ctatlas.models import Model, read_card
from ctatlas.synthesis.imaging import draw_scanner, render
from ctatlas.synthesis.intensities import draw_intensities
from ctatlas.synthesis.paint import paint
from ctatlas.synthesis.phantom import draw_phantom
from ctatlas.training.card import card_text
from ctatlas.training.classes import class_of_tissue, set_codes, trained_classes
from ctatlas.training.pseudo_labels import confidence, pseudo_labels, record
from ctatlas.training.torsos import partial_labels
from ctatlas.training.votes import Votes, vote
from ctatlas.volume import Grid, Volume

MM = 5.0
CHANNEL = {each.name: each.channel for each in trained_classes()}
N = len(CHANNEL)


@dataclass(frozen=True)
class Says:
    """A network that finds the same logits everywhere."""

    classes: tuple[str, ...]
    workers: int = 1
    n_channels: int | None = None
    n_classes: int | None = None

    def logits(self, windows: np.ndarray) -> np.ndarray:
        found = np.full((len(windows), N, *windows.shape[2:]), -20, np.float32)
        for name in self.classes:
            found[:, CHANNEL[name]] = 0
        return found


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    shutil.copy(str(files("ctatlas.models") / "data" / "base" / "network.onnx"), folder / "network.onnx")
    (folder / "card.toml").write_text(card_text(folder, [], {}, "0"), encoding="utf-8")
    return read_card(folder / "card.toml")


@pytest.fixture(scope="module")
def person():
    """A scan (right, front, head), the true class of its voxels, and what its HU tell."""
    axes = [np.arange(-220, 220, MM), np.arange(-190, 150, MM), np.arange(-100, 260, MM)]
    painted = paint(draw_phantom(np.random.default_rng([5, 1]), conditions=()), *axes)
    rng = np.random.default_rng(0)
    intensities = draw_intensities(rng, randomise=False, spread=0.0, phase="portal")
    hu = render(painted, intensities, draw_scanner(rng), (MM,) * 3)
    painted, hu = (np.ascontiguousarray(array[::-1, ::-1]) for array in (painted, hu.astype(np.int16)))
    return hu, class_of_tissue()[painted], partial_labels(hu, MM, "above_pelvis")


@cache
def scene_of(hu_bytes, shape):
    """Keep what calibrated HU gives of a scan over the tests."""
    hu = np.frombuffer(hu_bytes, np.int16).reshape(shape)
    return Scene(Volume(np.asfortranarray(hu), Grid(shape, np.diag([MM, MM, MM, 1.0]))))


def votes_for(hu, winner, sure=0.98, apart=0.0):
    """Make votes of a map of winning classes."""
    mean = np.full((N, *hu.shape), (1 - sure) / (N - 1), np.float32)
    np.put_along_axis(mean, winner[None].astype(np.intp), np.float32(sure), axis=0)
    return Votes(scene_of(hu.tobytes(), hu.shape), mean, np.full_like(mean, apart))


def certain(truth):
    return np.where(truth < N, truth, 0).astype(np.uint8)


def test_votes_are_means_and_tell_where_they_differ(person, card):
    beside = 70  # voxels of air: more than a window
    hu = np.pad(person[0], ((beside, 0), (0, 0), (0, 0)), constant_values=-1000)
    models = [Model(card, Says(("liver",))), Model(card, Says(("spleen",)))]
    votes = vote(hu, MM, models, views=(View(shift=(0.5, 0.5, 0.5)),))
    i, j, k = np.argwhere(person[1] == CHANNEL["liver"]).mean(axis=0).astype(int)
    inside = (i + beside, j, k)
    assert votes.mean[(CHANNEL["liver"], *inside)] == pytest.approx(0.5, abs=1e-4)
    assert votes.spread[(CHANNEL["spleen"], *inside)] == pytest.approx(1.0, abs=1e-3)
    assert votes.spread[(CHANNEL["heart"], *inside)] == pytest.approx(0.0, abs=1e-3)
    np.testing.assert_allclose(votes.mean.sum(axis=0), 1, atol=1e-4)
    assert votes.mean[0, 0, 0, 0] == 1


def test_models_with_other_classes_are_refused(person, card):
    other = card.model_copy(update={"classes": card.classes[:-1]})
    with pytest.raises(ModelError, match=r"other classes.*prostate"):
        vote(person[0], MM, [Model(other, Says(("liver",)))])


def test_what_shows_no_torso_is_refused(card):
    with pytest.raises(ScanError, match="expected a torso"):
        vote(np.full((20, 20, 20), -1000, np.int16), MM, [Model(card, Says(("liver",)))])


def test_what_is_sure_and_true_is_taught(person, card):
    hu, truth, partial = person
    labels = pseudo_labels(votes_for(hu, certain(truth)), partial, card)
    for name in ("liver", "spleen", "kidney_left", "kidney_right", "heart", "aorta"):
        here = truth == CHANNEL[name]
        assert (labels.codes[here] == CHANNEL[name]).mean() > 0.75, name
        taken_ml = (labels.codes == CHANNEL[name]).sum() * MM**3 / 1000
        assert labels.kept_ml[name]["taken"] == pytest.approx(taken_ml, abs=0.1)
    wrong = (labels.codes < N) & (labels.codes != truth) & (truth < N)
    assert wrong.sum() < 0.01 * (labels.codes < N).sum()


@pytest.mark.parametrize(("sure", "apart"), [(0.7, 0.0), (0.98, 0.6)])
def test_what_is_doubted_stays_as_it_was(person, card, sure, apart):
    hu, truth, partial = person
    labels = pseudo_labels(votes_for(hu, certain(truth), sure, apart), partial, card)
    np.testing.assert_array_equal(labels.codes, partial)
    assert labels.kept_ml["liver"]["allowed"] > 500 > labels.kept_ml["liver"]["confident"] == 0


def test_the_background_needs_more(person, card):
    hu, truth, partial = person
    open_background = (partial == set_codes()["soft_tissue", "above_pelvis"]) & (truth == 0)
    assert open_background.any()
    less, more = (pseudo_labels(votes_for(hu, certain(truth), sure), partial, card).codes for sure in (0.9, 0.98))
    np.testing.assert_array_equal(less[open_background], partial[open_background])
    assert not more[open_background].any()


def test_what_the_rules_forbid_is_not_taught(person, card):
    hu, truth, partial = person
    winner = certain(truth)
    scapula = (truth == CHANNEL["other_bone"]) & (np.arange(hu.shape[2]) > hu.shape[2] * 0.7)
    winner[scapula] = CHANNEL["hips"]
    labels = pseudo_labels(votes_for(hu, winner), partial, card)
    hips, scapula_ml = labels.kept_ml["hips"], scapula.sum() * MM**3 / 1000
    assert hips["found"] - hips["allowed"] == pytest.approx(scapula_ml, abs=0.2)
    assert scapula_ml > 20
    np.testing.assert_array_equal(labels.codes[scapula], partial[scapula])
    assert any(finding.startswith("hip_") for finding in labels.findings)


def test_hu_speaks_against_votes(person, card):
    hu, truth, partial = person
    winner = certain(truth)
    winner[(truth == CHANNEL["liver"]) | (truth == CHANNEL["lungs"])] = CHANNEL["liver"]
    open_lung = partial == CHANNEL["lungs"]
    bone = partial == set_codes()["bone", "above_pelvis"]
    winner[bone] = CHANNEL["liver"]
    labels = pseudo_labels(votes_for(hu, winner), partial, card)
    np.testing.assert_array_equal(labels.codes[open_lung | bone], partial[open_lung | bone])


def test_fluid_is_not_taught_as_liver(person, card):
    hu, truth, partial = person
    liver = truth == CHANNEL["liver"]
    low = liver & (np.arange(hu.shape[2]) < np.median(np.nonzero(liver)[2]) - 4)
    hu = np.where(low, 10, hu).astype(np.int16)
    codes = pseudo_labels(votes_for(hu, certain(truth)), partial, card).codes
    core = ndimage.binary_erosion(low)
    np.testing.assert_array_equal(codes[core], partial[core])
    assert (codes[liver & ~low] == CHANNEL["liver"]).mean() > 0.7


def test_the_record_tells_everything_in_plain_types(person, card):
    import json

    hu, truth, partial = person
    told = record(pseudo_labels(votes_for(hu, certain(truth)), partial, card), [{"model": "a", "weights": "b"}], 2)
    read = json.loads(json.dumps(told))
    assert read["round"] == 2
    assert read["models"] == [{"model": "a", "weights": "b"}]
    assert read["confidence"]["background"] == [0.97, 0.1]
    assert read["volumes_ml"]["liver"]["found"] >= read["volumes_ml"]["liver"]["taken"] > 0


def test_every_class_has_its_thresholds():
    assert confidence().shape == (N, 3)
    assert ((confidence()[:, :2] > 0) & (confidence()[:, :2] < 1)).all()
    assert confidence()[0, 0] == confidence()[:, 0].max()
