"""Anatomies from patients' label maps."""

import csv
from importlib.resources import files

import numpy as np
import pytest

from ctatlas.synthesis.cases import structure_ids
from ctatlas.synthesis.label_maps import mirrored
from ctatlas.synthesis.tables import tissue_id, tissues
from ctatlas.training.label_map_members import deformed_scan, draw_anatomy, label_map_of, labelled_scan, recipes
from ctatlas.training.scans import SPACING_MM, UNLABELLED

NEVER = ("lidc-0001", "verse-004", "4dlung-113_contours")


def ml_of(labels, structure):
    lookup, names = structure_ids()
    number = next(n for n, name in names.items() if name == structure)
    return float((lookup[labels] == number).sum() * SPACING_MM**3 / 1000)


def test_the_tables_name_each_other_and_nothing_that_may_not_be_trained_on():
    data = files("ctatlas.training").joinpath("data")
    tables = [data.joinpath(f"label_map{end}.csv").read_text() for end in ("s", "_splits", "_members")]
    maps = {row["map"] for row in csv.DictReader(tables[0].splitlines())}
    assert {name for names in recipes() for name in names} <= maps
    assert {row["map"] for row in csv.DictReader(tables[1].splitlines())} <= maps
    assert sum(recipes().values()) == pytest.approx(1)
    for word in NEVER:
        assert not any(word in text for text in (*tables, *UNLABELLED))


def test_spl_tells_stomach_duodenum_and_esophagus_apart(shared_data):
    labels = label_map_of(shared_data, "spl-abdomen").tissues
    assert 180 < ml_of(labels, "stomach") < 300
    assert 25 < ml_of(labels, "duodenum") < 110
    assert 1 < ml_of(labels, "esophagus") < 15
    between = (labels == tissue_id("unknown_stomach")).sum() * SPACING_MM**3 / 1000
    assert 1 < between < 40


def test_an_anatomy_is_whole_drawn_from_its_seed_and_told_where_it_comes_from(shared_data):
    one, two = (draw_anatomy(shared_data, np.random.default_rng([5, n]), ("spl-abdomen",)) for n in (0, 0))
    np.testing.assert_array_equal(one.tissues, two.tissues)
    np.testing.assert_array_equal(one.texture_hu, two.texture_hu)
    assert one.sources[0] == "spl-abdomen"
    assert set(one.sources[1:]) <= set(UNLABELLED)
    for structure, least in (("liver", 500), ("kidney_left", 80), ("pancreas", 20), ("vertebrae", 200), ("ribs", 50)):
        assert ml_of(one.tissues, structure) > least
    body = one.tissues > 0
    assert (one.texture_hu[body] != 0).mean() > 0.3
    assert not one.texture_hu[~body].any()


def test_the_liver_lies_right_of_the_spine_when_only_the_frame_is_mirrored(shared_data):
    liver = [t.id for t in tissues().values() if t.structure == "liver"]
    for organs in (False, True):
        turned = mirrored(label_map_of(shared_data, "ts-example"), organs=organs).tissues
        x = np.nonzero(np.isin(turned, liver))[0].mean()
        middle = np.nonzero(turned == tissue_id("vertebra_spongiosa"))[0].mean()
        assert (x > middle) == organs  # index 0 grows to the left


def test_a_deformed_scan_still_shows_what_its_labels_say(shared_data):
    tissues_before, ct_before = labelled_scan(shared_data)
    labels, ct = deformed_scan(shared_data, np.random.default_rng(1))
    assert labels.shape == ct.shape == ct_before.shape
    for name in ("liver", "spleen", "visceral_fat", "urinary_bladder_urine"):
        now, was = (np.median(hu[of == tissue_id(name)]) for hu, of in ((ct, labels), (ct_before, tissues_before)))
        assert now == pytest.approx(was, abs=8)
    assert (labels != tissues_before).mean() > 0.05


def test_the_labelled_scans_rectum_is_no_colon(shared_data):
    labels, _ = labelled_scan(shared_data)
    assert 15 < ml_of(labels, "rectum") < 60
    assert ml_of(labels, "colon") > 1400


def test_around_the_piece_of_a_pancreas_nothing_is_sure(shared_data):
    labels, _ = labelled_scan(shared_data)
    assert (labels == tissue_id("unknown_pancreas")).sum() > (labels == tissue_id("pancreas")).sum()
