import shutil
from pathlib import Path

import numpy as np
import pytest

from ctatlas.atlas import Atlas
from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.records import RevisionRecord, read_record
from ctatlas.atlas.revise.export import export_tasks
from ctatlas.atlas.revise.take_back import Work, import_tasks
from ctatlas.errors import AtlasError, CtatlasError, ScanError
from ctatlas.execution import perform_in_place
from ctatlas.volume import Grid, Segmentation, read, read_labels, read_segmentation, write, write_labels, write_mask
from ctatlas.volume.formats.dicom.derived import Algorithm
from ctatlas.volume.formats.dicom_seg.write import write_dicom_seg
from tests.atlas.by_hand import GRID, add_prediction, box, everything_in, new_atlas, new_case
from tests.volume.formats.dicom.phantom import Phantom

VESSEL = box((2, 3), (2, 4), (1, 5))
MASKS = {"liver": box((0, 5)), "spleen": box((7, 10)), "hepatic_vessel": VESSEL}
GROWN = box((0, 6))
ANN = Work("ann", 4.0, "3D Slicer", "hot spots")


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    return new_atlas(tmp_path / "atlas", members=["m/one"])


@pytest.fixture
def place(atlas: Atlas) -> CasePlace:
    place = new_case(atlas)
    add_prediction(place, "m/one", MASKS)
    return place


@pytest.fixture
def package(atlas: Atlas, place: CasePlace, tmp_path: Path) -> Path:
    (task,) = export_tasks(atlas, [place], tmp_path / "out")
    perform_in_place(task)
    return tmp_path / "out" / place.case


def take_back(atlas: Atlas, path: Path, work: Work = ANN, case: str | None = None) -> RevisionRecord:
    (task,) = import_tasks(atlas, path, work, case)
    summary = perform_in_place(task).summary
    place = atlas.place.case(task.case)
    return read_record(RevisionRecord, place.revision(int(str(summary["revision"]))) / "revision.json")


def revised(place: CasePlace, name: str, number: int = 1) -> np.ndarray:
    found = read_labels(place.revision(number) / f"{name}.nii.gz")
    assert found.grid.is_like(GRID)
    return np.asarray(found.labels != 0)


def refused(
    atlas: Atlas, path: Path, match: str, kind: type[CtatlasError] = ScanError, case: str | None = None
) -> None:
    before = everything_in(atlas.place.root)
    with pytest.raises(kind, match=match) as found:
        take_back(atlas, path, case=case)
    assert "\n" not in str(found.value)
    assert everything_in(atlas.place.root) == before


def test_an_edited_seg_nrrd_in_the_package(atlas: Atlas, place: CasePlace, package: Path) -> None:
    shown = read_segmentation(package / "masks.seg.nrrd")
    write(shown.replace({"liver": GROWN}), package / "masks.seg.nrrd")
    record = take_back(atlas, package)
    assert (record.author, record.minutes, record.tool, record.reason) == ("ann", 4.0, "3D Slicer", "hot spots")
    assert list(record.masks) == ["liver"]
    assert record.reviewed == ("hepatic_vessel", "liver", "spleen")
    assert record.masks["liver"].added_ml == pytest.approx(99 * GRID.voxel_ml)
    assert record.masks["liver"].removed_ml == 0
    np.testing.assert_array_equal(revised(place, "liver"), GROWN)


@pytest.mark.parametrize(
    "name", ["segmentations/liver.nii.gz", "liver_revised.nii.gz", "segmentations/Liver_revised.nii"]
)
def test_an_edited_single_mask_in_the_package(atlas: Atlas, place: CasePlace, package: Path, name: str) -> None:
    write_mask(GROWN, GRID, package / name)
    record = take_back(atlas, package)
    assert list(record.masks) == ["liver"]
    np.testing.assert_array_equal(revised(place, "liver"), GROWN)


def test_an_edited_label_map_changes_what_was_painted_and_no_more(
    atlas: Atlas, place: CasePlace, package: Path
) -> None:
    """The map shows no liver under its vessel: the vessel's voxels are not taken from the liver."""
    labels = read_labels(package / "labels.nii.gz").labels.copy()
    assert (labels[VESSEL] == 19).all()
    labels[5, :, :], labels[7, :, :] = 5, 0  # liver grows, spleen shrinks
    labels[4, 2:4, 1:3] = 19  # and the vessel grows within the liver
    write_labels(labels, GRID, package / "labels.nii.gz")
    record = take_back(atlas, package)
    assert set(record.masks) == {"liver", "spleen", "hepatic_vessel"}
    np.testing.assert_array_equal(revised(place, "liver"), GROWN)
    np.testing.assert_array_equal(revised(place, "spleen"), box((8, 10)))
    np.testing.assert_array_equal(revised(place, "hepatic_vessel"), VESSEL | box((4, 5), (2, 4), (1, 3)))


