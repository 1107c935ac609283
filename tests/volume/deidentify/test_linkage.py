"""What belonged together still does: slices, masks and contours of a patient, in every run."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from ctatlas.volume import read
from ctatlas.volume.deidentify import Key, deidentify, deidentify_dataset
from ctatlas.volume.formats.dicom_seg.read import read_dicom_seg
from tests.volume.formats.dicom.phantom import Phantom

KEY = Key(b"linkage!" * 4)


def out_files(source: Path, out: Path) -> dict[str, Dataset]:
    report = deidentify(source, out, KEY)
    assert report.refused == ()
    return {one.file: dcmread(out / one.file) for one in report.written}


def patient(name: str, identity: str, day: str = "20200301") -> Phantom:
    def change(_: int, dataset: Dataset) -> None:
        dataset.PatientName, dataset.PatientID, dataset.StudyDate = name, identity, day
        dataset.StudyInstanceUID = f"1.2.3.{sum(identity.encode())}"

    return Phantom(n_slices=3, change=change, series_uid=f"1.2.4.{sum(name.encode())}{day}")


def test_a_segmentation_still_lies_on_its_scan(shared_data: Path, tmp_path: Path) -> None:
    fixtures = shared_data / "fixtures" / "dicom"
    ct, seg = fixtures / "series" / "dcmqi_ct_3slice", fixtures / "seg" / "dcmqi_liver.dcm"
    slices = out_files(ct, tmp_path / "ct")
    (mask,) = out_files(seg, tmp_path / "seg").values()  # in another run
    found = {one.SOPInstanceUID for one in slices.values()}
    (series,) = mask.ReferencedSeriesSequence
    assert series.SeriesInstanceUID in {one.SeriesInstanceUID for one in slices.values()}
    assert {one.ReferencedSOPInstanceUID for one in series.ReferencedInstanceSequence} == found
    (frame, *_) = mask.PerFrameFunctionalGroupsSequence
    assert frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID in found
    assert mask.StudyInstanceUID in {one.StudyInstanceUID for one in slices.values()}
    assert mask.PatientID in {one.PatientID for one in slices.values()}
    old = read_dicom_seg(seg, read(ct))
    new = read_dicom_seg(next((tmp_path / "seg").rglob("*.dcm")), read(tmp_path / "ct"))
    assert list(new.names) == list(old.names) == ["liver"]
    assert np.array_equal(new.mask("liver"), old.mask("liver"))
    assert new.mask("liver").sum() == 107_098


def test_contours_still_lie_on_their_slices(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "fixtures" / "dicom" / "rtstruct" / "rt_utils_mock"
    report = deidentify(source, tmp_path, KEY)
    new = {one.file: dcmread(tmp_path / one.file) for one in report.written}
    slices = {one.SOPInstanceUID for one in new.values() if one.Modality == "CT"}
    old = dcmread(source / "rt.dcm")
    (struct,) = [one for one in new.values() if one.SOPInstanceUID == KEY.uid(old.SOPInstanceUID)]
    contours = struct.ROIContourSequence[0].ContourSequence
    assert {image.ReferencedSOPInstanceUID for one in contours for image in one.ContourImageSequence} <= slices
    (frame,) = struct.ReferencedFrameOfReferenceSequence
    (study,) = frame.RTReferencedStudySequence
    (series,) = study.RTReferencedSeriesSequence
    assert series.SeriesInstanceUID in {one.SeriesInstanceUID for one in new.values()}
    assert {one.ReferencedSOPInstanceUID for one in series.ContourImageSequence} <= slices
    for before, after in zip(old.ROIContourSequence[0].ContourSequence, contours, strict=True):
        assert after.ContourData == before.ContourData


def test_dates_of_a_patient_keep_their_distance(tmp_path: Path) -> None:
    patient("Anna", "1", "20200228").write(tmp_path / "in" / "a")
    patient("Anna", "1", "20200301").write(tmp_path / "in" / "b")
    patient("Bert", "2", "20200301").write(tmp_path / "in" / "c")
    days: dict[str, set[date]] = {}
    for one in out_files(tmp_path / "in", tmp_path / "out").values():
        days.setdefault(str(one.PatientID), set()).add(date.fromisoformat(str(one.StudyDate)))
    ((anna_1, anna_2), (bert,)) = (sorted(found) for found in sorted(days.values(), key=len, reverse=True))
    assert (anna_2 - anna_1).days == 2  # over the 29th of February
    assert bert != anna_2
    assert max(anna_2, bert) < date(2020, 3, 1)


def test_two_patients_stay_two_and_one_stays_one(tmp_path: Path) -> None:
    patient("Anna", "1").write(tmp_path / "in" / "a")
    patient("A.", "1", "20210301").write(tmp_path / "in" / "b")  # the same, by the ID
    patient("Bert", "2").write(tmp_path / "in" / "c")
    files = out_files(tmp_path / "in", tmp_path / "out")
    assert len({name.split("/")[0] for name in files}) == 2
    assert len({one.SeriesInstanceUID for one in files.values()}) == 3
    assert len({one.SOPInstanceUID for one in files.values()}) == 9


@pytest.mark.parametrize("keyword", ["PatientID", "PatientName", "StudyInstanceUID"])
def test_without_an_id_the_name_and_then_the_study_tells_patients_apart(keyword: str) -> None:
    def changed(value: str) -> str:
        dataset = Phantom(n_slices=1).slice(0)
        dataset.PatientID = value if keyword == "PatientID" else ""
        dataset.PatientName = value if keyword == "PatientName" else "Anna" if keyword == "PatientID" else ""
        if keyword == "StudyInstanceUID":
            dataset.StudyInstanceUID = value
        return str(deidentify_dataset(dataset, KEY).PatientID)

    assert changed("1.2.3") == changed("1.2.3") != changed("1.2.4")


def test_a_second_pass_changes_pseudonyms_alone() -> None:
    once = deidentify_dataset(Phantom(n_slices=1).slice(0), KEY)
    twice = deidentify_dataset(once, KEY)
    assert {element.tag for element in once} == {element.tag for element in twice}
    pseudonyms = ("PatientID", "PatientName")
    changed = {element.keyword for element in once if element.VR != "UI" and element != twice[element.tag]}
    assert changed == set(pseudonyms)


def test_the_given_data_set_stays_as_it_is() -> None:
    dataset = Phantom(n_slices=1).slice(0)
    before = dataset.to_json()
    deidentify_dataset(dataset, KEY)
    assert dataset.to_json() == before


def test_a_phantom_is_read_to_the_same_place(tmp_path: Path) -> None:
    phantom = Phantom(n_slices=4)
    source = phantom.write(tmp_path / "in")
    deidentify(source, tmp_path / "out", KEY)
    scan = read(tmp_path / "out")
    for hu in (-1000, -900, -761):
        (index,) = np.argwhere(scan.array == hu)
        assert np.allclose((scan.grid.affine @ [*index, 1])[:3], phantom.true_mm(hu), atol=1e-4)
