"""What the published pipeline does wrong in the loop, defect by defect, and what happens here instead.

The numbers are those of the reference on the published pipeline (abdomenatlas.md, section 7); `upstream_defects.csv`
lists all 39, with the tests that hold each, or why it can't be here.
"""

from __future__ import annotations

import csv
import json
import re
import tracemalloc
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctatlas.anatomy import label_set
from ctatlas.anatomy_rules import annotated_structures
from ctatlas.atlas import Atlas, assembly
from ctatlas.atlas.attention import (
    Boxed,
    Member,
    attend,
    combined,
    ensemble_masks,
    published_attention,
    published_entropy,
)
from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.records import ProvenanceRecord, read_record
from ctatlas.atlas.revise import store_revision
from ctatlas.kernels.boxes import Box
from ctatlas.volume import Grid, Volume, read_labels, write_labels, write_volume
from tests.anatomy_rules.bodies import ellipsoid
from tests.atlas.by_hand import GRID, add_original, add_prediction, box, everything_in, new_atlas, new_case
from tests.inference.scans import ALL_ORDERS
from tests.support_command import Terminal

ROOT = Path(__file__).parents[2]
LIVER, SPLEEN, STOMACH = box((0, 5)), box((7, 10)), box((5, 7))
BODY = Grid((65, 41, 53), np.array([[5.0, 0, 0, -160], [0, 5, 0, -100], [0, 0, 5, -130], [0, 0, 0, 1]]))