def test_a_dicom_seg_of_the_scan(atlas: Atlas, tmp_path: Path) -> None:
    series = Phantom().write(tmp_path / "series")
    scan = read(series)
    place = new_case(atlas, "dicom", scan.grid)
    drawn = np.zeros(scan.grid.shape, bool)
    drawn[1:4, 2:5, 2:4] = True
    masks = Segmentation.from_masks(scan.grid, {"liver": drawn, "postcava": np.roll(drawn, 5)})
    write_dicom_seg(masks, scan, series, tmp_path / "masks.dcm", algorithm=Algorithm("test", "1"))
    record = take_back(atlas, tmp_path / "masks.dcm", case="dicom")
    assert record.reviewed == ("inferior_vena_cava", "liver")
    np.testing.assert_array_equal(read_labels(place.revision(1) / "liver.nii.gz").labels, drawn)


def test_one_file_without_a_package(atlas: Atlas, place: CasePlace, tmp_path: Path) -> None:
    folder = tmp_path / "back" / "one"
    folder.mkdir(parents=True)
    write_mask(GROWN, GRID, folder / "liver_revised.nii.gz")
    record = take_back(atlas, folder / "liver_revised.nii.gz")  # the folder's name says the case
    assert record.reviewed == ("liver",)
    np.testing.assert_array_equal(revised(place, "liver"), GROWN)


def test_in_the_published_layout_only_revised_masks_count(atlas: Atlas, place: CasePlace, tmp_path: Path) -> None:
    folder = tmp_path / "one" / "average" / "segmentations"
    folder.mkdir(parents=True)
    write_mask(box((0, 1)), GRID, folder / "spleen.nii.gz")  # what the model had said
    write_mask(box((3, 4)), GRID, folder / "postcava_revised.nii.gz")
    record = take_back(atlas, tmp_path / "one" / "average", case="one")
    assert record.reviewed == ("inferior_vena_cava",)
    np.testing.assert_array_equal(revised(place, "inferior_vena_cava"), box((3, 4)))


def test_axes_in_another_order_are_put_right(atlas: Atlas, place: CasePlace, tmp_path: Path) -> None:
    turned = Segmentation.from_masks(GRID, {"liver": GROWN}).reoriented("SRA")
    write_mask(turned.mask("liver"), turned.grid, tmp_path / "liver.nii.gz")
    take_back(atlas, tmp_path / "liver.nii.gz", case="one")
    np.testing.assert_array_equal(revised(place, "liver"), GROWN)
    write(turned.replace({"liver": ~turned.mask("liver")}), tmp_path / "turned.seg.nrrd")
    take_back(atlas, tmp_path / "turned.seg.nrrd", case="one")
    np.testing.assert_array_equal(revised(place, "liver", 2), ~GROWN)


def test_an_untouched_package_is_a_review_without_masks(atlas: Atlas, package: Path) -> None:
    (package / "segmentations" / "spleen.nii.gz").unlink()  # not looked at
    record = take_back(atlas, package)
    assert record.masks == {}
    assert record.reviewed == ("hepatic_vessel", "liver")


def test_an_empty_mask_says_that_the_structure_is_not_there(atlas: Atlas, package: Path) -> None:
    write_mask(np.zeros(GRID.shape, bool), GRID, package / "segmentations" / "spleen.nii.gz")
    record = take_back(atlas, package)
    assert record.masks["spleen"].n_voxels == 0
    assert record.masks["spleen"].removed_ml == pytest.approx(3 * 99 * GRID.voxel_ml)


def test_what_another_annotator_revised_meanwhile_is_not_undone(atlas: Atlas, package: Path) -> None:
    other = package.parent / "bobs"
    shutil.copytree(package, other)
    write_mask(box((7, 12)), GRID, other / "segmentations" / "spleen.nii.gz")
    take_back(atlas, other, Work("bob"))
    write(read_segmentation(package / "masks.seg.nrrd").replace({"liver": GROWN}), package / "masks.seg.nrrd")
    record = take_back(atlas, package)
    assert list(record.masks) == ["liver"]
    assert record.masks["liver"].added_ml == pytest.approx(99 * GRID.voxel_ml)
    assert "spleen" in record.reviewed


def test_the_same_twice_is_refused(atlas: Atlas, package: Path) -> None:
    write_mask(GROWN, GRID, package / "segmentations" / "liver.nii.gz")
    take_back(atlas, package)
    refused(atlas, package, "one: these masks by ann are there already, as revision 1", AtlasError)
    assert take_back(atlas, package, Work("bob")).number == 2


def test_a_new_structure_is_taken_and_a_case_without_masks_can_be_annotated(atlas: Atlas, tmp_path: Path) -> None:
    place = new_case(atlas, "bare")
    write(Segmentation.from_masks(GRID, {"gall_bladder": VESSEL}), tmp_path / "bare.seg.nrrd")
    record = take_back(atlas, tmp_path / "bare.seg.nrrd")
    assert record.masks["gallbladder"].added_ml == pytest.approx(VESSEL.sum() * GRID.voxel_ml)
    np.testing.assert_array_equal(revised(place, "gallbladder"), VESSEL)


