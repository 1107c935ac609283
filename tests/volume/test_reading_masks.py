from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctatlas.errors import OutputError, ScanError
from ctatlas.volume import (
    Grid,
    MaskChoices,
    Segmentation,
    Volume,
    read_segmentation,
    segmentation_kind,
    write,
    write_labels,
    write_mask,
    write_volume,
)
from tests.volume.strategies import CODES, counted, oblique_grid


def apart(grid: Grid | None = None) -> Segmentation:
    """Return two organs that do not overlap and one that was looked for in vain."""
    grid = grid or oblique_grid()
    masks = {"liver": counted(grid) % 5 == 1, "kidney_left": counted(grid) % 7 == 0, "spleen": counted(grid) > 10_000}
    masks["kidney_left"] &= ~masks["liver"]
    return Segmentation.from_masks(grid, masks)


def overlapping() -> Segmentation:
    return apart().add("hepatic_tumor", counted(oblique_grid()) % 10 == 1)


def same(one: Segmentation, other: Segmentation) -> bool:
    """Tell whether two segmentations have the same masks in the same places, in whatever order."""
    return (
        set(one.names) == set(other.names)
        and one.grid.same_place(other.grid, 1e-4)
        and all(np.array_equal(one.mask(name), other.mask(name)) for name in one.names)
    )


def test_a_folder_of_masks(tmp_path: Path) -> None:
    write(overlapping(), tmp_path / "masks")
    assert same(read_segmentation(tmp_path / "masks"), overlapping())


def test_the_masks_of_a_case_lie_below_its_folder(tmp_path: Path) -> None:
    grid = oblique_grid()
    write_volume(Volume(counted(grid), grid), tmp_path / "ct.nii.gz")
    write(apart(), tmp_path / "segmentations")
    assert same(read_segmentation(tmp_path), apart())


def test_a_label_map_with_its_names(tmp_path: Path) -> None:
    write(apart(), tmp_path / "all.nii.gz")
    assert json.loads((tmp_path / "all.labels.json").read_text()) == {"1": "liver", "2": "kidney_left", "3": "spleen"}
    assert same(read_segmentation(tmp_path / "all.nii.gz"), apart())


def test_the_names_of_a_result_folder_are_found(tmp_path: Path) -> None:
    grid = oblique_grid()
    write_labels(apart().combined({"liver": 4, "kidney_left": 9}), grid, tmp_path / "combined_labels.nii.gz")
    (tmp_path / "labels.json").write_text('{"4": "liver", "9": "kidney_left", "12": "spleen"}')
    assert same(read_segmentation(tmp_path / "combined_labels.nii.gz"), apart())


def test_a_label_set_gives_ids_and_spellings(tmp_path: Path) -> None:
    found = apart().rename({"spleen": "inferior_vena_cava"})
    known = MaskChoices(label_set="abdomenatlas-1.1")
    write(found, tmp_path / "all.nii.gz", known)
    write(found, tmp_path / "masks", known)
    assert (tmp_path / "masks" / "postcava.nii.gz").is_file()
    assert "postcava" in (tmp_path / "all.labels.json").read_text()
    assert same(read_segmentation(tmp_path / "masks", label_set="abdomenatlas-1.1"), found)
    (tmp_path / "all.labels.json").unlink()
    without_the_absent = read_segmentation(tmp_path / "all.nii.gz", label_set="abdomenatlas-1.1")
    assert np.array_equal(without_the_absent.mask("kidney_left"), found.mask("kidney_left"))


def test_ids_without_names_are_numbered(tmp_path: Path) -> None:
    grid = oblique_grid()
    write_labels(apart().combined({"liver": 4, "kidney_left": 900}), grid, tmp_path / "x.nii.gz")
    assert read_segmentation(tmp_path / "x.nii.gz").names == ("label_4", "label_900")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('{"4": "liver"}', "holds label 900, which has no name"),
        ('{"4": "liver", "900": "liver"}', "one name twice"),
        ('{"4": "liver", "70000": "x"}', "outside"),
        ('["liver"]', "no table of names"),
        ('{"four": "liver"}', "no table of names"),
        ("[" * 100_000, "no table of names"),
        (" " * 2**20 + "{}", "longer than"),
    ],
)
def test_a_wrong_table_of_names_is_one_line(tmp_path: Path, table: str, message: str) -> None:
    grid = oblique_grid()
    write_labels(apart().combined({"liver": 4, "kidney_left": 900}), grid, tmp_path / "x.nii.gz")
    (tmp_path / "labels.json").write_text(table)
    with pytest.raises(ScanError, match=message):
        read_segmentation(tmp_path / "x.nii.gz")


def test_a_label_map_cannot_hold_overlaps(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"liver and hepatic_tumor overlap"):
        write(overlapping(), tmp_path / "x.nii.gz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", CODES)
def test_masks_turn_to_the_scan_they_belong_to(tmp_path: Path, code: str) -> None:
    scan_grid = oblique_grid("LPS")
    write(apart(scan_grid).reoriented(code), tmp_path / "masks")
    assert same(read_segmentation(tmp_path / "masks", scan_grid), apart(scan_grid))
    assert read_segmentation(tmp_path / "masks", scan_grid).grid == scan_grid


