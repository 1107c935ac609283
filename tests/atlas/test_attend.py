"""The step `attend` on case folders made by hand: what it reads, what it leaves, when it is done again."""

import json
from shutil import rmtree

import numpy as np
import pytest

from ctatlas.atlas.assemble import assemble_tasks
from ctatlas.atlas.attend import attend_tasks, attended
from ctatlas.atlas.check import check_tasks, rules_broken
from ctatlas.atlas.queries import PLACES
from ctatlas.atlas.records import (
    FindingRecord,
    HotSpotsRecord,
    PlacesRecord,
    RevisedMask,
    RevisionRecord,
    read_record,
    write_record,
)
from ctatlas.errors import AtlasError
from ctatlas.execution import perform, result_folder
from ctatlas.volume import read_labels, write_mask
from tests.atlas.by_hand import GRID, add_original, add_prediction, box, everything_in, new_atlas, new_case
from tests.support_command import Terminal

LIVER, LARGER = box((2, 9), (2, 8), (1, 7)), box((2, 11), (2, 8), (1, 7))
SPLEEN = box((0, 2))


def sure(mask):
    return mask.astype(np.uint8) * 255


@pytest.fixture
def atlas(tmp_path):
    atlas = new_atlas(tmp_path / "atlas", members=["a", "b"])
    for case, second in (("calm", LIVER), ("doubt", LARGER)):
        place = new_case(atlas, case)
        for member, liver in (("a", LIVER), ("b", second)):
            masks = {"liver": liver, "spleen": SPLEEN}
            add_prediction(place, member, masks, {name: sure(mask) for name, mask in masks.items()})
    return atlas


@pytest.fixture(autouse=True)
def broken(monkeypatch):
    """Let boxes pass for organs: no rule is broken but those that a test puts in."""
    found = []
    monkeypatch.setattr("ctatlas.atlas.attend.rules_broken", lambda *_: tuple(found))
    return found


def done(atlas, **choices):
    return [perform(task) for task in attend_tasks(atlas, atlas.cases(), **choices)]


def hot_spots(atlas, case):
    return read_record(HotSpotsRecord, atlas.place.case(case).attention / "hotspots.json")


def test_a_map_a_structure_hot_spots_and_places(atlas):
    done(atlas)
    place = atlas.place.case("doubt")
    heat = read_labels(place.attention / "liver.nii.gz")
    assert (heat.labels[LARGER & ~LIVER] > 0).all()
    assert not heat.labels[~(LARGER & ~LIVER)].any()
    assert heat.grid.is_like(GRID)
    record = hot_spots(atlas, "doubt")
    assert record.members == ("a", "b")
    assert record.structures["liver"].disagreement_ml == pytest.approx((LARGER & ~LIVER).sum() * GRID.voxel_ml)
    assert [spot.structure for spot in record.hotspots] == ["liver"]
    places = read_record(PlacesRecord, place.attention / PLACES).places
    assert {each.structure for each in places} == {"liver", "spleen"}
    assert hot_spots(atlas, "calm").hotspots == ()


def test_what_people_drew_is_trusted_unless_told_otherwise(atlas):
    add_original(atlas.place.case("doubt"), {"liver": LIVER})
    done(atlas)
    assert set(hot_spots(atlas, "doubt").structures) == {"spleen"}
    done(atlas, annotated_too=True)
    assert set(hot_spots(atlas, "doubt").structures) == {"liver", "spleen"}


def test_what_is_wrong_in_an_original_is_seen_when_asked_for(atlas):
    other = box((9, 13), (8, 11), (0, 9))
    add_original(atlas.place.case("calm"), {"liver": other})
    done(atlas, annotated_too=True)
    liver = hot_spots(atlas, "calm")
    assert liver.structures["liver"].contradiction_ml > 0.5 * LIVER.sum() * GRID.voxel_ml
    assert liver.hotspots[0].reason.startswith("the mask is not what members are sure of")


def test_a_trusted_mask_still_collides(atlas):
    add_original(atlas.place.case("calm"), {"liver": LIVER | SPLEEN})
    done(atlas)
    spleen = hot_spots(atlas, "calm").structures["spleen"]
    assert spleen.overlap_ml == pytest.approx(SPLEEN.sum() * GRID.voxel_ml)


