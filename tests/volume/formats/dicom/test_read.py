from __future__ import annotations

import errno
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from ctatlas.errors import ScanError
from ctatlas.volume import Choices, ImagePlane, Volume, read
from tests.volume.formats.dicom.phantom import COLUMNS, ROWS, Phantom, oblique, set_stored

Change = Callable[[int, Dataset], None]


def largest_error_mm(scan: Volume, phantom: Phantom) -> float:
    """Return how far the worst voxel lies from where its slice's header puts it."""
    values = scan.array.ravel(order="K")
    voxels = np.stack(np.unravel_index(np.arange(values.size), scan.array.shape, order="F"), axis=-1)
    truth = np.array([phantom.true_mm(int(value)) for value in values])
    return float(np.linalg.norm(scan.grid.world(voxels) - truth, axis=1).max())


def exact(scan: Volume, phantom: Phantom) -> bool:
    """Tell whether every voxel is there once and where it belongs."""
    return sorted(scan.array.ravel().tolist()) == list(phantom.all_hu) and largest_error_mm(scan, phantom) < 1e-4


def refused(phantom: Phantom, folder: Path, message: str) -> str:
    """Return the one line with which a series is refused."""
    with pytest.raises(ScanError, match=message) as caught:
        read(phantom.write(folder))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def pixels(**values: object) -> Change:
    """Return a change of header values in every slice."""

    def change(_: int, dataset: Dataset) -> None:
        for name, value in values.items():
            if value is None:
                delattr(dataset, name)
            else:
                setattr(dataset, name, value)

    return change


def only(k: int, **values: object) -> Change:
    """Return a change of header values in one slice."""
    return lambda n, dataset: pixels(**values)(n, dataset) if n == k else None


# what must be read, to the voxel


ORIENTATIONS = {
    "head first supine": ((1, 0, 0), (0, 1, 0), "HFS", "LPS"),
    "feet first supine": ((-1, 0, 0), (0, 1, 0), "FFS", "RPI"),
    "feet first, seen from below": ((1, 0, 0), (0, 1, 0), "FFS", "LPS"),
    "head first prone": ((-1, 0, 0), (0, -1, 0), "HFP", "RAS"),
    "feet first prone": ((1, 0, 0), (0, -1, 0), "FFP", "LAI"),
    "on the left side": ((0, 1, 0), (-1, 0, 0), "HFDL", "PRS"),
    "coronal": ((1, 0, 0), (0, 0, -1), "HFS", "LIP"),
    "sagittal": ((0, 1, 0), (0, 0, -1), "HFS", "PIR"),
    "oblique": (*oblique(), "HFS", "LPS"),
}


@pytest.mark.parametrize("kind", ORIENTATIONS)
@pytest.mark.parametrize("shuffled", ["in order", "reversed", "shuffled"])
def test_every_voxel_lies_where_its_slice_says(tmp_path: Path, kind: str, shuffled: str) -> None:
    row, column, position, code = ORIENTATIONS[kind]
    order = {"in order": range(6), "reversed": range(5, -1, -1), "shuffled": (4, 0, 5, 2, 1, 3)}[shuffled]
    phantom = Phantom(row=row, column=column, patient_position=position, name=lambda k: f"IM{order[k]}")
    scan = read(phantom.write(tmp_path / "ct"))
    assert exact(scan, phantom)
    assert scan.grid.orientation == code
    assert scan.array.dtype == np.int16
    assert scan.array.shape == (COLUMNS, ROWS, 6)
    assert scan.array.flags.f_contiguous
    assert scan.facts.patient_position == position


@pytest.mark.parametrize("kind", ORIENTATIONS)
def test_a_mark_on_the_left_stays_left(tmp_path: Path, kind: str) -> None:
    row, column, position, _ = ORIENTATIONS[kind]
    phantom = Phantom(row=row, column=column, patient_position=position)
    scan = read(phantom.write(tmp_path / "ct")).reoriented("RAS")
    leftmost = min(phantom.all_hu, key=lambda hu: phantom.true_mm(hu)[0])  # RAS: left is where x is smallest
    mark = np.argwhere(scan.array == leftmost)[0]
    middle = (np.array(scan.grid.shape) - 1) / 2
    assert scan.grid.world(mark)[0] < scan.grid.world(middle)[0]
    assert mark[0] < middle[0]