def test_masks_of_another_scan_are_refused(tmp_path: Path) -> None:
    write(apart(), tmp_path / "masks")
    moved = oblique_grid().affine.copy()
    moved[2, 3] += 2.5
    scan = Volume(counted(oblique_grid()), Grid(oblique_grid().shape, moved))
    with pytest.raises(ScanError, match=r"masks: its masks lie on another grid"):
        read_segmentation(tmp_path / "masks", scan=scan)


def test_masks_of_one_folder_share_a_grid(tmp_path: Path) -> None:
    write(apart(), tmp_path)
    grid = oblique_grid(shape=(5, 7, 3))
    write_mask(counted(grid) > 0, grid, tmp_path / "stomach.nii.gz")
    with pytest.raises(ScanError, match=r"stomach\.nii\.gz lies on another grid"):
        read_segmentation(tmp_path)


def test_a_label_map_is_no_mask(tmp_path: Path) -> None:
    write_labels((counted(oblique_grid()) % 3 == 0) * np.uint8(2) + np.uint8(1), oblique_grid(), tmp_path / "x.nii.gz")
    with pytest.raises(ScanError, match="expected a mask"):
        read_segmentation(tmp_path)


def test_the_number_that_is_no_label_is_told(tmp_path: Path) -> None:
    """One voxel among many that are labels."""
    for odd, told in ((np.nan, "nan"), (0.25, "0.25"), (-3, "-3")):
        values = np.zeros((4, 5, 6), np.float32)
        values[0, 0, 0], values[2, 3, 1] = 7, odd
        nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "labels.nii.gz")
        with pytest.raises(ScanError, match=rf"labels\.nii\.gz: holds {told}; expected labels"):
            read_segmentation(tmp_path / "labels.nii.gz")


def test_an_archive_of_masks(tmp_path: Path) -> None:
    write(overlapping(), tmp_path / "masks")
    with zipfile.ZipFile(tmp_path / "masks.zip", "w") as archive:
        for file in (tmp_path / "masks").iterdir():
            archive.write(file, file.name)
    assert same(read_segmentation(tmp_path / "masks.zip"), overlapping())


def test_what_is_surely_masks(tmp_path: Path) -> None:
    grid = oblique_grid()
    write_volume(Volume(counted(grid), grid), tmp_path / "ct.nii.gz")
    write(apart(), tmp_path / "all.nii.gz")
    assert segmentation_kind(tmp_path / "ct.nii.gz", surely=True) == ""
    assert segmentation_kind(tmp_path / "ct.nii.gz") == "labels"
    assert segmentation_kind(tmp_path / "all.nii.gz", surely=True) == "labels"
    assert segmentation_kind(tmp_path, surely=True) == ""
    (tmp_path / "ct.nii.gz").unlink()
    assert segmentation_kind(tmp_path, surely=True) == "labels"  # alone but for its names
    next(tmp_path.glob("*labels.json")).unlink()
    assert segmentation_kind(tmp_path, surely=True) == "masks"


def test_what_holds_no_masks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("no masks")
    for place in (tmp_path, tmp_path / "x.txt", tmp_path / "nowhere"):
        with pytest.raises(ScanError, match=r"holds no segmentation|there is no such file"):
            read_segmentation(place)


def test_names_of_strangers_stay_in_the_folder(tmp_path: Path) -> None:
    names = {"liver": "../../liver", "kidney_left": "Kidney (left)", "spleen": "kidney left"}
    write(apart().rename(names), tmp_path / "a" / "masks")
    assert sorted(file.name for file in (tmp_path / "a" / "masks").iterdir()) == [
        "Kidney_left.nii.gz",
        "kidney_left_2.nii.gz",
        "liver.nii.gz",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("uid", [b"1.2.840.10008.5.1.4.1.1.66.4\xff/", b"1..2", b""])
def test_a_broken_preamble_of_a_dicom_file_is_one_line(tmp_path: Path, uid: bytes) -> None:
    element = struct.pack("<HH2sH", 2, 2, b"UI", len(uid)) + uid
    (tmp_path / "seg.dcm").write_bytes(bytes(128) + b"DICM" + struct.pack("<HH2sH", 2, 0, b"UL", 3) + b"abc" + element)
    with pytest.raises(ScanError, match=r"seg\.dcm: "):
        read_segmentation(tmp_path / "seg.dcm")


def test_items_in_place_of_a_uid_are_one_line(tmp_path: Path) -> None:
    unknown = struct.pack("<HHI", 0x2E38, 0x2E35, 2) + b"ab"
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(unknown)) + unknown
    element = struct.pack("<HH2sHI", 2, 2, b"SQ", 0, len(item)) + item
    (tmp_path / "seg.dcm").write_bytes(bytes(128) + b"DICM" + element)
    with pytest.raises(ScanError, match=r"seg\.dcm: "):
        read_segmentation(tmp_path / "seg.dcm")
