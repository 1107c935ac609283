"""DICOM SEG out and in: voxel for voxel, through our reader, highdicom and dcmqi."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import SegmentationStorage

from ctatlas.errors import OutputError, ScanError
from ctatlas.volume import Grid, ScanFacts, Segmentation, SliceFacts, Volume, read, read_segmentation
from ctatlas.volume.formats.dicom.derived import Algorithm
from ctatlas.volume.formats.dicom.slices import masks_on_slices
from ctatlas.volume.formats.dicom_seg.read import read_dicom_seg
from ctatlas.volume.formats.dicom_seg.write import write_dicom_seg
from tests.volume.formats.dicom.enhanced import enhanced
from tests.volume.formats.dicom.oracles import dciodvfy_errors, dcmqi_masks, on
from tests.volume.formats.dicom.phantom import Phantom, oblique

MODEL = Algorithm("test/model", "1.2")
HEAD_LAST = {"row": (-1.0, 0.0, 0.0), "column": (0.0, 1.0, 0.0), "patient_position": "FFS"}
SERIES: dict[str, dict[str, Any]] = {
    "axial": {},
    "oblique": {"row": oblique()[0], "column": oblique()[1]},
    "feet first": HEAD_LAST,
    "prone": {"row": (-1.0, 0.0, 0.0), "column": (0.0, -1.0, 0.0), "patient_position": "HFP"},
    "coronal": {"row": (1.0, 0.0, 0.0), "column": (0.0, 0.0, -1.0)},
}


def patient(_: int, dataset: Dataset) -> None:
    """Give slices what real ones have."""
    dataset.PatientName, dataset.PatientID, dataset.StudyDate, dataset.SeriesDate = (
        "Doe^Jörg",
        "42",
        "20200101",
        "20200102",
    )
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.Manufacturer = "scanner"


def series(folder: Path, **how: Any) -> tuple[Volume, Path]:
    path = Phantom(change=patient, **how).write(folder / "ct")
    return read(path), path


def some_masks(grid: Grid, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    masks = {name: rng.random(grid.shape) < 0.3 for name in ("body", "kidney_left", "kidney_right", "liver_tumor")}
    masks["kidney_left"][:, :, :2] = False
    return masks | {"spleen": np.zeros(grid.shape, bool), "my lump": rng.random(grid.shape) < 0.1}


NAMES = {"my lump": "my_lump"}  # what strangers call a structure comes back as a safe name


def same(found: Segmentation, masks: Mapping[str, np.ndarray]) -> bool:
    renamed = {NAMES.get(name, name): mask for name, mask in masks.items()}
    return list(found.names) == list(renamed) and all(
        (found.mask(name) == mask).all() for name, mask in renamed.items()
    )


@pytest.mark.parametrize("how", SERIES)
@pytest.mark.parametrize("code", ["LPS", "RAS", "PIR"])
def test_comes_back_voxel_for_voxel(tmp_path: Path, how: str, code: str) -> None:
    scan, ct = series(tmp_path, **SERIES[how])
    masks = some_masks(scan.grid)
    drawn = Segmentation.from_masks(scan.grid, masks).reoriented(code)
    write_dicom_seg(drawn, scan, ct, tmp_path / "seg.dcm", algorithm=MODEL)
    assert same(read_segmentation(tmp_path / "seg.dcm", scan=scan), masks)
    assert same(read_segmentation(tmp_path / "seg.dcm", scan.grid), masks)  # a scan of another format, no DICOM facts
    alone = read_segmentation(tmp_path / "seg.dcm")
    assert (alone.grid.same_place(scan.grid), same(alone, masks)) == (True, True)
    turned = read_dicom_seg(tmp_path / "seg.dcm", scan.reoriented(code))
    assert all((turned.mask(name) == drawn.mask(name)).all() for name in drawn.names if name not in NAMES)


@pytest.mark.parametrize("how", SERIES)
def test_label_map_comes_back_with_the_smaller_structure_on_top(tmp_path: Path, how: str) -> None:
    scan, ct = series(tmp_path, **SERIES[how])
    masks = some_masks(scan.grid)
    drawn = Segmentation.from_masks(scan.grid, masks)
    write_dicom_seg(drawn, scan, ct, tmp_path / "seg.dcm", algorithm=MODEL, kind="labelmap")
    ids = {name: n for n, name in enumerate(sorted(masks, key=lambda name: -masks[name].sum()), start=1)}
    labels = drawn.combined(ids)
    assert same(read_segmentation(tmp_path / "seg.dcm", scan=scan), {name: labels == ids[name] for name in masks})
    assert pydicom.dcmread(tmp_path / "seg.dcm").SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.7"


@pytest.mark.parametrize("how", SERIES)
@pytest.mark.filterwarnings("ignore")
def test_highdicom_reads_the_same(tmp_path: Path, how: str) -> None:
    scan, ct = series(tmp_path, **SERIES[how])
    masks = some_masks(scan.grid)
    write_dicom_seg(Segmentation.from_masks(scan.grid, masks), scan, ct, tmp_path / "seg.dcm", algorithm=MODEL)
    volume = highdicom.seg.segread(tmp_path / "seg.dcm").get_volume()
    theirs = Grid(volume.spatial_shape, np.diag([-1, -1, 1, 1]) @ volume.affine)
    for n, mask in enumerate(masks.values()):
        assert (on((volume.array[..., n], theirs), scan.grid) == mask).all()


@pytest.mark.parametrize("how", SERIES)
def test_dcmqi_reads_the_same_and_dciodvfy_finds_no_error(tmp_path: Path, how: str) -> None:
    scan, ct = series(tmp_path, **SERIES[how])
    masks = some_masks(scan.grid)
    write_dicom_seg(Segmentation.from_masks(scan.grid, masks), scan, ct, tmp_path / "seg.dcm", algorithm=MODEL)
    assert dciodvfy_errors(tmp_path / "seg.dcm") == []
    found = dcmqi_masks(tmp_path / "seg.dcm", tmp_path / "dcmqi")
    assert list(found) == list(masks)
    assert all(((on(found[name], scan.grid) > 0) == mask).all() for name, mask in masks.items())


@pytest.mark.parametrize("how", SERIES)
@pytest.mark.filterwarnings("ignore")
def test_dcmqi_and_highdicom_read_the_same_label_map(tmp_path: Path, how: str) -> None:
    scan, ct = series(tmp_path, **SERIES[how])
    drawn = Segmentation.from_masks(scan.grid, some_masks(scan.grid))
    write_dicom_seg(drawn, scan, ct, tmp_path / "seg.dcm", algorithm=MODEL, kind="labelmap")
    ours = read_segmentation(tmp_path / "seg.dcm", scan=scan)
    volume = highdicom.seg.segread(tmp_path / "seg.dcm").get_volume(combine_segments=True)
    theirs = Grid(volume.spatial_shape, np.diag([-1, -1, 1, 1]) @ volume.affine)
    (dcmqi,) = dcmqi_masks(tmp_path / "seg.dcm", tmp_path / "dcmqi").values()
    for labels in (on((volume.array, theirs), scan.grid), on(dcmqi, scan.grid)):
        for number, name in enumerate(ours.names, start=1):
            assert ((labels == number) == ours.mask(name)).all()


def test_of_a_label_map_dciodvfy_dislikes_only_what_is_newer_than_itself(tmp_path: Path) -> None:
    scan, ct = series(tmp_path)
    drawn = Segmentation.from_masks(scan.grid, some_masks(scan.grid))
    write_dicom_seg(drawn, scan, ct, tmp_path / "seg.dcm", algorithm=MODEL, kind="labelmap")
    assert dciodvfy_errors(tmp_path / "seg.dcm") == [
        "Error - </SegmentSequence(0062,0002)[1]/SegmentNumber(0062,0004)> - SegmentNumber not monotonically increasing"
        " from one by one - have SegmentSequence item number 1 (from one) with SegmentNumber of 0",  # the background
        "Error - Information Object Not found",
    ]
    assert dciodvfy_errors(told_as_fractions(tmp_path / "seg.dcm")) == []


def told_as_fractions(label_map: Path) -> Path:
    """Copy a label map as the kind of SEG with the same pixels and modules that dciodvfy of 2022 knows."""
    dataset = pydicom.dcmread(label_map)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = SegmentationStorage
    dataset.SegmentationType, dataset.SegmentationFractionalType = "FRACTIONAL", "OCCUPANCY"
    dataset.MaximumFractionalValue = 255
    dataset.SegmentSequence = dataset.SegmentSequence[1:]  # without the background
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        frame.SegmentIdentificationSequence = [Dataset()]
        frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 1
    copy = label_map.with_name("fractions.dcm")
    dataset.save_as(copy)
    return copy


def test_says_what_was_drawn_by_whom_on_which_images(tmp_path: Path) -> None:
    scan, ct = series(tmp_path)
    drawn = Segmentation.from_masks(scan.grid, some_masks(scan.grid))
    write_dicom_seg(drawn, scan, ct, tmp_path / "seg.dcm", algorithm=MODEL)
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    left, tumor, lump = seg.SegmentSequence[1], seg.SegmentSequence[3], seg.SegmentSequence[5]
    kind = left.SegmentedPropertyTypeCodeSequence[0]
    assert (seg.PatientName, seg.PatientID, seg.StudyDate, seg.ContentDate) == (
        "Doe^Jörg",
        "42",
        "20200101",
        "20200102",
    )
    assert (seg.FrameOfReferenceUID, seg.StudyInstanceUID) == (scan.facts.frame_of_reference_uid, scan.facts.study_uid)
    assert (left.SegmentLabel, kind.CodeValue, kind.CodingSchemeDesignator) == ("kidney_left", "64033007", "SCT")
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == "7771000"
    assert tumor.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert tumor.AnatomicRegionSequence[0].CodeValue == "10200004"
    assert lump.SegmentedPropertyTypeCodeSequence[0].CodingSchemeDesignator == "99CTATLAS"
    assert (left.SegmentAlgorithmType, left.SegmentAlgorithmName) == ("AUTOMATIC", "test/model")
    assert left.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == "1.2"
    color = highdicom.color.CIELabColor.from_dicom_value(tuple(left.RecommendedDisplayCIELabValue)).to_rgb()
    assert np.abs(np.subtract(color, (0x2E, 0x8A, 0xB8))).max() <= 2
    assert {one.ReferencedSOPInstanceUID for one in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence} == {
        one.instance_uid for one in scan.facts.slices
    }
    positions = {one.instance_uid: one.position_mm for one in scan.facts.slices}
    for frame in seg.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        assert tuple(frame.PlanePositionSequence[0].ImagePositionPatient) == pytest.approx(positions[source])


def test_equal_masks_give_equal_bytes_and_others_another_object(tmp_path: Path) -> None:
    scan, ct = series(tmp_path)
    one, other = (Segmentation.from_masks(scan.grid, some_masks(scan.grid, seed)) for seed in (0, 1))
    for name, drawn in {"a": one, "b": one, "c": other}.items():
        write_dicom_seg(drawn, scan, ct, tmp_path / f"{name}.dcm", algorithm=MODEL)
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()
    uids = [pydicom.dcmread(tmp_path / f"{name}.dcm").SOPInstanceUID for name in "abc"]
    assert uids[0] == uids[1] != uids[2]


def tilted(folder: Path) -> tuple[Volume, Path]:
    """Return a scan on an upright grid that was resampled from a tilted stack."""
    lean = np.array([0.0, 0.8, 0.0])
    phantom = Phantom(change=patient, position=lambda k, regular: regular + k * lean)
    straight = read(Phantom(change=patient).write(folder / "straight"))
    slices = tuple(
        SliceFacts(str(phantom.slice(k).SOPInstanceUID), tuple(phantom.position(k, phantom.place(k)))) for k in range(6)
    )
    return Volume(straight.array, straight.grid, replace(straight.facts, slices=slices)), phantom.write(folder / "ct")


def test_masks_of_a_tilted_scan_lie_on_its_images(tmp_path: Path) -> None:
    scan, ct = tilted(tmp_path)
    drawn = Segmentation.from_masks(scan.grid, some_masks(scan.grid))
    write_dicom_seg(drawn, scan, ct, tmp_path / "seg.dcm", algorithm=MODEL)
    assert dciodvfy_errors(tmp_path / "seg.dcm") == []
    expected = dict(masks_on_slices(drawn, scan.facts))
    stored = pydicom.dcmread(tmp_path / "seg.dcm")
    positions = [one.position_mm for one in scan.facts.slices]
    places = [
        tuple(one.PlanePositionSequence[0].ImagePositionPatient) for one in stored.PerFrameFunctionalGroupsSequence
    ]
    for frame, place, item in zip(stored.pixel_array, places, stored.PerFrameFunctionalGroupsSequence, strict=True):
        name = list(expected)[item.SegmentIdentificationSequence[0].ReferencedSegmentNumber - 1]
        (image,) = [n for n, one in enumerate(positions) if place == pytest.approx(one)]
        assert (frame == expected[name][image]).all()
    back = dict(masks_on_slices(read_segmentation(tmp_path / "seg.dcm", scan=scan), scan.facts))
    seen = {name: mask[1:-1, 3:-3] for name, mask in back.items()}  # what leans out of the grid is lost on it
    assert all((seen[NAMES.get(name, name)] == mask[1:-1, 3:-3]).all() for name, mask in expected.items())
    with pytest.raises(ScanError, match="give the CT they were drawn on"):
        read_segmentation(tmp_path / "seg.dcm")


@pytest.mark.parametrize("how", SERIES)
@pytest.mark.parametrize("kind", ["binary", "labelmap"])
def test_a_mark_on_the_patients_left_stays_there(tmp_path: Path, how: str, kind: Any) -> None:
    scan, ct = series(tmp_path, **SERIES[how])
    world = scan.grid.world(np.moveaxis(np.indices(scan.grid.shape), 0, -1))
    left = world[..., 0] < np.median(world[..., 0]) - 0.1  # RAS: x falls toward the patient's left
    write_dicom_seg(
        Segmentation.from_masks(scan.grid, {"kidney_left": left}),
        scan,
        ct,
        tmp_path / "s.dcm",
        algorithm=MODEL,
        kind=kind,
    )
    found = read_segmentation(tmp_path / "s.dcm")
    voxels = found.grid.world(np.argwhere(found.mask("kidney_left")))
    assert voxels[:, 0].max() < np.median(world[..., 0])


def test_nothing_found_is_a_valid_object(tmp_path: Path) -> None:
    scan, ct = series(tmp_path)
    drawn = Segmentation.from_masks(scan.grid, {"liver": np.zeros(scan.grid.shape, bool)})
    write_dicom_seg(drawn, scan, ct, tmp_path / "seg.dcm", algorithm=MODEL)
    assert dciodvfy_errors(tmp_path / "seg.dcm") == []
    assert read_segmentation(tmp_path / "seg.dcm", scan=scan).n_voxels() == {"liver": 0}


@pytest.mark.parametrize("kind", ["binary", "labelmap"])
def test_on_frames_of_an_enhanced_ct(tmp_path: Path, kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    phantom = Phantom(change=patient)
    (tmp_path / "ct").mkdir()
    for number, order in enumerate([(4, 0, 2), (5, 1, 3)]):
        phantom.save(enhanced(phantom, order), tmp_path / "ct" / f"{number}.dcm")
    scan = read(tmp_path / "ct")
    masks = {name: mask for name, mask in some_masks(scan.grid).items() if name in ("kidney_left", "spleen")}
    drawn = Segmentation.from_masks(scan.grid, masks)
    write_dicom_seg(drawn, scan, tmp_path / "ct", tmp_path / "seg.dcm", algorithm=MODEL, kind=kind)
    assert caplog.records == []
    assert kind == "labelmap" or dciodvfy_errors(tmp_path / "seg.dcm") == []
    assert same(read_segmentation(tmp_path / "seg.dcm", scan=scan), masks)
    assert b"2.25.1001" not in (tmp_path / "seg.dcm").read_bytes()  # no UID of a stand-in
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    named = {one.ReferencedSOPInstanceUID for one in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert named == {one.instance_uid for one in scan.facts.slices}
    assert len(seg.SourceImageSequence) == 2
    places = {(one.instance_uid, one.frame): one.position_mm for one in scan.facts.slices}
    for frame in seg.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.2.1"
        place = places[source.ReferencedSOPInstanceUID, source.ReferencedFrameNumber]
        assert tuple(frame.PlanePositionSequence[0].ImagePositionPatient) == pytest.approx(place)


@pytest.mark.filterwarnings("ignore:The value length")
def test_what_is_no_valid_value_in_the_scan_is_not_taken_over_but_the_patient_is(tmp_path: Path) -> None:
    def change(_: int, dataset: Dataset) -> None:
        patient(_, dataset)
        odd = {
            "PatientAge": "0Y",
            "PatientSex": "X",
            "StudyDate": "2001.01.01",
            "StudyID": "x" * 20,
            "PatientID": "7" * 70,
        }
        for keyword, value in {**odd, "PatientIdentityRemoved": "YES"}.items():
            tag = pydicom.datadict.tag_for_keyword(keyword)
            vr = pydicom.datadict.dictionary_VR(tag)
            dataset.add(pydicom.DataElement(tag, vr, value, validation_mode=pydicom.config.IGNORE))

    ct = Phantom(change=change).write(tmp_path / "ct")
    scan = read(ct)
    drawn = Segmentation.from_masks(scan.grid, some_masks(scan.grid))
    write_dicom_seg(drawn, scan, ct, tmp_path / "seg.dcm", algorithm=MODEL)
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    assert [line for line in dciodvfy_errors(tmp_path / "seg.dcm") if "PatientID" not in line] == []
    assert ("PatientAge" in seg, seg.PatientSex, seg.StudyDate, seg.StudyID) == (False, "", "", "")
    assert (seg.PatientID, seg.PatientName, seg.DeidentificationMethod) == ("7" * 70, "Doe^Jörg", "not stated")


@pytest.mark.parametrize("thickness", [None, "", "0", "2.5 mm"])
def test_a_missing_or_broken_slice_thickness_is_the_distance(tmp_path: Path, thickness: str | None) -> None:
    def change(_: int, dataset: Dataset) -> None:
        del dataset.SliceThickness
        if thickness is not None:
            with pydicom.config.disable_value_validation():
                dataset.add(pydicom.DataElement("SliceThickness", "LO", thickness))

    ct = Phantom(change=change).write(tmp_path / "ct")
    scan = read(ct)
    drawn = Segmentation.from_masks(scan.grid, some_masks(scan.grid))
    write_dicom_seg(drawn, scan, ct, tmp_path / "seg.dcm", algorithm=MODEL)
    assert dciodvfy_errors(tmp_path / "seg.dcm") == []
    shared = pydicom.dcmread(tmp_path / "seg.dcm").SharedFunctionalGroupsSequence[0]
    assert shared.PixelMeasuresSequence[0].SliceThickness == pytest.approx(3.0)


def test_refuses_a_scan_that_is_no_dicom_series_or_whose_images_are_gone(tmp_path: Path) -> None:
    scan, ct = series(tmp_path)
    drawn = Segmentation.from_masks(scan.grid, some_masks(scan.grid))
    with pytest.raises(ScanError, match="is no DICOM series"):
        write_dicom_seg(drawn, Volume(scan.array, scan.grid), ct, tmp_path / "seg.dcm", algorithm=MODEL)
    (ct / "003.dcm").unlink()
    with pytest.raises(ScanError, match="holds 5 of the 6 images"):
        write_dicom_seg(drawn, scan, ct, tmp_path / "seg.dcm", algorithm=MODEL)
    assert not (tmp_path / "seg.dcm").exists()


def test_says_when_the_place_cannot_be_written_to(tmp_path: Path) -> None:
    scan, ct = series(tmp_path)
    drawn = Segmentation.from_masks(scan.grid, some_masks(scan.grid))
    with pytest.raises(OutputError):
        write_dicom_seg(drawn, scan, ct, tmp_path / "no" / "seg.dcm", algorithm=MODEL)


def written(tmp_path: Path, change: Any = lambda _: None, kind: Any = "binary") -> tuple[Volume, Path]:
    scan, ct = series(tmp_path)
    drawn = Segmentation.from_masks(scan.grid, {"liver": np.ones(scan.grid.shape, bool)})
    path = tmp_path / "seg.dcm"
    write_dicom_seg(drawn, scan, ct, path, algorithm=MODEL, kind=kind)
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)
    return scan, path


def far_apart(seg: Dataset) -> None:
    seg.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient = [0, 0, -900_000_000]
    seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = "0.02"


def aside(seg: Dataset) -> None:
    seg.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0].ImagePositionPatient[0] += 53


def flat(seg: Dataset) -> None:
    seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = ["1e-30", "0.5"]


def other_segment(seg: Dataset) -> None:
    seg.PerFrameFunctionalGroupsSequence[2].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 7


DAMAGE: dict[str, tuple[Any, str]] = {
    "frames far apart": (far_apart, "claims 7 x 9 x|unevenly"),
    "a frame beside the others": (aside, r"do not lie on top of each other .* aside\); expected one stack"),
    "pixels without a height": (flat, r"spacing is 1e-30 x 0\.5 mm"),
    "a segment nobody described": (other_segment, "segment 7, which it does not describe"),
    "another frame of reference": (lambda seg: setattr(seg, "FrameOfReferenceUID", "1.2.3"), "frame of reference"),
    "more frames than described": (lambda seg: setattr(seg, "NumberOfFrames", 100_000), "describes 6 frames"),
    "more pixels than there are": (lambda seg: setattr(seg, "Rows", 8000), "holds fewer"),
    "fewer pixels than there are": (lambda seg: setattr(seg, "Columns", 4), "4 x 9 pixels and holds more"),
    "another type": (lambda seg: setattr(seg, "SegmentationType", "SURFACE"), "type SURFACE"),
    "no pixels": (lambda seg: delattr(seg, "PixelData"), "damaged"),
    "no segments": (lambda seg: delattr(seg, "SegmentSequence"), "damaged"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files_are_refused_in_a_line(tmp_path: Path, damage: str) -> None:
    change, words = DAMAGE[damage]
    scan, path = written(tmp_path, change)
    with pytest.raises(ScanError, match=words):
        read_dicom_seg(path, None if change in (far_apart, aside, flat) else scan)


def test_masks_of_another_place_are_refused(tmp_path: Path) -> None:
    scan, path = written(tmp_path)
    affine = scan.grid.affine.copy()
    affine[2, 3] += 1.4
    with pytest.raises(ScanError, match=r"6 of 6 frames lie up to 1\.40 mm from the nearest slice"):
        read_dicom_seg(path, grid=Grid(scan.grid.shape, affine))
    turned = np.diag([1.0, 1, 1, 1])
    turned[:3, :3] = np.stack([*oblique(), np.cross(*oblique())], axis=1)
    with pytest.raises(ScanError, match="another direction"):
        read_dicom_seg(path, grid=Grid(scan.grid.shape, turned))


def test_facts_without_frame_of_reference_get_one_that_follows_from_the_series(tmp_path: Path) -> None:
    def change(_: int, dataset: Dataset) -> None:
        del dataset.FrameOfReferenceUID
        dataset.SpecificCharacterSet = ""

    ct = Phantom(change=change).write(tmp_path / "ct")
    scan = read(ct)
    drawn = Segmentation.from_masks(scan.grid, some_masks(scan.grid))
    write_dicom_seg(drawn, scan, ct, tmp_path / "seg.dcm", algorithm=MODEL)
    assert dciodvfy_errors(tmp_path / "seg.dcm") == []
    assert same(read_segmentation(tmp_path / "seg.dcm", scan=scan), some_masks(scan.grid))
    assert isinstance(scan.facts, ScanFacts)