@pytest.fixture
def ctatlas(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    return new_atlas(tmp_path / "atlas", members=["m/one", "m/two"])


@pytest.fixture
def place(atlas: Atlas) -> CasePlace:
    return new_case(atlas)


def revised(place: CasePlace, **masks: np.ndarray) -> None:
    words = {"author": "ann", "minutes": 1.0, "tool": "", "reason": "", "created": "2026-01-02"}
    store_revision(place, masks, before={}, **words)  # type: ignore[arg-type]


def single(place: CasePlace, name: str) -> np.ndarray:
    return read_labels(place.assembled / "segmentations" / f"{name}.nii.gz").labels != 0


def assembled(ctatlas: Terminal, place: CasePlace) -> ProvenanceRecord:
    assert ctatlas("assemble", place.folder.parents[1], "--case", place.case).code == 0
    return read_record(ProvenanceRecord, place.assembled / "provenance.json")


def test_stray_files_are_no_cases_and_the_order_is_that_of_ids(atlas: Atlas) -> None:
    """Defect 10: a list made by the order of a folder, which stray files break."""
    for case in ("c", "a", "b"):
        new_case(atlas, case)
    (atlas.place.cases_folder / ".DS_Store").write_bytes(b"x")
    (atlas.place.cases_folder / "notes.txt").write_text("mine")
    (atlas.place.cases_folder / "half").mkdir()
    assert [place.case for place in atlas.cases()] == ["a", "b", "c"]


@pytest.mark.parametrize("order", ALL_ORDERS[::6])
def test_sides_are_the_patients_in_any_order_of_axes(order: str) -> None:
    """Defect 11: left and right by voxel index, right only in files that happen to be stored as RAS."""
    grid = BODY.reoriented(order)
    labels = np.zeros(grid.shape, np.uint8, order="F")
    for sign in (1, -1):
        labels[ellipsoid(grid, (sign * 60, -20, 10), (28, 25, 50))] = 1
    found = annotated_structures(labels, grid, label_set("kits"))
    xs = {side: grid.world(np.argwhere(found.mask(f"kidney_{side}")))[:, 0] for side in ("left", "right")}
    assert xs["left"].max() < 0 < xs["right"].min()  # world x grows toward the patient's right


def test_a_single_component_is_not_always_the_right_organ() -> None:
    """Defect 11: one kidney became the right one, and crumbs of the left one with it."""
    labels = np.zeros(BODY.shape, np.uint8, order="F")
    labels[ellipsoid(BODY, (-60, -20, 10), (28, 25, 50))] = 1
    labels[ellipsoid(BODY, (-60, -20, 90), (8, 8, 8))] = 1
    found = annotated_structures(labels, BODY, label_set("kits")).n_voxels()
    assert (found["kidney_left"], found["kidney_right"]) == (np.count_nonzero(labels), 0)


def test_combined_labels_and_single_masks_say_the_same(ctatlas: Terminal, place: CasePlace) -> None:
    """Defect 12: combined label and organ files disagree; a revised mask without a predicted one is lost."""
    add_original(place, {"liver": LIVER})
    revised(place, esophagus=box((10, 11)))
    add_prediction(place, "m/one", {"stomach": box((4, 7)), "spleen": SPLEEN})
    record = assembled(ctatlas, place)
    labels = read_labels(place.assembled / "combined_labels.nii.gz").labels
    names = json.loads((place.assembled / "labels.json").read_text())
    assert set(names.values()) == set(record.masks) == {"liver", "esophagus", "stomach", "spleen"}
    for number, name in names.items():
        np.testing.assert_array_equal(labels == int(number), single(place, name))
    assert set(np.unique(labels)) <= {0, *map(int, names)}


def test_a_mask_on_another_grid_is_refused(ctatlas: Terminal, atlas: Atlas, place: CasePlace) -> None:
    """Defect 12: shapes and affines of scan, predicted, revised and original mask were never compared."""
    shifted = GRID.affine.copy()
    shifted[0, 3] += 5
    add_prediction(place, "m/one", {"liver": LIVER}, grid=Grid(GRID.shape, shifted))
    done = ctatlas("assemble", atlas.place.root)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "another grid" in done.err
    assert not place.assembled.exists()


def test_no_background_is_no_trouble(ctatlas: Terminal, place: CasePlace) -> None:
    """Defect 12: the first value of a label map was taken for the background, whatever it was."""
    add_prediction(place, "m/one", {"liver": box((0, 13))})
    assert assembled(ctatlas, place).masks["liver"].n_voxels == GRID.n_voxels


def test_the_latest_revision_wins_in_the_order_of_numbers(ctatlas: Terminal, place: CasePlace) -> None:
    """Defect 12: revised masks were applied in the order of the file system."""
    for n in range(1, 12):  # "10" sorts before "2" as text
        revised(place, liver=box((0, n)))
    assert assembled(ctatlas, place).masks["liver"].detail == "revision 11"


def test_masks_are_bytes_under_the_scans_header(ctatlas: Terminal, place: CasePlace) -> None:
    """Defect 13: masks of float32 or float64, with qform and sform codes reset."""
    add_prediction(place, "m/one", {"liver": LIVER})
    assembled(ctatlas, place)
    scan = nib.load(place.ct).header
    for path in (place.assembled / "combined_labels.nii.gz", place.assembled / "segmentations" / "liver.nii.gz"):
        header = nib.load(path).header
        assert header.get_data_dtype() == np.uint8
        assert (header["sform_code"], header["qform_code"]) == (scan["sform_code"], scan["qform_code"])
        assert header.get_xyzt_units() == scan.get_xyzt_units()
        np.testing.assert_array_equal(header.get_best_affine(), scan.get_best_affine())


def test_touching_lungs_are_parted_and_a_lone_lung_stays() -> None:
    """Defect 17: of one component both lungs were erased, and voxels as far from either got lost."""
    both = ellipsoid(BODY, (45, 0, 10), (50, 60, 90)) | ellipsoid(BODY, (-45, 0, 10), (50, 60, 90))
    labels = both.astype(np.uint8) * 16  # of CT-ORG's kind: one number for both
    numbers = {number: name for number, name in label_set("ct-org").labels.items() if name == "lungs"}
    (number,) = numbers
    found = annotated_structures(np.asfortranarray(labels // 16 * number), BODY, label_set("ct-org"))
    left, right = found.mask("lung_left"), found.mask("lung_right")
    np.testing.assert_array_equal(left | right, both)
    assert not (left & right).any()
    assert min(left.sum(), right.sum()) > 0.4 * both.sum()
    lone = ellipsoid(BODY, (-75, 0, 10), (50, 60, 90))
    found = annotated_structures(np.asfortranarray(lone.astype(np.uint8) * number), BODY, label_set("ct-org"))
    assert found.n_voxels()["lung_left"] == np.count_nonzero(lone)


def test_a_second_run_adds_and_alters_nothing(ctatlas: Terminal, place: CasePlace) -> None:
    """Defect 17: every run appended its lines to the tables again."""
    add_prediction(place, "m/one", {"liver": LIVER})
    assembled(ctatlas, place)
    before = everything_in(place.folder)
    assembled(ctatlas, place)
    assert everything_in(place.folder) == before


def test_all_lesions_are_kept_and_belong_to_the_organ_they_touch(ctatlas: Terminal, tmp_path: Path) -> None:
    """Defects 18 and 19: one lesion of many was kept, by voxel counts, and went to both kidneys."""
    atlas = new_atlas(tmp_path / "tumors", members=["m/one"], label_set="universal-32")
    place = new_case(atlas)
    left, right = box((0, 4)), box((9, 13))
    lesions = box((3, 5), (0, 3), (0, 3)) | box((8, 9), (5, 8), (3, 6)) | box((1, 2), (9, 10), (7, 8))
    add_prediction(
        place, "m/one", {"kidney_left": left, "kidney_right": right, "kidney_tumor": lesions}, set_name="universal-32"
    )
    assembled(ctatlas, place)
    np.testing.assert_array_equal(single(place, "kidney_tumor"), lesions)
    np.testing.assert_array_equal(single(place, "kidney_left"), left | box((3, 5), (0, 3), (0, 3)))
    np.testing.assert_array_equal(single(place, "kidney_right"), right | box((8, 9), (5, 8), (3, 6)))


def test_true_pieces_of_a_structure_are_all_kept(ctatlas: Terminal, place: CasePlace) -> None:
    """Defect 20: of colon, vessels and adrenal glands all but the largest component went."""
    pieces = box((0, 3)) | box((5, 6), (2, 4)) | box((9, 12))
    revised(place, colon=pieces)
    add_prediction(place, "m/one", {"celiac_trunk": box((7, 8), (0, 2)) | box((7, 8), (5, 6))})
    assembled(ctatlas, place)
    np.testing.assert_array_equal(single(place, "colon"), pieces)
    assert np.count_nonzero(single(place, "celiac_trunk")) == 3 * GRID.shape[2]


def test_annotated_and_absent_is_not_the_same_as_not_annotated(ctatlas: Terminal, place: CasePlace) -> None:
    """Defect 25: what nobody labelled became background, as if it were known not to be there."""
    add_original(place, {"liver": LIVER}, annotated=["gallbladder"])
    add_prediction(place, "m/one", {"gallbladder": box((7, 8)), "stomach": STOMACH})
    record = assembled(ctatlas, place)
    assert (record.masks["gallbladder"].source, record.masks["gallbladder"].n_voxels) == ("absent", 0)
    assert "colon" not in record.masks
    assert not (place.assembled / "segmentations" / "colon.nii.gz").exists()


def test_one_member_alone_has_no_disagreement_and_every_member_its_own_folder(place: CasePlace) -> None:
    """Defect 29: one model's masks overwrote the averaged ones, and its disagreement with itself was ranked."""
    add_prediction(place, "m/one", {"liver": LIVER})
    add_prediction(place, "m/two", {"liver": SPLEEN})
    assert len({path.name for path in place.predictions()}) == 2
    alone = combined([Member(np.full(GRID.shape, 90, np.uint8), GRID)], GRID)
    assert not alone.spread.values.any()
    assert not alone.information.values.any()


def test_an_empty_heat_map_stays_empty() -> None:
    """Defect 30: the maximum of an empty map, zero, divided it: not-a-number became bytes."""
    nothing = Boxed.zeros(GRID.shape, Box((0, 0, 0), GRID.shape), np.uint8)
    for n in (1, 3):
        maps = published_attention([nothing] * n, [nothing] * n, nothing)
        assert not maps.attention.values.any()
        assert (maps.size, maps.heat) == (0, 0)


def test_probabilities_are_as_they_were_after_they_were_used() -> None:
    """Defects 31 and 32: a live tensor was cut in place, and a table of all was altered by its first use."""
    rng = np.random.default_rng(1)
    values = np.asfortranarray(rng.integers(0, 256, GRID.shape, np.uint8))
    values.setflags(write=False)
    members = [Member(values, GRID), Member(values[::-1], GRID)]
    before = published_entropy(values).copy()

    def found(names: list[str]) -> dict[str, object]:
        masks = ensemble_masks(names, lambda _: members, GRID)
        return {seen.structure: seen.found.record for seen in attend(names, lambda _: members, masks, GRID)}

    assert found(["liver", "spleen"]) == found(["spleen", "liver"])
    np.testing.assert_array_equal(published_entropy(values), before)


def test_attention_holds_a_fraction_of_one_volume_a_structure() -> None:
    """Defect 33: 32 classes of float64 were held twice, and counts as volumes: more than 500 bytes a voxel."""
    grid = Grid((66, 62, 58), np.diag([1.5, 1.5, 2.0, 1.0]))
    coarse = grid.resampled((3.0, 3.0, 4.0))
    names = list(label_set("abdomenatlas-1.1").labels.values())[:12]
    mid = np.array(coarse.shape) / 2
    distance = np.linalg.norm(np.stack(np.indices(coarse.shape), axis=-1) - mid, axis=-1)

    def members_of(name: str) -> list[Member]:
        radius = 4 + names.index(name) % 5
        return [Member(np.clip(255 * (radius + n - distance), 0, 255).astype(np.uint8), coarse) for n in range(3)]

    tracemalloc.start()
    masks = ensemble_masks(names, members_of, grid)
    n_spots = sum(len(seen.found.hotspots) for seen in attend(names, members_of, masks, grid))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_spots > 0
    assert peak < 0.5 * grid.n_voxels * 8 * len(names)  # of float64, in the published way held twice


def test_each_file_is_read_once(ctatlas: Terminal, place: CasePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defect 37: for each organ the masks of twenty neighbours were read anew, 180 files a case."""
    names = list(label_set("abdomenatlas-1.1").labels.values())[:9]
    add_original(place, {name: box((n, n + 1)) for n, name in enumerate(names[:5])})
    for member in ("m/one", "m/two"):
        add_prediction(place, member, {name: box((n, n + 2)) for n, name in enumerate(names)})
    reads: Counter[str] = Counter()

    def counting(path: Path, *more: object, **options: object) -> object:
        reads[str(path)] += 1
        return read_labels(path, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(assembly, "read_labels", counting)
    assembled(ctatlas, place)
    assert len(reads) == 5 + 2
    assert set(reads.values()) == {1}


def test_one_bad_case_is_a_row_and_the_others_are_done_and_stay_done(ctatlas: Terminal, atlas: Atlas) -> None:
    """Defect 39: one bad file stopped a set of thousands, which then began anew."""
    for case in ("one", "two", "three"):
        add_prediction(new_case(atlas, case), "m/one", {"liver": LIVER})
    labels = atlas.place.case("two").prediction("m/one") / "labels.nii.gz"
    whole = labels.read_bytes()
    labels.write_bytes(whole[:-20])
    done = ctatlas("assemble", atlas.place.root, "--json")
    assert done.code == 3
    assert {case["case"]: case["state"] for case in done.json["cases"]} == {
        "one": "done", "two": "failed", "three": "done",
    }  # fmt: skip
    (row,) = csv.DictReader((atlas.place.root / "failures.csv").open(encoding="utf-8"))
    assert row["case"] == "two"
    labels.write_bytes(whole)
    again = ctatlas("assemble", atlas.place.root, "--json")
    assert again.code == 0
    assert {case["case"]: case["state"] for case in again.json["cases"]} == {
        "one": "there", "two": "done", "three": "there",
    }  # fmt: skip


def written(path: Path, seed: int, *, labels: bool = False) -> Path:
    """Write a scan of noise or, on the same grid, a label map of BTCV's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(-900, 900, GRID.shape, np.int16)
    if labels:
        write_labels(np.asfortranarray((noise > 0) * np.uint8(6)), GRID, path)  # the liver
    else:
        write_volume(Volume(np.asfortranarray(noise), GRID), path)
    return path


def test_images_and_labels_pair_by_name_not_by_position(ctatlas: Terminal, atlas: Atlas, tmp_path: Path) -> None:
    """Defect 7: sorted lists were zipped, so that one missing file shifted every later pair."""
    for number in (1, 2, 3, 10):
        written(tmp_path / "set" / "images" / f"img{number}.nii.gz", number)
    for number in (2, 10):  # 1 and 3 have none
        written(tmp_path / "set" / "labels" / f"label{number}.nii.gz", number, labels=True)
    done = ctatlas("add", atlas.place.root, tmp_path / "set", "--label-set", "btcv", "--key", tmp_path / "key")
    assert done.code == 0, done.err
    labelled = [place for place in atlas.cases() if place.original.exists()]
    assert len(atlas.cases()) == 4
    assert len(labelled) == 2
    for place in labelled:
        liver = read_labels(place.original / "liver.nii.gz").labels != 0
        np.testing.assert_array_equal(liver, np.asarray(nib.load(place.ct).dataobj) > 0)


def test_scans_of_one_name_in_many_folders_are_cases_of_their_own(
    ctatlas: Terminal, atlas: Atlas, tmp_path: Path
) -> None:
    """Defect 8: set/case1/ct.nii.gz and set/case2/ct.nii.gz all went to one folder, with the first one's affine."""
    names = ["case1", "case2", "case 3.1"]
    for number, name in enumerate(names):
        written(tmp_path / "lists" / "set" / name / "ct.nii.gz", number)
    (tmp_path / "lists" / "all.txt").write_text("".join(f"set/{name}/ct.nii.gz\n" for name in names))
    done = ctatlas("add", atlas.place.root, tmp_path / "lists" / "all.txt", "--key", tmp_path / "key")
    assert done.code == 0, done.err
    assert len({place.case for place in atlas.cases()}) == 3
    assert len({place.ct.read_bytes() for place in atlas.cases()}) == 3


def test_a_copy_is_known_by_its_voxels_and_two_alike_in_shape_are_not_one(
    ctatlas: Terminal, atlas: Atlas, tmp_path: Path
) -> None:
    """Defect 28: duplicates were decided by shape and number of voxels."""
    first = written(tmp_path / "one" / "a.nii.gz", 1)
    written(tmp_path / "two" / "other.nii.gz", 2)  # of the same shape
    nib.save(nib.load(first), tmp_path / "two" / "copy.nii")  # the same voxels in another file
    key = ("--key", tmp_path / "key", "--json", "--quiet")
    assert ctatlas("add", atlas.place.root, tmp_path / "one", *key).code == 0
    done = ctatlas("add", atlas.place.root, tmp_path / "two", *key)
    assert sorted(case["state"] for case in done.json["cases"]) == ["added", "copy"]
    assert len(atlas.cases()) == 2


def test_a_release_keeps_voxels_geometry_and_where_scans_are_from(
    ctatlas: Terminal, atlas: Atlas, place: CasePlace
) -> None:
    """Defects 27 and 28: scans were cropped without moving the affine, clipped, and their sources not told."""
    add_prediction(place, "m/one", {"liver": LIVER})
    assembled(ctatlas, place)
    done = ctatlas("release", atlas.place.root, "1.0")
    assert done.code == 0, done.err
    release = atlas.place.releases / "1.0"
    (scan,) = release.rglob("ct.nii.gz")
    (mask,) = release.rglob("liver.nii.gz")
    assert scan.read_bytes() == place.ct.read_bytes()
    np.testing.assert_array_equal(nib.load(mask).affine, nib.load(scan).affine)
    (row,) = csv.DictReader((release / "manifest" / "cases.csv").open(encoding="utf-8"))
    assert (row["dataset"], row["source_case"], row["repairs"]) == ("made", "one", "")


def defects() -> list[dict[str, str]]:
    with Path(__file__).with_name("upstream_defects.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_all_defects_of_the_reference_are_listed_in_order() -> None:
    assert [int(row["defect"]) for row in defects()] == [*range(1, 40)]


@pytest.mark.parametrize("row", defects(), ids=lambda row: row["defect"])
def test_a_defect_names_its_tests_or_says_why_it_cannot_be_here(row: dict[str, str]) -> None:
    assert bool(row["tests"]) != row["here"].startswith("does not apply: ")
    for name in row["tests"].split():
        path, _, test = name.partition("::")
        source = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^def {test}\(", source, re.MULTILINE), name


def test_tests_that_name_a_defect_here_are_in_the_table() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    told = re.findall(r'^def (test_\w+)\([^"]*?"""Defects? (\d+)(?: and (\d+))?', source, re.MULTILINE)
    listed = {int(row["defect"]): row["tests"] for row in defects()}
    assert [
        (test, number) for test, *numbers in told for number in numbers if number and test not in listed[int(number)]
    ] == []
    assert len(told) > 20