def revise(atlas, case):
    folder = atlas.place.case(case).revision(1)
    mask = RevisedMask(sha256="a", volume_ml=1, n_voxels=1, added_ml=0, removed_ml=0)
    with result_folder(folder, {}) as inside:
        write_mask(LIVER, GRID, inside / "liver.nii.gz")
        record = RevisionRecord(number=1, author="ann", created="", masks={"liver": mask})
        write_record(record, inside / "revision.json")


def test_a_revision_makes_it_be_done_again_without_the_structure(atlas):
    done(atlas)
    assert [outcome.state for outcome in done(atlas)] == [done(atlas)[0].state] * 2
    revise(atlas, "doubt")
    task = {each.case: each for each in attend_tasks(atlas, atlas.cases())}
    before = hot_spots(atlas, "calm")
    perform(task["doubt"])
    assert set(hot_spots(atlas, "doubt").structures) == {"spleen"}
    assert not (atlas.place.case("doubt").attention / "liver.nii.gz").exists()
    assert hot_spots(atlas, "calm") == before


def test_broken_rules_count(atlas, broken):
    broken.append(FindingRecord(structure="spleen", rule="side_swapped", severity="error", message=""))
    done(atlas)
    spleen = hot_spots(atlas, "calm")
    assert spleen.structures["spleen"].prior_ml == pytest.approx(SPLEEN.sum() * GRID.voxel_ml)
    assert spleen.hotspots[0].reason == "rule side_swapped"


def test_rules_count_whatever_other_steps_have_done(atlas, monkeypatch):
    monkeypatch.setattr("ctatlas.atlas.attend.rules_broken", rules_broken)
    done(atlas)
    place = atlas.place.case("calm")
    first = everything_in(place.attention)
    assert hot_spots(atlas, "calm").structures["liver"].prior_ml > 0  # a liver of a few mL
    for task in [*assemble_tasks(atlas, atlas.cases()), *check_tasks(atlas, atlas.cases(), rules=["holes"])]:
        perform(task)
    assert [outcome.state for outcome in done(atlas)] == ["there", "there"]
    rmtree(place.attention)
    done(atlas)
    assert everything_in(place.attention) == first


def test_the_same_state_gives_the_same_bytes(atlas):
    done(atlas)
    place = atlas.place.case("doubt")
    first = everything_in(place.attention)
    rmtree(place.attention)
    done(atlas)
    assert everything_in(place.attention) == first


def test_masks_stand_for_probabilities_that_are_missing(tmp_path):
    atlas = new_atlas(tmp_path / "bare", members=["a", "b"])
    place = new_case(atlas)
    add_prediction(place, "a", {"liver": LIVER})
    add_prediction(place, "b", {"liver": LARGER})
    done(atlas)
    assert hot_spots(atlas, "one").structures["liver"].disagreement_ml > 0


def test_the_preset_has_the_published_numbers_and_list(atlas, capsys, tmp_path):
    terminal, listed = Terminal(capsys), tmp_path / "priority.csv"
    told = terminal("attend", atlas.place.root, "--preset", "abdomenatlas", "--csv", listed)
    assert told.code == 0
    found = dict(attended(atlas.cases()))
    difference = (LARGER & ~LIVER).sum()  # two voxels thick: the opening drops it
    assert found["doubt"].structures["liver"].score == 0 < difference
    assert listed.read_text() == "calm\ndoubt\n"


def test_the_default_list_has_a_header_and_begins_with_the_worst(atlas, capsys, tmp_path):
    terminal, listed = Terminal(capsys), tmp_path / "first.csv"
    assert terminal("attend", atlas.place.root, "--csv", listed).code == 0
    assert [line.split(",")[1] for line in listed.read_text().splitlines()] == ["name", "doubt", "calm"]
    status = terminal("status", atlas.place.root, "--json").json
    assert [each["case"] for each in status["look_first"]] == ["doubt", "calm"]
    assert status["structures_by_attention"][0]["structure"] == "liver"
    told = terminal("status", atlas.place.root).out.split("Look first at:")[1]
    assert told.index("doubt") < told.index("calm") < told.index("liver") < told.index("spleen")


