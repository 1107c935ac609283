"""What can't be made safe does not come out."""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGLSLossless

from ctatlas.errors import OutputError, ScanError
from ctatlas.volume.deidentify import Key, deidentify, deidentify_dataset
from ctatlas.volume.formats.dicom.files import quietly
from tests.volume.formats.dicom.phantom import Phantom, set_stored

KEY = Key(b"refusal!" * 4)
Change = Callable[[Dataset], object]


def dataset(change: Change = lambda _: None) -> Dataset:
    one = Phantom(n_slices=1).slice(0)
    change(one)
    return one


def setting(**values: object) -> Change:
    return lambda one: [setattr(one, name, value) for name, value in values.items()]


def coded(meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1", "99HOSPITAL", meaning
    return item


def overlay_in_pixels(one: Dataset) -> None:
    one.add_new(0x60000100, "US", 16)
    one.add_new(0x60000102, "US", 12)


def comment_in_pixels(one: Dataset) -> None:
    """Put a comment with a name into the stream, as makers of codecs do."""
    set_stored(one, np.arange(35 * 33).reshape(35, 33))
    one.compress(JPEGLSLossless)
    (frame,) = generate_frames(one.PixelData, number_of_frames=1)
    text = b"scan of Mueller"
    comment = b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text
    one.PixelData = encapsulate([frame[:2] + comment + frame[2:]])
    one.PatientName = "Mueller^Jan"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (comment_in_pixels, "among its pixels"),
        (setting(BurnedInAnnotation="YES"), "burned into its pixels"),
        (setting(BurnedInAnnotation="yes "), "burned into its pixels"),
        (setting(SOPClassUID=UID("1.2.840.10008.5.1.4.1.1.7")), "Secondary Capture"),
        (setting(SOPClassUID=UID("1.2.840.10008.5.1.4.1.1.88.67")), "X-Ray Radiation Dose SR"),
        (setting(SOPClassUID=UID("1.2.840.10008.5.1.4.1.1.104.1")), "Encapsulated PDF"),
        (setting(SOPClassUID=UID("1.2.3.4.5")), "object of unknown kind"),
        (setting(SOPClassUID=""), "object of unknown kind"),
        (setting(SamplesPerPixel=3, PhotometricInterpretation="RGB"), "colour picture"),
        (setting(PhotometricInterpretation="YBR_FULL"), "colour picture"),
        (setting(BitsAllocated=8), "8 bits"),
        (setting(ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]), "screen copy"),
        (setting(ImageType=["DERIVED", "SECONDARY", "OTHER", "DOSE_INFO"]), "dose report"),
        (setting(ImagePositionPatient=None), "no place in the patient"),
        (overlay_in_pixels, "hidden in unused bits"),
        (setting(BodyPartExamined="HEAD"), "--allow-head"),
        (setting(SeriesDescription="CT Schädel nativ"), "--allow-head"),
        (setting(StudyDescription="TC CRÂNE"), "--allow-head"),
        (setting(ProtocolName="NECK_CHEST"), "--allow-head"),
        (setting(BodyPartExamined="NECKCHESTABDPELV"), "--allow-head"),
        (setting(BodyPartExamined="CSPINE"), "--allow-head"),
        (setting(AnatomicRegionSequence=[coded("Head and Neck")]), "--allow-head"),
        (setting(ProcedureCodeSequence=[coded("CT HEAD W/O")]), "--allow-head"),
        (lambda one: one.pop("PixelData"), "no pixels"),
        (lambda one: setattr(one, "PixelData", one.PixelData[:-2]), "fewer pixels"),
        (lambda one: one.pop("SeriesInstanceUID"), "lacks SeriesInstanceUID"),
        (lambda one: setattr(one.file_meta, "TransferSyntaxUID", UID("1.2.840.10008.1.2.8.1")), "transfer syntax"),
    ],
)
def test_what_cannot_be_made_safe_is_refused(change: Change, says: str) -> None:
    with quietly():
        one = dataset(change)
    with pytest.raises(ScanError, match=says.replace("(", r"\(")):
        deidentify_dataset(one, KEY)


@pytest.mark.parametrize(
    "change",
    [
        setting(BurnedInAnnotation="NO"),
        setting(ImageType=["DERIVED", "SECONDARY", "MPR"]),
        setting(SeriesDescription="Abdomen surface, thorax, pancreas"),  # words that hold words of the head
        setting(StudyDescription="Chest, femur: forehead-first"),
        setting(StudyDescription="yearly control, early phase, lesion at the pancreatic neckline"),
        setting(BodyPartExamined="CHESTABDPELVIS"),
        setting(AnatomicRegionSequence=[coded("Chest, Abdomen and Pelvis")]),
        setting(PhotometricInterpretation="MONOCHROME1"),
        overlay_in_pixels_not := lambda one: one.add_new(0x60000102, "US", 0),
    ],
)
def test_what_is_like_it_is_taken(change: Change) -> None:
    assert deidentify_dataset(dataset(change), KEY).PatientIdentityRemoved == "YES"


