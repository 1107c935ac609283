import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from ctatlas.atlas import Atlas
from ctatlas.atlas.assemble import assemble_tasks
from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.records import ProvenanceRecord, read_record
from ctatlas.atlas.revise import store_revision
from ctatlas.errors import AtlasError, CtatlasError, ScanError
from ctatlas.execution import perform, perform_all
from ctatlas.hashing import sha256_file
from ctatlas.volume import read_labels, read_segmentation, write_mask
from tests.atlas.by_hand import GRID, add_original, add_prediction, box, everything_in, new_atlas, new_case
from tests.volume.strategies import oblique_grid

LIVER, SPLEEN, STOMACH = box((0, 5)), box((7, 10)), box((5, 7))
NOTHING = np.zeros(GRID.shape, bool)


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    return new_atlas(tmp_path / "atlas", members=["m/one", "m/two", "m/three"])


@pytest.fixture
def place(atlas: Atlas) -> CasePlace:
    return new_case(atlas)


def revise(place: CasePlace, author: str = "ann", **masks: np.ndarray) -> None:
    words = {"minutes": 1.0, "tool": "", "reason": "", "created": "2026-01-02"}
    store_revision(place, masks, author=author, before={}, **words)  # type: ignore[arg-type]


def assemble(atlas: Atlas, place: CasePlace) -> ProvenanceRecord:
    (task,) = assemble_tasks(atlas, [place])
    perform(task)
    return read_record(ProvenanceRecord, place.assembled / "provenance.json")


def mask(place: CasePlace, name: str) -> np.ndarray:
    found = read_labels(place.assembled / "segmentations" / f"{name}.nii.gz")
    assert found.grid.is_like(GRID)
    return np.asarray(found.labels != 0)


def test_original_beats_revised_beats_pseudo_structure_by_structure(atlas: Atlas, place: CasePlace) -> None:
    add_original(place, {"liver": LIVER})
    revise(place, liver=box((0, 1)), spleen=SPLEEN)
    add_prediction(place, "m/one", {"liver": box((1, 2)), "spleen": box((8, 9)), "stomach": STOMACH})
    record = assemble(atlas, place)
    for name, expected in (("liver", LIVER), ("spleen", SPLEEN), ("stomach", STOMACH)):
        np.testing.assert_array_equal(mask(place, name), expected)
    assert {name: (found.source, found.detail) for name, found in record.masks.items()} == {
        "liver": ("original", "btcv"),
        "spleen": ("revised", "revision 1"),
        "stomach": ("pseudo", "m/one"),
    }


def test_priorities_come_from_the_atlas_and_can_differ_for_a_structure(tmp_path: Path) -> None:
    assembly = {"priorities": ["revised", "original", "pseudo"], "structures": {"spleen": ["pseudo"]}}
    atlas = new_atlas(tmp_path / "other", members=["m/one"], assembly=assembly)
    place = new_case(atlas)
    add_original(place, {"liver": LIVER, "spleen": NOTHING})
    revise(place, liver=box((0, 3)))
    add_prediction(place, "m/one", {"spleen": SPLEEN})
    record = assemble(atlas, place)
    assert {name: found.source for name, found in record.masks.items()} == {"liver": "revised", "spleen": "pseudo"}


def test_annotated_and_absent_stays_absent(atlas: Atlas, place: CasePlace) -> None:
    """Upstream defect 25: what nobody labelled and what is known to be absent were the same."""
    add_original(place, {"liver": LIVER}, annotated=["gallbladder"])
    add_prediction(place, "m/one", {"gallbladder": box((7, 8)), "stomach": STOMACH})
    record = assemble(atlas, place)
    assert record.masks["gallbladder"].source == "absent"
    assert record.masks["gallbladder"].n_voxels == 0
    assert not mask(place, "gallbladder").any()
    assert "colon" not in record.masks  # not annotated, revised or predicted: not known
    assert set(json.loads((place.assembled / "labels.json").read_text()).values()) == set(record.masks)


def test_combined_labels_and_single_masks_agree(atlas: Atlas, place: CasePlace) -> None:
    """Upstream defect 12: originals entered the combined file alone, revised masks without a predicted one none."""
    add_original(place, {"liver": LIVER})
    revise(place, esophagus=box((10, 11)))
    add_prediction(place, "m/one", {"stomach": box((4, 7)), "spleen": SPLEEN})
    assemble(atlas, place)
    labels = read_labels(place.assembled / "combined_labels.nii.gz").labels
    names = {int(number): name for number, name in json.loads((place.assembled / "labels.json").read_text()).items()}
    assert labels.dtype == np.uint8
    assert set(names.values()) == {"liver", "esophagus", "stomach", "spleen"}
    for number, name in names.items():
        np.testing.assert_array_equal(labels == number, mask(place, name))
    found = read_segmentation(place.assembled)
    assert set(found.names) == set(names.values())


