"""Every layout in which masks come: which cases there are, what they are called, and where each one's masks lie."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import ctatlas
from ctatlas.benchmark.evaluate import Options
from ctatlas.benchmark.evaluate.layouts import Listing, masks_in
from ctatlas.errors import ScanError
from ctatlas.volume import MaskChoices, Segmentation, read, write, write_labels, write_volume
from tests.benchmark.evaluate.bodies import body, case_folder, grid, labels
from tests.support_scans import LIVER, SPLEEN, box_mask, torso, write_dicom

DSC = {"metrics": ("dsc",)}
NNUNET = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "liver": 1, "kidney_left": 2, "kidney_right": 3, "spleen": 4},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}


def label_map(path: Path, moved: tuple[int, int, int] = (0, 0, 0)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_labels(labels(moved), grid(), path)
    return path


def ids(listing: Listing) -> list[str]:
    return [case.case for case in listing.cases]


def test_case_folders_with_segmentations(tmp_path: Path) -> None:
    for case in ("b", "a"):
        case_folder(tmp_path, case, body())
    shutil.copy(case_folder(tmp_path, "a", body()) / "segmentations" / "liver.nii.gz", tmp_path / "a" / "ct.nii.gz")
    found = masks_in(tmp_path)
    assert (found.layout, ids(found), found.is_one) == ("a folder for each case", ["a", "b"], False)
    assert found.cases[0].ct == tmp_path / "a" / "ct.nii.gz"


def test_one_cases_own_folder_is_one_case(tmp_path: Path) -> None:
    case_folder(tmp_path, "scan7", body())
    found = masks_in(tmp_path / "scan7")
    assert (ids(found), found.is_one) == (["scan7"], True)


def test_cases_counted_with_a_letter_are_no_vertebrae(tmp_path: Path) -> None:
    for name in ("c1", "c2", "c10"):
        label_map(tmp_path / f"{name}.nii.gz")
    assert (masks_in(tmp_path).layout, ids(masks_in(tmp_path))) == ("a file for each case", ["c1", "c10", "c2"])
    for name in ("C1", "C2"):
        label_map(tmp_path / "neck" / f"{name}.nii.gz")
    assert masks_in(tmp_path / "neck").is_one


def test_a_flat_folder_of_structures_is_one_case(tmp_path: Path) -> None:
    write(body(), tmp_path / "scan7")
    found = masks_in(tmp_path / "scan7")
    assert (ids(found), found.is_one, found.cases[0].path) == (["scan7"], True, tmp_path / "scan7")


def test_a_flat_folder_of_cases_is_many(tmp_path: Path) -> None:
    for case in ("scan_7", "scan_8"):
        label_map(tmp_path / f"{case}.nii.gz")
    found = masks_in(tmp_path)
    assert (ids(found), found.is_one) == (["scan_7", "scan_8"], False)


def test_a_case_folder_with_combined_labels(tmp_path: Path) -> None:
    label_map(tmp_path / "a" / "combined_labels.nii.gz")
    (tmp_path / "a" / "labels.json").write_text(
        '{"1": "liver", "2": "kidney_left", "3": "kidney_right", "4": "spleen"}'
    )
    case_folder(tmp_path / "pred", "a", body())
    found = ctatlas.evaluate(tmp_path / "a", tmp_path / "pred" / "a", **DSC)
    assert {row.structure: row.value for row in found.measurements} == dict.fromkeys(body().names, 1.0)


def test_the_challenge_folders_of_kits(tmp_path: Path) -> None:
    label_map(tmp_path / "case_00001" / "segmentation.nii.gz")
    shutil.copy(tmp_path / "case_00001" / "segmentation.nii.gz", tmp_path / "case_00001" / "imaging.nii.gz")
    found = masks_in(tmp_path)
    assert ids(found) == ["case_00001"]
    assert found.cases[0].path.name == "segmentation.nii.gz"
    assert found.cases[0].ct == tmp_path / "case_00001" / "imaging.nii.gz"


@pytest.fixture
def nnunet(tmp_path: Path) -> Path:
    """Write nnU-Net's raw data of two cases."""
    root = tmp_path / "Dataset007_Belly"
    for case in ("belly_001", "belly_002"):
        label_map(root / "labelsTr" / f"{case}.nii.gz")
        label_map(root / "imagesTr" / f"{case}_0000.nii.gz")
    (root / "dataset.json").write_text(json.dumps(NNUNET))
    return root