def descending(k: int, dataset: Dataset) -> None:
    dataset.InstanceNumber = 100 - k


def jittered(k: int, regular: np.ndarray) -> np.ndarray:
    return regular + np.array((0, 0, 0.01 * (-1) ** k))


def turned_a_little(k: int, dataset: Dataset) -> None:
    dataset.ImageOrientationPatient = [1, 1e-5 * k, 0, -1e-5 * k, 1, 0]


def many_acquisitions(k: int, dataset: Dataset) -> None:
    dataset.AcquisitionNumber = k
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", *["ADD"] * (k % 2)]
    dataset.SliceThickness = 4 + k % 2


@pytest.mark.parametrize("change", [descending, turned_a_little, many_acquisitions])
def test_what_says_nothing_about_place_does_not_matter(tmp_path: Path, change: Change) -> None:
    phantom = Phantom(change=change)
    assert largest_error_mm(read(phantom.write(tmp_path / "ct")), phantom) < 0.002


def test_positions_that_jitter_are_even(tmp_path: Path) -> None:
    phantom = Phantom(n_slices=12, position=jittered)
    scan = read(phantom.write(tmp_path / "ct"))
    assert largest_error_mm(scan, phantom) <= 0.021
    assert scan.grid.spacing_mm[2] == pytest.approx(3, abs=0.002)


def test_a_lean_below_half_a_pixel_is_noted(tmp_path: Path) -> None:
    phantom = Phantom(position=lambda k, regular: regular + np.array((0, 0.1 * k, 0)))
    scan = read(phantom.write(tmp_path / "ct"))
    assert largest_error_mm(scan, phantom) <= 0.51
    assert "lean" in scan.facts.notes[0]
    assert not scan.grid.is_sheared


def test_facts(tmp_path: Path) -> None:
    phantom = Phantom(change=pixels(ConvolutionKernel="B30f"))
    facts = read(phantom.write(tmp_path / "ct")).facts
    assert (facts.source, facts.kind, facts.modality, facts.kernel) == ("ct", "dicom", "CT", "B30f")
    assert (facts.series_uid, facts.series_number, facts.series_description) == (phantom.series_uid, 4, "CT abdomen")
    assert [one.position_mm[2] for one in facts.slices] == pytest.approx([-310.25 + 3 * k for k in range(6)])
    assert facts.slices[2].instance_uid == phantom.slice(2).SOPInstanceUID
    assert facts.plane == ImagePlane((1, 0, 0, 0, 1, 0), phantom.spacing_mm, ROWS, COLUMNS)
    assert facts.notes == ()


# values


