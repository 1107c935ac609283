from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.sr._concepts_dict import concepts

from ctatlas.anatomy import Structure, canonical_name, smallest_parts, structures
from ctatlas.anatomy.structures import _faults
from ctatlas.anatomy.tables import rows
from ctatlas.errors import ModelError

ALL = list(structures().values())
ROWS = {row["name"]: row for row in rows("structures.csv")}
CODED = [row for row in ROWS.values() if row["code_value"]]
TOTALSEGMENTATOR = {
    row["name"]: row
    for row in csv.DictReader((Path(__file__).parent / "data" / "totalsegmentator_codes.csv").read_text().splitlines())
}
PYDICOM = {(code, meaning) for words in concepts["SCT"].values() for code, (meaning, _) in words.items()}


def name_of(row: Structure | dict[str, str]) -> str:
    return row["name"] if isinstance(row, dict) else row.name


@pytest.mark.parametrize("row", CODED, ids=name_of)
def test_every_code_is_found_where_its_source_says(row):
    own = {(known["code_scheme"], known["code_value"]) for known in TOTALSEGMENTATOR.values()}
    in_totalsegmentator = row["code_source"].startswith("TotalSegmentator") and ("SCT", row["code_value"]) in own
    in_pydicom = row["code_source"].startswith("pydicom") and (row["code_value"], row["code_meaning"]) in PYDICOM
    assert in_totalsegmentator or in_pydicom


@pytest.mark.parametrize("known", TOTALSEGMENTATOR.values(), ids=name_of)
def test_totalsegmentators_classes_have_its_codes(known):
    ours = structures()[known["name"]]
    assert (ours.code_scheme, ours.code_value) == (known["code_scheme"], known["code_value"])
    assert (ours.modifier_value, ours.modifier_meaning) == (known["modifier_value"], known["modifier_meaning"])


def test_a_structure_without_a_code_has_no_part_of_one():
    rest = [row for row in ROWS.values() if not row["code_value"]]
    assert rest
    assert not any(row[key] for row in rest for key in ("code_scheme", "code_meaning", "code_source", "modifier_value"))


@pytest.mark.parametrize("structure", [s for s in ALL if s.modifier_value], ids=name_of)
def test_a_modifier_says_the_side_in_the_name(structure):
    code = {"left": "7771000", "right": "24028007"}[structure.side]
    assert (code, structure.modifier_meaning) in PYDICOM
    assert structure.modifier_value == code


@pytest.mark.parametrize("structure", [s for s in ALL if "_left" in s.name or "_right" in s.name], ids=name_of)
def test_a_sided_name_has_that_side_and_its_mirror_as_partner(structure):
    other = {"left": "right", "right": "left"}[structure.side]
    mirrored = structure.name.replace(f"_{structure.side}", f"_{other}")
    assert f"_{structure.side}" in structure.name
    assert structure.partner == (mirrored if mirrored in structures() else "")


def test_only_lungs_middle_lobe_and_left_appendage_have_no_partner():
    assert {s.name for s in ALL if s.side and not s.partner} == {"lung_middle_lobe_right", "atrial_appendage_left"}


def test_names_and_display_names_are_unique():
    assert len({s.name.casefold() for s in ALL}) == len({s.display_name for s in ALL}) == len(ALL)


def test_every_alias_leads_to_its_structure():
    aliases = [(alias, s.name) for s in ALL for alias in s.aliases]
    assert len({alias for alias, _ in aliases}) == len(aliases)
    assert [canonical_name(alias) for alias, _ in aliases] == [name for _, name in aliases]


def test_every_part_has_its_union_as_parent_unless_it_is_a_lesion():
    parts = [(structures()[part], union) for union in ALL for part in union.parts]
    assert {part.parent for part, union in parts if union.group != "lesion" and part.parent != union.name} == set()


def test_sharing_voxels_is_mutual():
    pairs = {(s.name, other) for s in ALL for other in s.may_overlap}
    assert pairs
    assert pairs == {(b, a) for a, b in pairs}