def test_files_are_uint8_with_the_geometry_of_the_scan(atlas: Atlas, place: CasePlace) -> None:
    """Upstream defects 12 and 13: labels were float64 and masks float32, and the header's codes were lost."""
    add_prediction(place, "m/one", {"liver": LIVER})
    assemble(atlas, place)
    scan = nibabel.load(place.ct)
    for path in (place.assembled / "combined_labels.nii.gz", place.assembled / "segmentations" / "liver.nii.gz"):
        found = nibabel.load(path)
        assert found.get_data_dtype() == np.uint8
        np.testing.assert_array_equal(found.affine, scan.affine)
        assert (found.header["sform_code"], found.header["qform_code"]) == (1, 1)


def test_a_structure_may_fill_the_whole_scan(atlas: Atlas, place: CasePlace) -> None:
    """Upstream defect 12: the first value of a label map was taken for the background, whatever it was."""
    add_original(place, {"liver": np.ones(GRID.shape, bool)})
    add_prediction(place, "m/one", {"spleen": SPLEEN})
    record = assemble(atlas, place)
    assert record.masks["liver"].n_voxels == GRID.n_voxels
    assert record.masks["spleen"].n_voxels == 0
    assert (read_labels(place.assembled / "combined_labels.nii.gz").labels == 5).all()


def test_later_revisions_win_whatever_their_order_on_the_disk(atlas: Atlas, place: CasePlace) -> None:
    """Upstream defect 12: revised masks were applied in the order of the file system."""
    for wide in range(1, 12):
        revise(place, liver=box((0, wide)))
    assert assemble(atlas, place).masks["liver"].detail == "revision 11"
    np.testing.assert_array_equal(mask(place, "liver"), box((0, 11)))


def test_a_conflict_is_counted_and_the_masks_say_what_they_lost(atlas: Atlas, place: CasePlace) -> None:
    add_original(place, {"liver": LIVER})
    add_prediction(place, "m/one", {"stomach": box((3, 7))})
    record = assemble(atlas, place)
    ml = 2 * 99 * GRID.voxel_ml
    (conflict,) = record.conflicts
    assert (conflict.winner, conflict.loser, conflict.rule) == ("liver", "stomach", "priority")
    assert conflict.ml == pytest.approx(ml)
    assert record.masks["stomach"].lost_ml == pytest.approx(ml)
    assert record.masks["liver"].won_ml == pytest.approx(ml)
    np.testing.assert_array_equal(mask(place, "stomach"), box((5, 7)))


def test_several_models_make_one_prediction(atlas: Atlas, place: CasePlace) -> None:
    add_prediction(place, "m/one", {"liver": box((0, 5))})
    add_prediction(place, "m/two", {"liver": box((0, 6))})
    add_prediction(place, "m/three", {"liver": box((0, 6)), "spleen": SPLEEN})
    record = assemble(atlas, place)
    np.testing.assert_array_equal(mask(place, "liver"), box((0, 6)))
    np.testing.assert_array_equal(mask(place, "spleen"), SPLEEN)  # the others don't know it
    assert record.masks["liver"].detail == "m/one, m/two, m/three"
    assert record.masks["spleen"].detail == "m/three"


def test_probabilities_on_a_coarse_grid_decide_where_models_differ(atlas: Atlas, place: CasePlace) -> None:
    coarse = GRID.resampled((1.4, 1.8, 2.5))
    sure, unsure = np.full(coarse.shape, 250, np.uint8), np.full(coarse.shape, 20, np.uint8)
    add_prediction(place, "m/one", {"liver": box((0, 6))}, {"liver": sure}, coarse=coarse)
    add_prediction(place, "m/two", {"liver": box((0, 5))}, {"liver": unsure}, coarse=coarse)
    assemble(atlas, place)
    np.testing.assert_array_equal(mask(place, "liver"), box((0, 6)))  # 135 of 255 on average