def test_rescale_is_that_of_each_slice(tmp_path: Path) -> None:
    def change(k: int, dataset: Dataset) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = 1 + k % 2, -1024 - 10 * k
        set_stored(dataset, (phantom.hu(k) + 1024 + 10 * k) * (2 - k % 2) // (1 + k % 2) // (2 - k % 2))

    phantom = Phantom(n_slices=4)
    expected = [(phantom.hu(k) + 1024 + 10 * k) // (1 + k % 2) * (1 + k % 2) - 1024 - 10 * k for k in range(4)]
    phantom.change = change
    scan = read(phantom.write(tmp_path / "ct"))
    assert np.array_equal(scan.array.transpose(2, 1, 0), expected)


def test_memory_that_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr("mmap.mmap", full)
    with pytest.raises(ScanError, match=r"^ct: needs 0\.0 GiB of memory, more than this machine has free\.$"):
        read(Phantom().write(tmp_path / "ct"))


def test_a_fractional_slope_gives_float32(tmp_path: Path) -> None:
    phantom = Phantom(change=pixels(RescaleSlope="0.5"))
    scan = read(phantom.write(tmp_path / "ct"))
    assert scan.array.dtype == np.float32
    assert np.array_equal(scan.array[:, :, 1].T, (phantom.hu(1) + 1024) / 2 - 1024)


def junk_above_12_bits(_: int, dataset: Dataset) -> None:
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0
    stored = np.frombuffer(dataset.PixelData, "<u2").reshape(ROWS, COLUMNS)
    set_stored(dataset, stored | 0xA000)


def signed_12_bits(_: int, dataset: Dataset) -> None:
    dataset.BitsStored, dataset.HighBit, dataset.RescaleIntercept = 12, 11, 0
    stored = np.frombuffer(dataset.PixelData, "<i2").reshape(ROWS, COLUMNS) - 1024
    dataset.PixelRepresentation = 0
    set_stored(dataset, stored & 0xFFF)
    dataset.PixelRepresentation = 1


def unsigned_32_bits(_: int, dataset: Dataset) -> None:
    stored = np.frombuffer(dataset.PixelData, "<i2").reshape(ROWS, COLUMNS)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 32, 32, 31, 0
    set_stored(dataset, stored)


@pytest.mark.parametrize("change", [junk_above_12_bits, signed_12_bits, unsigned_32_bits])
def test_bits(tmp_path: Path, change: Change) -> None:
    phantom = Phantom(change=change)
    assert exact(read(phantom.write(tmp_path / "ct")), phantom)


def padded(value: int, *, written: int, representation: str, limit: int | None = None) -> Change:
    def change(_: int, dataset: Dataset) -> None:
        stored = np.frombuffer(dataset.PixelData, "<i2").reshape(ROWS, COLUMNS).copy()
        stored[0, :2] = value, value + 1
        set_stored(dataset, stored)
        dataset.add_new("PixelPaddingValue", representation, written)
        if limit is not None:
            dataset.add_new("PixelPaddingRangeLimit", representation, limit)

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (padded(-2000, written=-2000, representation="SS"), [-1024, -3023]),
        (padded(-2000, written=63536, representation="US"), [-1024, -3023]),  # as real scanners write it
        (padded(-2000, written=-2000, representation="SS", limit=-1990), [-1024, -1024]),
        (padded(-2000, written=-5, representation="SS"), [-3024, -3023]),
    ],
)
def test_padding_becomes_minus_1024(tmp_path: Path, change: Change, expected: list[int]) -> None:
    phantom = Phantom(change=change)
    array = read(phantom.write(tmp_path / "ct")).array
    assert array[:2, 0, 3].tolist() == expected
    assert array[2:, 0, 3].tolist() == phantom.hu(3)[0, 2:].tolist()


def hidden_padding(_: int, dataset: Dataset) -> None:
    """Keep 12 bits, and a padding value that needs 16."""
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0
    stored = np.frombuffer(dataset.PixelData, "<u2").reshape(ROWS, COLUMNS).copy()
    stored[0, 0] = 63536
    set_stored(dataset, stored)
    dataset.add_new("PixelPaddingValue", "US", 63536)


def test_padding_in_bits_that_are_not_stored(tmp_path: Path) -> None:
    phantom = Phantom(change=hidden_padding)
    array = read(phantom.write(tmp_path / "ct")).array
    assert array[0, 0, 3] == -1024
    assert array[1:, 0, 3].tolist() == phantom.hu(3)[0, 1:].tolist()


def test_without_rescale_stored_values_are_taken_and_noted(tmp_path: Path) -> None:
    phantom = Phantom(change=pixels(RescaleSlope=None, RescaleIntercept=None, RescaleType=None))
    scan = read(phantom.write(tmp_path / "ct"))
    assert np.array_equal(scan.array[:, :, 0].T, phantom.hu(0) + 1024)
    assert "rescale" in scan.facts.notes[0]


def stored_as(syntax: str, *, big_endian: bool = False) -> Callable[[Dataset, Path], None]:
    def save(dataset: Dataset, path: Path) -> None:
        dataset.file_meta.TransferSyntaxUID = syntax
        if big_endian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()
        dataset.save_as(path, enforce_file_format=True)

    return save