def test_nnunets_raw_data_and_its_predictions(nnunet: Path, tmp_path: Path) -> None:
    result = tmp_path / "result"
    label_map(result / "belly_001.nii.gz")
    label_map(result / "belly_002.nii.gz", (1, 0, 0))
    for name in ("dataset.json", "plans.json", "predict_from_raw_data_args.json"):
        (result / name).write_text(json.dumps(NNUNET))
    found = ctatlas.evaluate(nnunet, result, **DSC)
    assert {row.case for row in found.measurements} == {"belly_001", "belly_002"}
    assert {row.structure for row in found.measurements} == set(body().names)
    assert masks_in(nnunet).cases[0].ct == nnunet / "imagesTr" / "belly_001_0000.nii.gz"


def test_its_label_folder_alone_finds_the_names_beside_it(nnunet: Path) -> None:
    assert masks_in(nnunet / "labelsTr").cases[0].label_set == str(nnunet / "dataset.json")


def test_names_that_no_structure_has_are_compared_as_they_are(nnunet: Path, tmp_path: Path) -> None:
    shutil.copytree(nnunet / "labelsTr", tmp_path / "pred")
    described = NNUNET | {"labels": {"background": 0, "core": 1, "rim": 2, "fog": 3, "zone": 4}}
    for place in (nnunet, tmp_path / "pred"):
        (place / "dataset.json").write_text(json.dumps(described))
    found = ctatlas.evaluate(nnunet, tmp_path / "pred", **DSC)
    assert {row.structure for row in found.measurements} == {"core", "rim", "fog", "zone"}
    assert {row.value for row in found.measurements} == {1.0}


def test_voxels_that_the_reference_says_to_ignore_count_for_nothing(nnunet: Path, tmp_path: Path) -> None:
    ignored = labels()
    ignored[:, :, 12:] = 5
    write_labels(ignored, grid(), nnunet / "labelsTr" / "belly_001.nii.gz")
    described = NNUNET | {"labels": {**NNUNET["labels"], "ignore": 5}}  # type: ignore[dict-item]
    (nnunet / "dataset.json").write_text(json.dumps(described))
    label_map(tmp_path / "pred" / "belly_001.nii.gz")
    (tmp_path / "pred" / "dataset.json").write_text(json.dumps(NNUNET))
    found = ctatlas.evaluate(nnunet, tmp_path / "pred", **DSC)
    of_it = {row.structure: (row.status, row.value) for row in found.measurements if row.case == "belly_001"}
    assert of_it["liver"] == ("ok", 1.0)
    assert not [note for note in found.notes if note.kind == "unknown_label"]


def test_numbers_without_names_are_known_to_be_absent_where_they_are_not(tmp_path: Path) -> None:
    without = labels()
    without[without == 4] = 0
    strange = without.copy()
    strange[:2, :2, :2] = 9
    for case, gt, pred in (("a", labels(), without), ("b", without, labels()), ("c", without, strange)):
        for side, values in (("gt", gt), ("pred", pred)):
            (tmp_path / side).mkdir(exist_ok=True)
            write_labels(values, grid(), tmp_path / side / f"{case}.nii.gz")
    found = ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", **DSC)
    of_4 = {row.case: row.status for row in found.measurements if row.structure == "label_4"}
    assert of_4 == {"a": "pred_absent", "b": "gt_absent"}
    assert "label_9" not in {row.structure for row in found.measurements}
    assert [note.structure for note in found.notes if note.kind == "not_annotated"] == ["label_9"]


def test_combined_labels_of_different_label_sets(tmp_path: Path) -> None:
    amos = {"spleen": 1, "kidney_right": 2, "kidney_left": 3, "liver": 6}
    total = {"spleen": 1, "kidney_right": 2, "kidney_left": 3, "liver": 5}
    for folder, numbers in (("gt", amos), ("pred", total)):
        (tmp_path / folder).mkdir()
        for case in ("a", "b"):
            write_labels(body().combined(numbers), grid(), tmp_path / folder / f"{case}.nii.gz")
    options = Options(gt_label_set="amos", pred_label_set="totalsegmentator-v2")
    found = ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", **DSC, options=options)
    there = {row.structure: row.value for row in found.measurements if row.status == "ok"}
    assert there == dict.fromkeys(amos, 1.0)
    assert {row.status for row in found.measurements if row.structure == "pancreas"} == {"both_absent"}


def test_a_number_that_the_label_set_lacks_is_told_and_the_rest_is_evaluated(tmp_path: Path) -> None:
    label_map(tmp_path / "gt.nii.gz")
    strange = labels()
    strange[:2, :2, :2] = 77
    write_labels(strange, grid(), tmp_path / "pred.nii.gz")
    options = Options(gt_label_set="abdomenatlas-1.1", pred_label_set="abdomenatlas-1.1")
    found = ctatlas.evaluate(tmp_path / "gt.nii.gz", tmp_path / "pred.nii.gz", **DSC, options=options)
    assert [note.message for note in found.notes if note.kind == "unknown_label"] == [
        "pred.nii.gz: number 77 is not in abdomenatlas-1.1; its voxels count for nothing"
    ]
    assert {row.value for row in found.measurements if row.status == "ok"} == {1.0}