def test_an_organ_that_the_label_map_hollowed_out_includes_its_vessels(atlas: Atlas, place: CasePlace) -> None:
    vessel = box((2, 4), (3, 5), (2, 6))
    add_prediction(place, "m/one", {"liver": LIVER, "hepatic_vessel": vessel})
    assemble(atlas, place)
    np.testing.assert_array_equal(mask(place, "liver"), LIVER)
    np.testing.assert_array_equal(mask(place, "hepatic_vessel"), vessel)
    labels = read_labels(place.assembled / "combined_labels.nii.gz").labels
    np.testing.assert_array_equal(labels == 19, vessel)  # the vessel is painted over the liver


def test_a_predicted_tumor_that_the_source_denies_leaves_no_hole(tmp_path: Path) -> None:
    atlas = new_atlas(tmp_path / "atlas", members=["m/one"], label_set="universal-32")
    place = new_case(atlas)
    add_original(place, {}, annotated=["liver_tumor"])
    add_prediction(place, "m/one", {"liver": LIVER, "liver_tumor": box((3, 7))}, set_name="universal-32")
    record = assemble(atlas, place)
    assert record.masks["liver_tumor"].source == "absent"
    np.testing.assert_array_equal(mask(place, "liver"), LIVER | box((3, 7)))


def test_lobes_make_the_lung_where_the_source_annotated_all_of_them(atlas: Atlas, place: CasePlace) -> None:
    lobes = {
        "lung_upper_lobe_left": box((0, 2)),
        "lung_lower_lobe_left": box((2, 5)),
        "lung_upper_lobe_right": box((7, 8)),
    }
    add_original(place, lobes)
    record = assemble(atlas, place)
    np.testing.assert_array_equal(mask(place, "lung_left"), box((0, 5)))
    assert set(record.masks) == {"lung_left"}


@pytest.mark.parametrize("policy", ["latest", "majority", "staple"])
def test_several_annotators_follow_the_policy_and_their_agreement_is_told(tmp_path: Path, policy: str) -> None:
    atlas = new_atlas(tmp_path / policy, assembly={"annotators": policy})
    place = new_case(atlas)
    revise(place, "ann", liver=box((0, 3)))
    revise(place, "bob", liver=box((0, 6)), spleen=SPLEEN)
    revise(place, "cem", liver=box((0, 6)))
    revise(place, "ann", liver=box((0, 5)))  # thought again: her last counts
    record = assemble(atlas, place)
    expected = box((0, 5)) if policy == "latest" else box((0, 6))
    np.testing.assert_array_equal(mask(place, "liver"), expected)
    found = record.agreement["liver"]
    assert set(record.agreement) == {"liver"}
    assert found.revisions == (2, 3, 4)
    assert found.lowest_dice == pytest.approx(2 * 5 / 11)
    assert found.dice == pytest.approx((1 + 2 * 2 * 5 / 11) / 3)
    assert found.disputed_ml == pytest.approx(99 * GRID.voxel_ml)
    assert len(found.sensitivity) == len(found.specificity) == 3
    told = "revision 4" if policy == "latest" else f"{policy} of revisions 2, 3, 4"
    assert record.masks["liver"].detail == told
    assert record.masks["spleen"].detail == "revision 2"


def test_a_rule_that_came_after_the_people_corrects_their_consensus(tmp_path: Path) -> None:
    atlas = new_atlas(tmp_path / "rules", assembly={"annotators": "majority"})
    place = new_case(atlas)
    for author, wide in (("ann", 3), ("bob", 6), ("rules", 2)):
        revise(place, author, liver=box((0, wide)))
    assert assemble(atlas, place).masks["liver"].detail == "revision 3"
    revise(place, "cem", liver=box((0, 6)))
    assert assemble(atlas, place).masks["liver"].detail == "majority of revisions 1, 2, 4"


def test_the_same_state_gives_the_same_bytes_and_is_not_done_twice(tmp_path: Path) -> None:
    written = []
    for name in ("a", "b"):
        atlas = new_atlas(tmp_path / name, members=["m/one", "m/two"])
        place = new_case(atlas)
        add_original(place, {"liver": LIVER})
        for member, wide in (("m/one", 7), ("m/two", 8)):
            add_prediction(place, member, {"stomach": box((4, wide)), "spleen": SPLEEN})
        revise(place, spleen=box((7, 9)))
        (task,) = assemble_tasks(atlas, [place])
        assert perform(task).state == "done"
        written.append(everything_in(place.assembled))
        assert perform(assemble_tasks(atlas, [place])[0]).state == "there"
    assert written[0] == written[1]
    assert sorted(written[0]) == [
        "combined_labels.nii.gz",
        "labels.json",
        "provenance.json",
        "run.json",
        *(f"segmentations/{name}.nii.gz" for name in ("liver", "spleen", "stomach")),
    ]