@pytest.mark.parametrize(
    "save",
    [
        stored_as(ImplicitVRLittleEndian),
        stored_as(ExplicitVRBigEndian, big_endian=True),
        lambda dataset, path: (dataset.compress(RLELossless), dataset.save_as(path, enforce_file_format=True)),
    ],
    ids=["implicit", "big endian", "RLE"],
)
def test_transfer_syntaxes(tmp_path: Path, save: Callable[[Dataset, Path], None]) -> None:
    phantom = Phantom()
    (tmp_path / "ct").mkdir()
    for k in range(phantom.n_slices):
        save(phantom.slice(k), tmp_path / "ct" / f"{k}.dcm")
    assert exact(read(tmp_path / "ct"), phantom)


def test_run_lengths_for_more_pixels_than_there_are_are_refused(tmp_path: Path) -> None:
    def longer(_: int, dataset: Dataset) -> None:
        dataset.compress(RLELossless, generate_instance_uid=False)
        (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
        dataset.PixelData = encapsulate([frame + b"\3abcd"])

    refused(Phantom(change=longer), tmp_path / "ct", "more pixels than the header says")


def test_files_without_preamble(tmp_path: Path) -> None:
    phantom = Phantom()
    folder = phantom.write(tmp_path / "ct")
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        del dataset.file_meta
        dataset.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert exact(read(folder), phantom)


# what stands beside the series


def test_other_files_do_not_matter(tmp_path: Path) -> None:
    phantom = Phantom()
    folder = phantom.write(tmp_path / "ct")
    (folder / "notes.txt").write_text("nothing")
    (folder / ".DS_Store").write_bytes(bytes(500))
    (folder / ".hidden.dcm").write_bytes(b"\0" * 128 + b"DICM")
    (folder / "below").mkdir()
    shutil.move(folder / "003.dcm", folder / "below" / "anything")
    assert exact(read(folder), phantom)


def write_directory(folder: Path, names: list[list[str]]) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, MediaStorageDirectoryStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    records = []
    for name in names:
        record = Dataset()
        record.DirectoryRecordType, record.ReferencedFileID = "IMAGE", name
        records.append(record)
    directory = Dataset()
    directory.file_meta, directory.DirectoryRecordSequence = meta, records
    directory.save_as(folder / "DICOMDIR", enforce_file_format=True)


@pytest.mark.parametrize(
    ("lost", "notes"), [([], ()), (["CT", "IM9"], ("the DICOMDIR names 1 file that is not there",))]
)
def test_a_directory_of_media_tells_what_got_lost(tmp_path: Path, lost: list[str], notes: tuple[str, ...]) -> None:
    phantom = Phantom(name=lambda k: f"im{k}")
    phantom.write(tmp_path / "disc" / "ct")
    write_directory(tmp_path / "disc", [*(["CT", f"IM{k}"] for k in range(6)), *([lost] if lost else [])])
    scan = read(tmp_path / "disc")
    assert exact(scan, phantom)
    assert scan.facts.notes == notes


@pytest.mark.parametrize("data", [b"", b"\x04\x00\x20\x12SQ\0\0\x10\0\0\0junkjunkjunkjunk"])
def test_a_damaged_directory_of_media_does_not_matter(tmp_path: Path, data: bytes) -> None:
    phantom = Phantom()
    folder = phantom.write(tmp_path / "disc")
    write_directory(folder, [])
    path = folder / "DICOMDIR"
    path.write_bytes(path.read_bytes()[:-12] + data)
    assert exact(read(folder), phantom)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (pixels(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "localizer"),
        (pixels(SOPClassUID=SecondaryCaptureImageStorage), "secondary capture"),
        (pixels(BurnedInAnnotation="YES"), "burned-in text"),
        (pixels(Modality="MR"), "MR object"),
        (pixels(Modality="PT"), "PT object"),
        (pixels(Modality=None), "without modality"),
        (pixels(SamplesPerPixel=3), "colour"),
        (pixels(ImagePositionPatient=None), "without position"),
        (pixels(ImageOrientationPatient=None), "without position"),
        (pixels(Rows=None, PixelData=None), "without image"),
    ],
)
def test_what_is_no_ct_series_is_named(tmp_path: Path, change: Change, what: str) -> None:
    refused(Phantom(change=change), tmp_path / "ct", f"holds no CT series; found 6 x .*{what}")


