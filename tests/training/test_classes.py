"""What a voxel may be: codes of classes and of sets, and the key that tells whether numbers still mean the same."""

import numpy as np
import pytest

from ctatlas.errors import ModelError
from ctatlas.synthesis.tables import tissue_id, tissues
from ctatlas.training import classes
from ctatlas.training.classes import (
    IGNORED,
    channels_of_code,
    class_of_tissue,
    key_of_tables,
    set_codes,
    trained_classes,
)

CHANNEL = {each.name: each.channel for each in trained_classes()}


def members(name, view="whole"):
    code = set_codes()[name, view]
    return set(CHANNEL.values()) if code == IGNORED else set(channels_of_code()[code])


def test_every_set_of_several_has_a_code_of_its_own_that_is_no_class():
    by_members = {}
    for name, view in set_codes():
        by_members.setdefault(frozenset(members(name, view)), set()).add(set_codes()[name, view])
    assert all(len(codes) == 1 for codes in by_members.values())
    assert len(by_members) == len(set(set_codes().values()))
    for together, (code,) in by_members.items():  # what the field of view leaves of a set may be one class
        assert code >= len(trained_classes()) if len(together) > 1 else {code} == together


def test_sets_hold_what_their_names_say():
    bones = {CHANNEL[name] for name in ("vertebrae", "hips", "femurs", "other_bone")}
    assert members("bone") == bones
    assert members("soft_tissue") == set(CHANNEL.values()) - bones - {CHANNEL["lungs"]}
    assert members("no_lung") == set(CHANNEL.values()) - {CHANNEL["lungs"]}
    assert set_codes()["anything", "whole"] == IGNORED


def test_what_is_out_of_view_is_in_no_set():
    pelvis = {CHANNEL[name] for name in ("urinary_bladder", "hips", "femurs", "rectum", "prostate")}
    for name, view in set_codes():
        if view == "above_pelvis":
            assert members(name, view) == members(name) - pelvis


def test_tissues_of_unknown_structure_become_sets():
    lookup = class_of_tissue()
    assert channels_of_code()[lookup[tissue_id("unknown_bowel")]] == tuple(
        sorted(CHANNEL[name] for name in ("small_bowel", "colon", "rectum"))
    )
    unknown = [tissue.id for tissue in tissues().values() if tissue.structure == "unknown"]
    assert np.all(lookup[unknown] >= len(trained_classes()))


def test_a_class_that_does_not_exist_is_named(monkeypatch):
    rows = {"fields_of_view.csv": [{"name": "whole", "absent": "pancreaz"}], "class_sets.csv": []}
    monkeypatch.setattr(classes, "_rows", lambda name: rows.get(name, []) or trained_rows[name])
    trained_rows = {"class_sets.csv": []}
    with pytest.raises(ModelError, match="pancreaz"):
        classes._class_sets.__wrapped__()


def test_the_key_follows_the_order_of_the_tissues(monkeypatch):
    before = key_of_tables()
    turned = dict(reversed(tissues().items()))
    monkeypatch.setattr(classes, "tissues", lambda: turned)
    assert key_of_tables.__wrapped__() != before