def test_a_head_that_is_wanted_is_marked() -> None:
    head = dataset(setting(BodyPartExamined="BRAIN"))
    assert deidentify_dataset(head, KEY, allow_head=True).RecognizableVisualFeatures == "YES"
    assert "RecognizableVisualFeatures" not in deidentify_dataset(dataset(), KEY)


def test_a_secondary_image_of_another_size_is_refused(tmp_path: Path) -> None:
    def screen(rows: int) -> Dataset:
        one = dataset(setting(ImageType=["DERIVED", "SECONDARY", "OTHER"], SOPInstanceUID=UID(f"1.2.9.{rows}")))
        set_stored(one, np.zeros((rows, 7)))
        return one

    Phantom(n_slices=3).write(tmp_path / "in")
    for rows in (9, 30):
        screen(rows).save_as(tmp_path / "in" / f"screen_{rows}", enforce_file_format=True)
    report = deidentify(tmp_path / "in", tmp_path / "out", KEY)
    assert [(one.source.name, "another size" in one.reason) for one in report.refused] == [("screen_30", True)]
    assert len(report.written) == 4


def test_bytes_behind_the_last_pixel_go() -> None:
    one = dataset()
    one.PixelData += b"Mueller^Hans"
    new = deidentify_dataset(one, KEY)
    assert new.PixelData == dataset().PixelData


def test_a_copy_comes_once_and_a_contradiction_not_at_all(tmp_path: Path) -> None:
    Phantom(n_slices=3).write(tmp_path / "in")
    content = (tmp_path / "in" / "001.dcm").read_bytes()
    (tmp_path / "in" / "copy").write_bytes(content)
    report = deidentify(tmp_path / "in", tmp_path / "out", KEY)
    assert (len(report.written), len(report.refused)) == (3, 0)
    (tmp_path / "in" / "copy").write_bytes(content[:-2] + b"\1\1")
    report = deidentify(tmp_path / "in", tmp_path / "out", KEY)
    assert [one.source.name for one in report.refused] == ["copy"]


def test_a_dicomdir_and_texts_are_not_copied(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "fixtures" / "dicom" / "dicomdir"
    report = deidentify(source, tmp_path / "out", KEY, allow_head=True)
    assert report.n_passed_over == 1
    assert not any("DICOMDIR" in one.file for one in report.written)


def damaged(content: bytes, how: str) -> bytes:
    at = content.index(b"\x08\x00\x60\x00CS")  # modality
    return {
        "cut in the middle": content[: len(content) // 2],
        "cut in the meta group": content[:160],
        "length of 4 GB": content[:at] + b"\x08\x00\x60\x00UN\0\0\xfe\xff\xff\xff" + content[at + 10 :],
        "nested without end": content[:at]
        + b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 5000,
        "zeros": content[:132] + bytes(5000),
    }[how]


@pytest.mark.parametrize(
    "how", ["cut in the middle", "cut in the meta group", "length of 4 GB", "nested without end", "zeros"]
)
def test_damaged_files_are_one_line(tmp_path: Path, how: str) -> None:
    (path,) = Phantom(n_slices=1).write(tmp_path / "in").iterdir()
    path.write_bytes(damaged(path.read_bytes(), how))
    report = deidentify(path.parent, tmp_path / "out", KEY)
    assert report.written == ()
    assert len(report.refused[0].reason) < 200
    assert not (tmp_path / "out").exists()


def test_output_within_the_input_is_refused(tmp_path: Path) -> None:
    Phantom(n_slices=1).write(tmp_path / "in")
    with pytest.raises(OutputError, match="inside the input"):
        deidentify(tmp_path / "in", tmp_path / "in" / "out", KEY)


def test_a_number_that_is_needed_and_is_none_is_refused() -> None:
    with quietly():
        one = dataset()
        one.add_new(0x00280010, "LO", "Mueller")  # rows, said to be text
        with pytest.raises(ScanError):
            deidentify_dataset(one, KEY)


def test_text_in_numbers_goes(tmp_path: Path) -> None:
    path = tmp_path / "one.dcm"
    with quietly():
        one = dataset(setting(InstanceNumber="1234567"))
        one.save_as(path, enforce_file_format=True)
        path.write_bytes(path.read_bytes().replace(b"1234567", b"Mueller"))
        new = deidentify_dataset(dcmread(path), KEY)
    assert "Mueller" not in str(new)
    assert new.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_a_full_disk_is_told_without_the_writers_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, content: object) -> int:
            if self.tell() > 400:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(content)

    @contextmanager
    def full(_: Path) -> Iterator[Full]:
        yield Full()

    monkeypatch.setattr("ctatlas.volume.deidentify.dicom.whole_file_in_its_folder", full)
    with pytest.raises(OSError, match=re.escape(os.strerror(errno.ENOSPC))) as raised:
        deidentify(Phantom(n_slices=1).write(tmp_path / "in"), tmp_path / "out", KEY)
    assert raised.value.errno == errno.ENOSPC
    assert "Traceback" not in str(raised.value)