def test_a_localizer_beside_the_series_is_left_out(tmp_path: Path) -> None:
    phantom = Phantom()
    folder = phantom.write(tmp_path / "ct")
    Phantom(
        n_slices=2,
        number=1,
        series_uid="1.2.3",
        name="scout{}".format,
        change=pixels(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    ).write(folder)
    assert exact(read(folder), phantom)


def test_a_localizer_inside_the_series_is_left_out_and_noted(tmp_path: Path) -> None:
    phantom = Phantom()
    folder = phantom.write(tmp_path / "ct")
    localizer = phantom.slice(0)
    localizer.SOPInstanceUID = "1.2.3.4"
    localizer.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    phantom.save(localizer, folder / "scout")
    scan = read(folder)
    assert exact(scan, phantom)
    assert "localizer" in scan.facts.notes[0]


def test_the_same_file_twice_counts_once(tmp_path: Path) -> None:
    phantom = Phantom()
    folder = phantom.write(tmp_path / "ct")
    shutil.copy(folder / "002.dcm", folder / "002 (1).dcm")
    scan = read(folder)
    assert exact(scan, phantom)
    assert "1 image was a copy" in scan.facts.notes[0]


def test_several_study_uids_are_noted(tmp_path: Path) -> None:
    phantom = Phantom(change=lambda k, dataset: setattr(dataset, "StudyInstanceUID", f"1.2.{k % 3}"))
    scan = read(phantom.write(tmp_path / "ct"))
    assert exact(scan, phantom)
    assert "3 studies" in scan.facts.notes[0]


# which series


@pytest.fixture
def two_series(tmp_path: Path) -> Path:
    Phantom(number=2, series_uid="1.2.2", description="Abdomen 5.0 B30f").write(tmp_path / "study" / "a")
    Phantom(number=3, series_uid="1.2.3", description="Abdomen 5.0 B70f", n_slices=5).write(tmp_path / "study" / "b")
    return tmp_path / "study"


def test_of_two_series_the_rule_takes_one_and_says_so(two_series: Path) -> None:
    scan = read(two_series)
    assert scan.facts.series_number == 2
    assert scan.facts.notes[0] == (
        'took CT series 2 "Abdomen 5.0 B30f" (6 images 3 mm apart); '
        'passed over 3 "Abdomen 5.0 B70f" (5 images 3 mm apart; fewer images)'
    )


def test_two_series_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    for uid in ("1.2.2", "1.2.3"):
        Phantom(series_uid=uid).write(tmp_path / "study" / uid)
    equal = r'study: holds 2 CT series that are equally fit \(4 "CT abdomen", .*UID 1.2.2; 4 .*UID 1.2.3\).*--series'
    with pytest.raises(ScanError, match=equal):
        read(tmp_path / "study")
    assert read(tmp_path / "study", Choices(series="1.2.3")).facts.series_uid == "1.2.3"


@pytest.mark.parametrize("wanted", ["3", "1.2.3", "Abdomen 5.0 B70f", "abdomen 5.0 b70F", "B70", " 3 "])
def test_a_series_is_chosen_by_number_uid_or_description(two_series: Path, wanted: str) -> None:
    assert read(two_series, Choices(series=wanted)).facts.series_uid == "1.2.3"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("7", 'no CT series answers to .7.; there are: 2 "Abdomen 5.0 B30f"; 3'),
        ("", "no CT series"),
        ("abdomen", "2 series answer to 'abdomen'; choose by UID: 1.2.2, 1.2.3"),
    ],
)
def test_a_choice_that_fits_none_or_two_is_refused(two_series: Path, wanted: str, message: str) -> None:
    with pytest.raises(ScanError, match=message):
        read(two_series, Choices(series=wanted))


def test_a_description_cannot_break_the_line(tmp_path: Path) -> None:
    folder = Phantom(series_uid="1.2.2", description="a\x1b[31mb" + "x" * 50).write(tmp_path / "ct" / "a").parent
    Phantom(series_uid="1.2.3").write(folder / "b")
    with pytest.raises(ScanError) as caught:
        read(folder)
    assert str(caught.value).isprintable()