def test_the_published_format_is_there_for_the_default_too(atlas, capsys, tmp_path):
    terminal, listed, table = Terminal(capsys), tmp_path / "priority.csv", tmp_path / "first.csv"
    assert terminal("attend", atlas.place.root, "--published-csv", listed, "--csv", table).code == 0
    assert listed.read_text() == "doubt,liver\ncalm\n"  # no header, no scores, without those that need no eyes
    assert table.read_text().startswith("rank,name,score")
    assert terminal("attend", atlas.place.root, "--preset", "abdomenatlas", "--published-csv", listed).code == 0
    assert listed.read_text() == "calm\ndoubt\n"


def test_what_can_be_asked_next_comes_from_the_step(atlas, capsys):
    terminal = Terminal(capsys)
    terminal("attend", atlas.place.root, "--quiet")
    items = terminal("revise", "ask", atlas.place.root, 20, "--json").json["items"]
    assert {item["case"] for item in items} == {"calm", "doubt"}


def test_a_case_without_predictions_fails_alone(atlas, capsys):
    new_case(atlas, "bare")
    told = Terminal(capsys)("attend", atlas.place.root, "--json")
    states = {each["case"]: each for each in told.json["cases"]} if "cases" in told.json else told.json
    assert told.code == 3
    assert "ctatlas predict" in json.dumps(states)


def test_an_unknown_preset_is_refused(atlas):
    with pytest.raises(AtlasError, match="abdomenatlas, default"):
        attend_tasks(atlas, atlas.cases(), preset="abdomen")


def add_revision(place, number, *, author, reviewed=(), **masks):
    """Write a revision by hand."""
    record = {"case": place.case, "key": f"{number}", "step": "revise", "step_version": 1}
    with result_folder(place.revision(number), record) as folder:
        rows = {}
        for name, mask in masks.items():
            write_mask(mask, GRID, folder / f"{name}.nii.gz")
            rows[name] = RevisedMask(sha256="x", volume_ml=1, n_voxels=int(mask.sum()), added_ml=1, removed_ml=0)
        revision = RevisionRecord(
            number=number, author=author, created="2026-01-02", reviewed=(*reviewed, *masks), masks=rows
        )
        write_record(revision, folder / "revision.json")


def test_what_a_person_found_right_needs_no_more_eyes_and_what_rules_changed_does(atlas):
    """Only what people saw is trusted; a mask of rules is what would go into the atlas."""
    place = atlas.place.case("doubt")
    add_revision(place, 1, author="ann", reviewed=["spleen"])
    add_revision(place, 2, author="rules", liver=LIVER)
    done(atlas)
    assert set(hot_spots(atlas, "doubt").structures) == {"liver"}
    assert set(hot_spots(atlas, "calm").structures) == {"liver", "spleen"}


def test_an_annotated_structure_that_is_looked_at_too_collides_by_its_own_mask(atlas):
    place = atlas.place.case("calm")
    add_original(place, {"spleen": box((2, 9), (2, 8), (1, 7))})  # where the members see the liver
    done(atlas, annotated_too=True)
    found = hot_spots(atlas, "calm").structures
    assert found["spleen"].overlap_ml > 0
    assert found["liver"].overlap_ml > 0


def test_the_preset_is_blind_to_disagreement_beyond_a_members_own_mask(tmp_path):
    """As published: a member's probabilities end a voxel beyond its mask, but its entropy goes on."""
    atlas = new_atlas(tmp_path / "faint", members=["a", "b"])
    place = new_case(atlas)
    faint = sure(LIVER)
    faint[7:] = 120  # b holds it for nearly as likely as not, and leaves it out of its mask
    add_prediction(place, "a", {"liver": LIVER}, {"liver": sure(LIVER)})
    add_prediction(place, "b", {"liver": box((2, 7), (2, 8), (1, 7))}, {"liver": faint})
    found = {}
    for preset in ("abdomenatlas", "default"):
        done(atlas, preset=preset)
        found[preset] = hot_spots(atlas, "one").structures["liver"]
    assert found["default"].disagreement_ml > 0
    assert found["abdomenatlas"].disagreement_ml == 0
    assert found["abdomenatlas"].entropy_ml > 0