def test_hashes_in_the_provenance_are_those_of_the_files(atlas: Atlas, place: CasePlace) -> None:
    add_original(place, {"liver": LIVER})
    add_prediction(place, "m/one", {"stomach": STOMACH})
    for name, found in assemble(atlas, place).masks.items():
        path = place.assembled / "segmentations" / f"{name}.nii.gz"
        assert found.sha256 == sha256_file(path)
        assert found.n_voxels == mask(place, name).sum()
        assert found.volume_ml == pytest.approx(found.n_voxels * GRID.voxel_ml)


def test_what_depends_on_a_change_is_made_again_and_nothing_else(atlas: Atlas, place: CasePlace) -> None:
    add_original(place, {"liver": LIVER})
    add_prediction(place, "m/one", {"stomach": STOMACH})
    assemble(atlas, place)
    revise(place, liver=box((0, 1)), kidney_tumor=box((0, 1)))  # the source annotated one, the atlas lacks the other
    (task,) = assemble_tasks(atlas, [place])
    assert perform(task).state == "there"
    revise(place, stomach=box((5, 6)))
    (task,) = assemble_tasks(atlas, [place])
    assert perform(task).state == "done"
    np.testing.assert_array_equal(mask(place, "stomach"), box((5, 6)))


def failing(atlas: Atlas, place: CasePlace, kind: type[CtatlasError], match: str) -> None:
    (task,) = assemble_tasks(atlas, [place])
    with pytest.raises(kind, match=match):
        perform(task)
    assert not place.assembled.exists()


def test_a_mask_on_another_grid_is_refused(atlas: Atlas, place: CasePlace) -> None:
    """Upstream defect 12: neither shape nor affine was looked at."""
    add_original(place, {"liver": LIVER})
    add_prediction(place, "m/one", {"stomach": STOMACH})
    shifted = oblique_grid("LPS", shape=GRID.shape, degrees=13)
    write_mask(LIVER, shifted, place.original / "liver.nii.gz")
    failing(atlas, place, ScanError, r"liver.nii.gz: lies on another grid \(13 x 11 x 9 voxels\) than the scan")


def test_a_prediction_with_a_label_that_has_no_name_is_refused(atlas: Atlas, place: CasePlace) -> None:
    add_prediction(place, "m/one", {"liver": LIVER, "stomach": STOMACH})
    (place.prediction("m/one") / "labels.json").write_text('{"5": "liver"}'.ljust(36))
    record = json.loads((place.prediction("m/one") / "run.json").read_text())
    record["files"]["labels.json"] = 36
    (place.prediction("m/one") / "run.json").write_text(json.dumps(record))
    failing(atlas, place, ScanError, "holds label 9, which its labels.json does not name")


def test_ids_of_an_earlier_label_set_are_read_by_their_names(atlas: Atlas, place: CasePlace) -> None:
    add_prediction(place, "m/one", {"liver": LIVER, "aorta": box((8, 9))}, set_name="universal-32")
    assert json.loads((place.prediction("m/one") / "labels.json").read_text()) == {"6": "liver", "8": "aorta"}
    assemble(atlas, place)
    np.testing.assert_array_equal(mask(place, "liver"), LIVER)
    np.testing.assert_array_equal(mask(place, "aorta"), box((8, 9)))


def test_a_damaged_revision_is_not_passed_over(atlas: Atlas, place: CasePlace) -> None:
    revise(place, liver=LIVER)
    add_prediction(place, "m/one", {"liver": box((0, 1))})
    (place.revision(1) / "liver.nii.gz").unlink()
    failing(atlas, place, AtlasError, "0001: is damaged: not all its files are there; 'ctatlas doctor ATLAS'")


def test_a_case_without_masks_and_a_broken_record_fail_alone(atlas: Atlas, place: CasePlace) -> None:
    other, broken = new_case(atlas, "two"), new_case(atlas, "three")
    add_original(other, {"liver": LIVER})
    broken.original.mkdir()
    (broken.original / "labels.json").write_text("{")
    outcomes = {found.case: found for found in perform_all(assemble_tasks(atlas, [place, other, broken]))}
    assert "has no masks of abdomenatlas-1.1; 'ctatlas predict'" in outcomes["one"].reason
    assert outcomes["two"].state == "done"
    assert "labels.json" in outcomes["three"].reason