# what is irregular is refused, and the defect is named


def tilted(degrees: float) -> Callable[[int, np.ndarray], np.ndarray]:
    return lambda k, regular: regular + np.array((0, 3 * k * np.tan(np.radians(degrees)), 0))


@pytest.mark.parametrize(
    ("phantom", "message"),
    [
        (Phantom(without=(2,)), r"1 slice missing \(1 between -307.25 and -301.25 mm\)"),
        (Phantom(without=(2, 3)), r"2 slices missing \(2 between -307.25 and -298.25 mm\)"),
        (
            Phantom(n_slices=12, without=(2, 3, 7)),
            r"3 slices missing \(2 between .*, 1 between -292.25 and -286.25 mm\)",
        ),
        (
            Phantom(n_slices=9, position=lambda k, at: at + np.array((0, 0, 2.0 * max(0, k - 4)))),
            r"varies \(3.00 mm x 4, 5.00 mm x 4\)",
        ),
        (Phantom(n_slices=12, position=lambda k, at: at + np.array((0, 0, 0.03 * k * k))), "the spacing varies|stray"),
        (
            Phantom(position=lambda k, at: at - np.array((0, 0, 3.0 * (k == 3)))),
            "more than one image at the same position",
        ),
        (Phantom(position=lambda _, at: at * 0), r"all images lie at one position \(0.00 mm\)"),
        (Phantom(position=tilted(15)), "gantry tilt of 15.0 degrees"),
        (Phantom(position=tilted(-20), without=(2,)), "1 slice missing .*; gantry tilt of 20.0 degrees"),
        (
            Phantom(position=lambda k, at: at + np.array((4.0 * (k == 3), 0, 0))),
            "shifted against each other by up to 4.00",
        ),
        (Phantom(change=only(2, PixelSpacing=[2, 1.6])), r"1 slice missing .*; 1 of its .* \(other pixel spacing\)"),
        (
            Phantom(change=only(2, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])),
            r"1 slice missing .*; 1 of its images left out \(other orientation\)",
        ),
        (Phantom(change=only(2, Rows=ROWS - 1)), r"1 slice missing .*; 1 of its images left out \(other image size\)"),
        (Phantom(change=pixels(ImageOrientationPatient=[1, 0, 0, 0.1, 1, 0])), "not at right angles"),
        (Phantom(change=pixels(ImageOrientationPatient=[0, 0, 0, 0, 0, 0])), "not at right angles"),
        (Phantom(n_slices=2), "at least 3 images"),
        (Phantom(n_slices=1), "at least 3 images"),
    ],
)
def test_irregular_series(tmp_path: Path, phantom: Phantom, message: str) -> None:
    refused(phantom, tmp_path / "ct", f'ct: series 4 "CT abdomen" of .* irregular: .*{message}')


def test_the_same_instance_with_other_pixels(tmp_path: Path) -> None:
    folder = Phantom().write(tmp_path / "ct")
    other = Phantom(n_slices=1, name="again{}".format, change=lambda _, one: set_stored(one, np.ones((ROWS, COLUMNS))))
    refused(other, folder, r"different images bear the same SOP instance UID \(1 x\); more than one image at the same")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (only(3, ImagePositionPatient=None), "1 image without position"),
        (only(3, ImagePositionPatient=[1, 2]), "ImagePositionPatient is .*; expected 3 numbers"),
        (pixels(PixelSpacing=[0, 1.5]), "PixelSpacing is .*; expected lengths above 0 mm"),
        (pixels(PixelSpacing=[2, -1.5]), "PixelSpacing is .*; expected lengths above 0 mm"),
        (pixels(PixelSpacing=[60, 60]), "expected 0.0001 to 50 mm"),
        (pixels(PhotometricInterpretation="MONOCHROME1"), "MONOCHROME1, expected MONOCHROME2"),
        (pixels(PhotometricInterpretation=None), "lacks PhotometricInterpretation"),
        (pixels(RescaleType="OD"), "rescale type OD"),
        (pixels(RescaleSlope=0), "rescale slope 0"),
        (pixels(BitsStored=12, HighBit=15), "12 bits up to bit 15 of 16"),
        (pixels(BitsStored=17, HighBit=16), "17 bits up to bit 16 of 16"),
        (pixels(ModalityLUTSequence=[Dataset()]), "000.dcm: is damaged or no valid DICOM"),
        (only(4, PixelData=b"\0" * (2 * ROWS * COLUMNS - 2)), "004.dcm: its pixels .* cannot be decoded"),
        (only(4, PixelData=None), "004.dcm: its pixels .* cannot be decoded"),
        (pixels(Rows=65535, Columns=65535), "65535 x 65535"),
        (pixels(NumberOfFrames=5), "more than one image at the same position"),
        (pixels(NumberOfFrames=0), "NumberOfFrames is 0"),
    ],
)
def test_what_cannot_be_understood_is_one_line(
    tmp_path: Path,
    change: Change,
    message: str,
) -> None:
    refused(Phantom(change=change), tmp_path / "ct", message)