def test_the_tumor_in_a_liver_is_liver_where_the_set_says_so(tmp_path: Path) -> None:
    tumor = labels()
    tumor[tumor != 1] = 0
    tumor[20:23, 13:16, 9:12] = 2
    write_labels(tumor, grid(), tmp_path / "gt.nii.gz")
    case_folder(tmp_path / "pred", "gt", body().select(["liver"]))
    options = Options(gt_label_set="lits")
    found = ctatlas.evaluate(tmp_path / "gt.nii.gz", tmp_path / "pred" / "gt", **DSC, options=options)
    assert [(row.structure, row.value) for row in found.measurements] == [("liver", 1.0)]


def test_what_one_side_has_in_parts_is_put_together(tmp_path: Path) -> None:
    gt = Segmentation.from_masks(grid(), {"kidneys": body().mask("kidney_left") | body().mask("kidney_right")})
    case_folder(tmp_path / "gt", "a", gt)
    case_folder(tmp_path / "pred", "a", body())
    there = ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", **DSC)
    back = ctatlas.evaluate(tmp_path / "pred", tmp_path / "gt", **DSC)
    assert (
        [(row.structure, row.value) for row in there.measurements]
        == [("kidneys", 1.0)]
        == [(row.structure, row.value) for row in back.measurements]
    )
    assert [(note.structure, note.kind) for note in there.notes if note.kind == "put_together"] == [
        ("kidneys", "put_together")
    ]


def test_two_files_of_one_case_are_refused_for_that_case(tmp_path: Path) -> None:
    label_map(tmp_path / "gt" / "a.nii.gz")
    label_map(tmp_path / "gt" / "b.nii.gz")
    label_map(tmp_path / "pred" / "b.nii.gz")
    label_map(tmp_path / "pred" / "a.nii.gz")
    label_map(tmp_path / "pred" / "a.nii")
    found = ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", **DSC)
    assert [(each.case, each.reason) for each in found.failures] == [
        ("a", "a: several files are of it: a.nii, a.nii.gz.")
    ]
    assert {row.case: row.status for row in found.measurements} == {"a": "missing_prediction", "b": "ok"}


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: (path / "logs").mkdir(parents=True)])
def test_a_place_without_masks_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "nothing")
    with pytest.raises(ScanError, match="holds no masks"):
        masks_in(tmp_path / "nothing")