def test_a_folder_of_packages_is_taken_back_at_once(atlas: Atlas, package: Path) -> None:
    second = new_case(atlas, "two")
    add_prediction(second, "m/one", MASKS)
    (task,) = export_tasks(atlas, [second], package.parent)
    perform_in_place(task)
    tasks = import_tasks(atlas, package.parent, Work("ann"))
    assert [task.case for task in tasks] == ["one", "two"]
    with pytest.raises(AtlasError, match="holds 2 packages; --case and --minutes are of one"):
        import_tasks(atlas, package.parent, ANN)


@pytest.mark.usefixtures("place")
def test_bad_files_are_refused_in_a_line_and_nothing_is_stored(atlas: Atlas, tmp_path: Path) -> None:
    bad = tmp_path / "one"
    bad.mkdir()

    def put(name: str, mask: np.ndarray, grid: Grid = GRID) -> Path:
        for old in bad.iterdir():
            old.unlink()
        write_mask(mask, grid, bad / name)
        return bad / name

    shifted = Grid(GRID.shape, GRID.affine + np.array([[0, 0, 0, 3.0], [0] * 4, [0] * 4, [0] * 4]))
    small = Grid((3, 3, 3), GRID.affine)
    refused(atlas, put("liver.nii.gz", GROWN, shifted), "liver.nii.gz: its masks lie on another grid")
    refused(atlas, put("liver.nii.gz", np.ones((3, 3, 3), bool), small), r"another grid \(3 x 3 x 3 voxels\)")
    refused(atlas, put("livre_revised.nii.gz", GROWN), "no structure is called 'livre'; near: liver.*; rename the file")
    refused(atlas, put("vertebrae_L1.nii.gz", GROWN), "vertebrae_L1, which the atlas's abdomenatlas-1.1 does not have")
    path = put("liver.nii.gz", GROWN)
    path.write_bytes(path.read_bytes()[:60])
    refused(atlas, path, "liver.nii.gz: is no label map; expected NIfTI, NRRD or MetaImage")
    write_labels(np.asfortranarray(GROWN.astype(np.uint8) + MASKS["spleen"] * np.uint8(3)), GRID, path)
    refused(atlas, path, "liver.nii.gz: holds labels 1, 3; expected a mask of liver: 0 and one other value")
    path.unlink()
    refused(atlas, bad, "one: holds no masks; expected <structure>.nii.gz")
    refused(atlas, bad / "two.dcm", "two.dcm: there is no such file or folder")
    refused(atlas, bad / "nowhere.nii.gz", "nowhere.nii.gz")
    write_labels(np.full(GRID.shape, 77, np.uint8), GRID, bad / "labels.nii.gz")
    refused(atlas, bad / "labels.nii.gz", "holds label 77, which has no name in labels.json or abdomenatlas-1.1")


@pytest.mark.usefixtures("place")
def test_segments_that_are_no_structures_are_refused(atlas: Atlas, tmp_path: Path) -> None:
    path = tmp_path / "one.seg.nrrd"
    write(Segmentation.from_masks(GRID, {"liver": GROWN, "Segment_1": VESSEL}), path)
    refused(atlas, path, "one.seg.nrrd: no structure is called 'Segment_1'.*; rename or delete it")
    write(Segmentation.from_masks(GRID, {"postcava": GROWN, "inferior_vena_cava": VESSEL}), path)
    refused(atlas, path, "holds inferior_vena_cava twice; keep one")


def test_two_versions_of_one_structure_are_refused(atlas: Atlas, package: Path) -> None:
    write_mask(GROWN, GRID, package / "segmentations" / "liver.nii.gz")
    write(read_segmentation(package / "masks.seg.nrrd").replace({"liver": box((0, 7))}), package / "masks.seg.nrrd")
    refused(atlas, package, "liver was changed both in masks.seg.nrrd and liver.nii.gz; keep one")
    write_mask(box((0, 7)), GRID, package / "segmentations" / "liver.nii.gz")
    assert list(take_back(atlas, package).masks) == ["liver"]  # alike: no contradiction


@pytest.mark.usefixtures("place")
def test_whose_masks_they_are_must_be_known(atlas: Atlas, tmp_path: Path) -> None:
    write_mask(GROWN, GRID, tmp_path / "liver.nii.gz")
    refused(atlas, tmp_path / "liver.nii.gz", "nothing says whose masks these are; add --case", AtlasError)
    refused(atlas, tmp_path / "liver.nii.gz", "has no case 'two'", AtlasError, case="two")
    with pytest.raises(AtlasError, match="--author is empty"):
        import_tasks(atlas, tmp_path / "liver.nii.gz", Work("  "), "one")


def test_a_package_of_another_scan_is_refused(atlas: Atlas, package: Path) -> None:
    other = new_case(atlas, "other-scan")
    add_prediction(other, "m/one", MASKS)
    refused(atlas, package, "is a package of another scan than other-scan", AtlasError, case="other-scan")