def deflated(folder: Path, phantom: Phantom) -> Path:
    folder.mkdir()
    for k in range(phantom.n_slices):
        dataset = phantom.slice(k)
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        dataset.save_as(folder / f"{k}.dcm", enforce_file_format=True)
    return folder


def test_deflated_files(tmp_path: Path) -> None:
    phantom = Phantom()
    assert exact(read(deflated(tmp_path / "ct", phantom)), phantom)


def test_a_deflated_file_that_is_cut_off_behind_its_pixels_is_refused(tmp_path: Path) -> None:
    folder = deflated(tmp_path / "ct", Phantom(change=lambda _, one: one.add_new(0x7FE10010, "OB", bytes(range(256)))))
    content = (folder / "2.dcm").read_bytes()
    (folder / "2.dcm").write_bytes(content[:-9])
    with pytest.raises(ScanError, match=r"2\.dcm: is stored deflated and cut off"):
        read(folder)


def test_inflating_stops_where_no_image_is_that_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctatlas.volume.formats.dicom.files._AT_MOST_INFLATED_BYTES", 2**20)
    bomb = Phantom(n_slices=1, change=lambda _, one: one.add_new(0x00091001, "OB", bytes(50 * 2**20)))
    folder = deflated(tmp_path / "ct", bomb)
    tracemalloc.start()
    with pytest.raises(ScanError, match=r"0\.dcm: is stored deflated and holds over 1 MiB"):
        read(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 2**20


def test_a_codestream_of_another_size_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    from pydicom.uid import JPEG2000Lossless

    def change(_: int, dataset: Dataset) -> None:
        set_stored(dataset, np.ones((64, 80)))
        dataset.compress(JPEG2000Lossless)
        dataset.Rows = 800

    refused(Phantom(change=change), tmp_path / "ct", "compressed image has 64 rows of 80, the header says 800")


def test_one_image_of_a_series_is_refused(tmp_path: Path) -> None:
    folder = Phantom().write(tmp_path / "ct")
    with pytest.raises(ScanError, match="one image of a series; give the folder"):
        read(folder / "000.dcm")


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="holds no CT series; found no file"):
        read(tmp_path)


@pytest.mark.parametrize("cut", [130, 140, 300, 700, 1000])
def test_a_cut_header_is_refused_or_its_pixels_are(tmp_path: Path, cut: int) -> None:
    folder = Phantom().write(tmp_path / "ct")
    (folder / "003.dcm").write_bytes((folder / "003.dcm").read_bytes()[:cut])
    with pytest.raises(ScanError) as caught:
        read(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_damaged_bytes_never_give_another_exception(tmp_path: Path) -> None:
    folder = Phantom(n_slices=3).write(tmp_path / "ct")
    sound = (folder / "001.dcm").read_bytes()
    rng = np.random.default_rng(7)
    strange = []
    for trial in range(3000):
        data = bytearray(sound)
        for at in rng.integers(128, len(data), 1 + trial % 4):
            data[at] = rng.integers(0, 256)
        (folder / "001.dcm").write_bytes(data)
        try:
            read(folder)
        except ScanError as refusal:
            strange += [str(refusal)] if "\n" in str(refusal) else []
    assert strange == []