def test_a_scan_is_no_segmentation(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("liver")
    with pytest.raises(ScanError, match=r"notes.txt: holds no segmentation"):
        masks_in(tmp_path / "notes.txt")


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two DICOM scans with a SEG and an RTSTRUCT of each, and the same masks as a folder."""
    root = tmp_path_factory.mktemp("objects")
    for case, seed in (("p1", 1), ("p2", 2)):
        ct = write_dicom(torso(seed=seed), root / "scans" / case)
        scan = read(ct)
        upright = Segmentation.from_masks(torso().grid, {"liver": box_mask(LIVER), "spleen": box_mask(SPLEEN)})
        masks = upright.reoriented(scan.grid.orientation)
        masks = Segmentation(scan.grid, masks.layers, masks.places)
        write(masks, root / "masks" / case / "segmentations")
        for kind in ("seg", "rtstruct"):
            (root / kind / case).mkdir(parents=True)
            write(masks, root / kind / case / f"found.{kind}.dcm", MaskChoices(scan=scan, source=ct))
        shutil.copytree(ct, root / "series" / case)
        shutil.copy(root / "seg" / case / "found.seg.dcm", root / "series" / case / "zzz.dcm")
        write_volume(scan, root / "scans" / f"{case}.nii.gz")
    return root


@pytest.mark.parametrize(
    ("gt", "pred"), [("masks", "seg"), ("seg", "masks"), ("seg", "seg2"), ("series", "masks"), ("masks", "series")]
)
def test_dicom_seg_on_either_side(objects: Path, tmp_path: Path, gt: str, pred: str) -> None:
    shutil.copytree(objects / "seg", tmp_path / "seg2")
    place = tmp_path / pred if pred == "seg2" else objects / pred
    found = ctatlas.evaluate(objects / gt, place, **DSC)
    assert {(row.case, row.structure, row.value) for row in found.measurements} == {
        (case, structure, 1.0) for case in ("p1", "p2") for structure in ("liver", "spleen")
    }


def test_contours_need_the_scan_and_get_it(objects: Path) -> None:
    alone = ctatlas.evaluate(objects / "masks", objects / "rtstruct", **DSC)
    with_scans = ctatlas.evaluate(
        objects / "masks", objects / "rtstruct", **DSC, options=Options(images=objects / "scans")
    )
    assert all(row.value is not None and row.value > 0.99 for row in (*alone.measurements, *with_scans.measurements))


def test_contours_as_reference_lie_on_the_predictions_voxels(objects: Path, tmp_path: Path) -> None:
    found = ctatlas.evaluate(objects / "rtstruct", objects / "masks", tmp_path / "out", **DSC)
    assert all(row.value is not None and row.value > 0.99 for row in found.measurements)
    wrong = {(row.case, row.structure) for row in found.measurements if row.value != 1.0}
    assert len(list((tmp_path / "out" / "worst").glob("*.png"))) == len(wrong)
    both = ctatlas.evaluate(objects / "rtstruct", objects / "masks", **DSC, options=Options(images=objects / "scans"))
    assert both.measurements == found.measurements


def test_contours_on_both_sides_need_the_scans(objects: Path, tmp_path: Path) -> None:
    shutil.copytree(objects / "rtstruct", tmp_path / "pred")
    with pytest.raises(ScanError, match="contours have no voxels of their own; give the scans: --images"):
        ctatlas.evaluate(objects / "rtstruct", tmp_path / "pred", **DSC)
    options = Options(images=objects / "scans")
    found = ctatlas.evaluate(objects / "rtstruct", tmp_path / "pred", **DSC, options=options)
    assert {row.value for row in found.measurements} == {1.0}


def test_parts_of_one_lattice_are_put_where_they_belong(objects: Path, tmp_path: Path) -> None:
    for folder, names in (("gt", ["liver"]), ("pred", ["spleen"])):
        for case in ("p1",):
            scan = read(objects / "scans" / case)
            masks = Segmentation.from_masks(
                torso().grid, {"spleen": box_mask(LIVER if names == ["liver"] else ((40, 58), (18, 34), (5, 22)))}
            ).reoriented(scan.grid.orientation)
            (tmp_path / folder / case).mkdir(parents=True)
            write(
                Segmentation(scan.grid, masks.layers, masks.places),
                tmp_path / folder / case / "s.seg.dcm",
                MaskChoices(scan=scan, source=objects / "scans" / case),
            )
    found = ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", **DSC)
    n_gt, n_pred = 16 * 16 * 14, 18 * 16 * 17
    assert [row.value for row in found.measurements] == [2 * n_gt / (n_gt + n_pred)]


def test_images_are_found_by_case(tmp_path: Path) -> None:
    case_folder(tmp_path / "gt", "a", body())
    case_folder(tmp_path / "pred", "a", body((1, 0, 0)))
    scan = np.zeros(grid().shape, np.int16)
    (tmp_path / "images").mkdir()
    write_volume(ctatlas.Volume(scan, grid()), tmp_path / "images" / "a_0000.nii.gz")
    options = Options(images=tmp_path / "images")
    found = ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", tmp_path / "out", **DSC, options=options)
    assert len(found.measurements) == 4
    assert len(list((tmp_path / "out" / "worst").glob("*.png"))) == 4


def test_a_folder_around_all_is_looked_into(tmp_path: Path) -> None:
    for case in ("a", "b"):
        case_folder(tmp_path / "download" / "AbdomenAtlas", case, body())
    (tmp_path / "download" / "README.md").write_text("masks")
    (tmp_path / "download" / "manifest").mkdir()
    (tmp_path / "download" / "manifest" / "cases.csv").write_text("case")
    assert ids(masks_in(tmp_path / "download")) == ["a", "b"]


def test_a_folder_of_tables_is_no_case(tmp_path: Path) -> None:
    case_folder(tmp_path, "a", body())
    for name in ("manifest", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "manifest" / "cases.csv").write_text("case")
    assert [(case.case, case.fault) for case in masks_in(tmp_path).cases] == [
        ("a", ""),
        ("empty", "its folder holds no masks"),
    ]


def test_one_label_of_both_kidneys_meets_a_prediction_of_each(tmp_path: Path) -> None:
    kits = np.isin(labels(), (2, 3)).astype(np.uint8)
    write_labels(kits, grid(), tmp_path / "case_1.nii.gz")
    case_folder(tmp_path / "pred", "case_1", body())
    options = Options(gt_label_set="kits")
    found = ctatlas.evaluate(tmp_path / "case_1.nii.gz", tmp_path / "pred" / "case_1", **DSC, options=options)
    assert [(row.structure, row.value) for row in found.measurements] == [("kidneys", 1.0)]