@pytest.mark.parametrize("structure", [s for s in ALL if s.partner], ids=name_of)
def test_partners_are_alike_but_for_side(structure):
    partner = structures()[structure.partner]
    assert (structure.group, structure.code_value) == (partner.group, partner.code_value)


@pytest.mark.parametrize("structure", ALL, ids=name_of)
def test_volume_limits_are_both_given_with_a_source_or_neither(structure):
    known = [structure.at_least_ml is not None, structure.at_most_ml is not None]
    assert known[0] == known[1] == bool(ROWS[structure.name]["volume_source"])


@pytest.mark.parametrize(
    ("name", "adult_ml"),
    # Means of Geraghty 2004 (men, women) and of 1043 portal-venous CTs (adrenals).
    [("liver", (1710, 1411)), ("spleen", (238, 180)), ("kidney_left", (193, 157)), ("pancreas", (87, 64))],
)
def test_published_means_are_well_inside_the_limits(name, adult_ml):
    structure = structures()[name]
    assert structure.at_least_ml < min(adult_ml) / 2
    assert structure.at_most_ml > 2 * max(adult_ml)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("postcava", "inferior_vena_cava"),
        ("IVC", "inferior_vena_cava"),
        ("gall_bladder", "gallbladder"),
        ("Gall Bladder", "gallbladder"),
        ("celiac_truck", "celiac_trunk"),
        ("bladder", "urinary_bladder"),
        ("intestine", "small_bowel"),
        ("clavicle_left", "clavicula_left"),
        ("Left Kidney", "kidney_left"),
        ("right-adrenal-gland", "adrenal_gland_right"),
        ("Left Head of Femur", "femur_left"),
        ("VERTEBRAE_l1", "vertebrae_L1"),
        ("hip", "pelvis"),
        (" liver ", "liver"),
    ],
)
def test_spellings_people_use_lead_to_the_canonical_name(asked, name):
    assert canonical_name(asked) == name


def test_an_unknown_structure_is_refused_with_names_that_look_like_it():
    with pytest.raises(ModelError, match=r"'kidny_left'; near: .*kidney_left"):
        canonical_name("kidny_left")


def test_smallest_parts_go_through_nested_unions():
    assert smallest_parts("pelvis") == {"hip_left", "hip_right", "sacrum"}
    assert len(smallest_parts("lungs")) == 5
    assert len(smallest_parts("ribs")) == len(smallest_parts("vertebrae")) == 24
    assert smallest_parts("liver") == {"liver"}


LIVER, LEFT, RIGHT = (structures()[name] for name in ("liver", "kidney_left", "kidney_right"))
LEFT, RIGHT = (replace(kidney, parent="", may_overlap=()) for kidney in (LEFT, RIGHT))
LIVER = replace(LIVER, may_overlap=())


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ([LIVER, LIVER], "'liver' is given twice"),
        ([LIVER, replace(LEFT, partner="", aliases=("liver",))], "'liver' is given twice"),
        ([replace(LIVER, parent="belly")], "liver mentions 'belly'"),
        ([replace(LIVER, parts=("lobe",))], "liver mentions 'lobe'"),
        ([replace(LIVER, may_overlap=("bile",))], "liver mentions 'bile'"),
        ([LEFT, replace(RIGHT, partner="")], "kidney_left and kidney_right are not each other's partners"),
        ([LEFT, replace(RIGHT, side="left")], "kidney_left and kidney_right are not each other's partners"),
        ([replace(LIVER, side="middle")], "liver lacks a side"),
        ([replace(LIVER, source="")], "liver lacks a side"),
        ([replace(LIVER, at_least_ml=9.0, at_most_ml=8.0)], "liver is at least 9.0 mL but at most 8.0"),
        ([replace(LIVER, parent="liver")], "liver contains itself through parent"),
        (
            [replace(LEFT, parts=("kidney_right",)), replace(RIGHT, parts=("kidney_left",))],
            "kidney_left contains itself through parts",
        ),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(table, fault):
    assert any(fault in found for found in _faults(table, {row.name: row for row in table}))


def test_a_sound_table_has_no_faults():
    assert list(_faults([LIVER, LEFT, RIGHT], {s.name: s for s in (LIVER, LEFT, RIGHT)})) == []
