"""Labels of a source become masks of all that it annotates, on the scan's own grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctatlas.atlas.add.originals import originals_of, write_originals
from ctatlas.atlas.records import OriginalRecord, read_record
from ctatlas.errors import ScanError
from ctatlas.volume import Grid, Volume, read_labels, write_labels
from tests.atlas.add.sources import scan, write_masks, write_numbers
from tests.support.atlases import annotated_by, coarse_phantom, native_labels
from tests.support_scans import LIVER, SPLEEN, box_mask


def test_numbers_become_structures_and_what_is_annotated_and_absent_is_an_empty_mask(tmp_path: Path) -> None:
    path = write_numbers(tmp_path / "label.nii.gz", {"liver": 6, "spleen": 1})
    masks, native, remarks = originals_of(path, scan(), "btcv")
    assert (masks.mask("liver") == box_mask(LIVER)).all()
    assert (masks.mask("spleen") == box_mask(SPLEEN)).all()
    assert len(masks.names) == 14
    assert not masks.mask("gallbladder").any()
    assert (native["liver"], remarks) == (6, ())


def test_labels_in_another_order_of_axes_come_out_on_the_scans_grid(tmp_path: Path) -> None:
    path = write_numbers(tmp_path / "label.nii.gz", {"liver": 6})
    turned = scan().reoriented("PSL")
    masks, _, _ = originals_of(path, turned, "btcv")
    back = masks.reoriented("RAS")
    assert masks.grid.same_place(turned.grid)
    assert (back.mask("liver") == box_mask(LIVER)).all()


def test_labels_on_another_grid_are_refused(tmp_path: Path) -> None:
    grid = scan().grid
    moved = Grid(grid.shape, np.diag([1, 1, 1, 1.0]) @ grid.affine + np.array([[0, 0, 0, 6.0], *[[0] * 4] * 3]))
    path = write_numbers(tmp_path / "label.nii.gz", {"liver": 6}, moved)
    with pytest.raises(ScanError, match=r"label\.nii\.gz: its masks lie on another grid"):
        originals_of(path, scan(), "btcv")


def test_an_unknown_number_is_refused_unless_it_is_known_to_mean_nothing(tmp_path: Path) -> None:
    path = write_numbers(tmp_path / "label.nii.gz", {"liver": 1, "spleen": 9})
    with pytest.raises(ScanError, match="holds number 9, which label set lits does not have"):
        originals_of(path, scan(), "lits")
    masks, _, remarks = originals_of(path, scan(), "lits", ignore_unknown=True)
    assert masks.mask("liver").any()
    assert "number 9" in remarks[0]
    assert originals_of(path, scan(), "lits", left_out=(9,))[2] == ()


@pytest.mark.parametrize("code", ["RAS", "LPS", "LAS", "SPR"])
def test_one_number_for_both_kidneys_is_parted_by_the_patients_sides(tmp_path: Path, code: str) -> None:
    """Upstream defect 11: the split looked at stored indices, so that LAS and LPS files swapped left and right."""
    phantom = coarse_phantom(0)
    turned = phantom.volume.reoriented(code)
    labels = native_labels("abdomenct-1k", phantom.truth)
    stored = Volume(labels.astype(np.int16), phantom.truth.grid).reoriented(code)
    write_labels(stored.array.astype(np.uint8), stored.grid, tmp_path / "label.nii.gz")
    masks, _, _ = originals_of(tmp_path / "label.nii.gz", turned, "abdomenct-1k")
    back = masks.reoriented(phantom.truth.grid.orientation)
    for name, truth in annotated_by("abdomenct-1k", phantom.truth).items():
        assert (back.mask(name) == truth).all(), name


def test_a_single_left_kidney_stays_left(tmp_path: Path) -> None:
    """Upstream defect 11: a single component was always called the right one."""
    phantom = coarse_phantom(0)
    labels = np.where(phantom.truth.mask("kidney_left"), np.uint8(1), np.uint8(0))
    write_labels(np.asfortranarray(labels), phantom.truth.grid, tmp_path / "label.nii.gz")
    masks, _, _ = originals_of(tmp_path / "label.nii.gz", phantom.volume, "kits")
    assert (masks.mask("kidney_left") == phantom.truth.mask("kidney_left")).all()
    assert not masks.mask("kidney_right").any()


def test_a_tumor_counts_for_its_organ(tmp_path: Path) -> None:
    path = write_numbers(tmp_path / "label.nii.gz", {"liver": 1, "spleen": 2})
    masks, _, _ = originals_of(path, scan(), "lits")
    assert (masks.mask("liver") == box_mask(LIVER) | box_mask(SPLEEN)).all()
    assert (masks.mask("liver_tumor") == box_mask(SPLEEN)).all()


def test_a_folder_of_masks_annotates_what_it_has_files_for(tmp_path: Path) -> None:
    folder = write_masks(tmp_path / "segmentations", liver=LIVER, postcava=None, mystery=SPLEEN)
    masks, native, remarks = originals_of(folder, scan(), "abdomenatlas-1.1")
    assert masks.names == ("liver", "inferior_vena_cava")
    assert native == {"liver": 5, "postcava": 7}
    assert remarks == ("masks that no structure is called after are passed over: mystery",)


def test_two_spellings_of_one_structure_are_refused(tmp_path: Path) -> None:
    folder = write_masks(tmp_path / "segmentations", postcava=LIVER, inferior_vena_cava=SPLEEN)
    with pytest.raises(ScanError, match="two of its masks are of one structure"):
        originals_of(folder, scan(), "abdomenatlas-1.1")


def test_what_is_written_is_what_the_record_says(tmp_path: Path) -> None:
    masks, native, _ = originals_of(write_numbers(tmp_path / "l.nii.gz", {"liver": 1}), scan(), "lits")
    write_originals(masks, tmp_path / "original", label_set_name="lits", native_ids=native)
    record = read_record(OriginalRecord, tmp_path / "original" / "labels.json")
    assert record.annotated == ("liver", "liver_tumor")
    liver = read_labels(tmp_path / "original" / "liver.nii.gz")
    assert record.masks["liver"].n_voxels == int(liver.labels.sum()) == int(box_mask(LIVER).sum())
    assert record.masks["liver"].volume_ml == pytest.approx(int(liver.labels.sum()) * 5 * 5.5 * 6 / 1000)
    assert record.masks["liver_tumor"].n_voxels == 0
