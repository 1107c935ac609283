"""Series with every defect that real ones have: each comes back where it lies, or is refused by name.

Unmended ones are judged by the index that each voxel holds; mended ones by a field whose value says where in the world
it is, so that a flip, a shift or a wrong distance along any axis shows. Source: reference/volumes.md §3 and §11.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLSLossless,
    PositronEmissionTomographyImageStorage,
    RLELossless,
    generate_uid,
)

from ctatlas.errors import ScanError
from ctatlas.volume import Choices, Volume, read
from tests.volume.formats.dicom.enhanced import enhanced, item
from tests.volume.formats.dicom.phantom import COLUMNS, ROWS, Phantom, oblique, set_stored
from tests.volume.formats.dicom.test_read import ORIENTATIONS, exact, largest_error_mm

N = 12
MEND = Choices(repair=True)
FIELD = np.array([3.0, -4.0, 5.0])  # HU a mm toward right, anterior, superior
POSITIONS = Callable[[int, np.ndarray], np.ndarray]


# the world-true field


def field(phantom: Phantom, ras_mm: np.ndarray) -> np.ndarray:
    middle = phantom.place(phantom.n_slices // 2) * (-1, -1, 1)
    return 900 + (ras_mm - middle) @ FIELD


def world_of_pixels(phantom: Phantom, k: int) -> np.ndarray:
    """Return where the pixels of a slice lie by its own header, (rows, columns, 3) RAS mm."""
    between_rows, between_columns = phantom.spacing_mm
    right = np.arange(COLUMNS)[None, :, None] * between_columns * np.array(phantom.row)
    down = np.arange(ROWS)[:, None, None] * between_rows * np.array(phantom.column)
    return (phantom.position(k, phantom.place(k)) + right + down) * (-1, -1, 1)


def with_field(phantom: Phantom) -> Phantom:
    """Let a phantom hold the field, in eighths of a HU."""

    def change(k: int, dataset: Dataset) -> None:
        dataset.RescaleSlope = "0.125"
        set_stored(dataset, np.rint(8 * (field(phantom, world_of_pixels(phantom, k)) + 1024)))

    phantom.change = change
    return phantom


def largest_error_hu(scan: Volume, phantom: Phantom) -> float:
    """Return the worst difference from the field inside, after a look that no inner pixel of any slice got lost."""
    inside = scan.array != -1024
    kept = [k for k in range(phantom.n_slices) if k not in phantom.without]
    inner = np.concatenate([world_of_pixels(phantom, k)[2:-2, 1:-1].reshape(-1, 3) for k in kept])
    nearest = np.rint(scan.grid.voxel(inner)).astype(int)
    assert inside[tuple(nearest.T)].all()
    return largest_error_hu_inside(scan, phantom)


def largest_error_hu_inside(scan: Volume, phantom: Phantom) -> float:
    """Return the worst difference from the field where there are values."""
    inside = scan.array != -1024
    found = np.argwhere(inside)
    return float(np.abs(scan.array[inside] - field(phantom, scan.grid.world(found))).max())


def tilted(degrees: float) -> POSITIONS:
    return lambda k, regular: regular + np.array((0, 3 * k * np.tan(np.radians(degrees)), 0))


def further_from(middle: int, mm: float) -> POSITIONS:
    return lambda k, regular: regular + np.array((0, 0, mm * max(0, k - middle)))


def parted_at(dataset: Dataset, is_second: bool) -> None:  # noqa: FBT001
    dataset.AcquisitionNumber = 1 + is_second


def proportional_tilt(degrees: float) -> POSITIONS:
    """Lean by how far along the stack a slice lies, as a gantry does, with distances of 3 and 5 mm."""

    def position(k: int, regular: np.ndarray) -> np.ndarray:
        along = 3 * k + 2.0 * max(0, k - 5)
        return regular + np.array((0, along * np.tan(np.radians(degrees)), along - 3 * k))

    return position


MENDABLE = {
    "one slice missing": (Phantom(N, without=(4,)), "1 slice missing", "1 missing slice .*: k = 4$"),
    "two adjacent missing": (Phantom(N, without=(4, 5)), "2 slices missing", "2 missing slices .*: k = 4, 5$"),
    "variable spacing": (
        Phantom(N, position=further_from(5, 2.0)),
        r"the spacing varies \(3.00 mm x 5, 5.00 mm x 6\)",
        r"uneven slice distances \(3.00 to 5.00 mm\) resampled linearly to 3 mm: 16 slices from 12",
    ),
    "gantry tilt 15": (
        Phantom(N, position=tilted(15)),
        "gantry tilt of 15.0 degrees",
        "gantry tilt of 15.00 degrees: slices shifted .* 8.84 mm, linearly; 0 columns and 5 rows of -1024 HU added",
    ),
    "gantry tilt the other way": (Phantom(N, position=tilted(-22)), "gantry tilt of 22.0 degrees", "tilt of 22.00"),
    "tilt and missing": (
        Phantom(N, position=tilted(18), without=(3,)),
        "1 slice missing .*; gantry tilt of 18.0",
        "gantry tilt of 18.00 degrees",
    ),
    "tilt and variable spacing": (
        Phantom(N, position=proportional_tilt(18.5)),
        "the spacing varies .*; gantry tilt of 18.5",
        "gantry tilt of 18.50 degrees",
    ),
}


@pytest.mark.parametrize("defect", MENDABLE)
def test_what_can_be_mended_is_refused_with_the_hint_and_mended_on_request(tmp_path: Path, defect: str) -> None:
    phantom, message, record = MENDABLE[defect]
    folder = with_field(phantom).write(tmp_path / "ct")
    with pytest.raises(ScanError, match=f"is irregular: .*{message}.* --repair$"):
        read(folder)
    scan = read(folder, MEND)
    assert largest_error_hu(scan, phantom) < 0.7
    assert not scan.grid.is_sheared
    assert [line for line in scan.facts.repairs if re.search(record, line)]
    assert [one.instance_uid for one in scan.facts.slices] == [
        phantom.slice(k).SOPInstanceUID for k in range(N) if k not in phantom.without
    ]


@pytest.mark.parametrize("kind", ORIENTATIONS)
def test_sides_stay_when_a_leaning_stack_with_a_hole_is_mended(tmp_path: Path, kind: str) -> None:
    row, column, position, code = ORIENTATIONS[kind]
    phantom = Phantom(N, row=row, column=column, patient_position=position, without=(4,))
    phantom.position = lambda k, regular: regular + np.array(column) * 0.9 * k + np.array(row) * 0.2 * k
    scan = read(with_field(phantom).write(tmp_path / "ct"), MEND)
    assert scan.grid.orientation == code
    assert largest_error_hu(scan, phantom) < 0.7


def test_whole_numbers_stay_whole_when_mended(tmp_path: Path) -> None:
    phantom = Phantom(N, without=(4,), position=tilted(15))
    scan = read(phantom.write(tmp_path / "ct"), MEND)
    assert scan.array.dtype == np.int16
    assert np.array_equal(scan.array[:, 0:ROWS, 0].T, phantom.hu(0))


def test_what_is_regular_is_not_touched(tmp_path: Path) -> None:
    phantom = Phantom(N)
    scan = read(phantom.write(tmp_path / "ct"), MEND)
    assert exact(scan, phantom)
    assert scan.facts.repairs == ()


@pytest.mark.parametrize(
    ("phantom", "message"),
    [
        (Phantom(N, without=tuple(range(2, 9))), "7 slices missing"),
        (Phantom(N, position=further_from(5, 40.0)), "the spacing varies"),
        (Phantom(N, position=tilted(50)), "gantry tilt of 50.0 degrees"),
        (Phantom(N, position=lambda k, at: at + np.array((4.0 * (k == 3), 0, 0))), "shifted against each other"),
    ],
)
def test_what_interpolation_would_invent_stays_refused(tmp_path: Path, phantom: Phantom, message: str) -> None:
    with pytest.raises(ScanError, match=f"{message}.*cannot be mended by resampling"):
        read(phantom.write(tmp_path / "ct"), MEND)


# several images at one place


def second(folder: Path, **values: object) -> Phantom:
    """Add other images at the same places."""

    def change(_: int, dataset: Dataset) -> None:
        dataset.SOPInstanceUID = generate_uid()
        for name, value in values.items():
            setattr(dataset, name, value)

    phantom = Phantom(N, name="second{}".format, change=change)
    phantom.write(folder)
    return phantom


@pytest.mark.parametrize(
    ("values", "parted_by"),
    [
        ({"AcquisitionNumber": 2}, "acquisition 2"),
        ({"TemporalPositionIdentifier": 2}, "time point 2"),
        ({"KVP": "80"}, "tube voltage 80"),
    ],
)
def test_two_stacks_at_the_same_places_are_parted_and_one_can_be_chosen(
    tmp_path: Path, values: dict[str, object], parted_by: str
) -> None:
    Phantom(N, change=lambda _, one: setattr(one, "KVP", "120")).write(tmp_path / "ct")
    phantom = second(tmp_path / "ct", **({"KVP": "120"} | values))
    with pytest.raises(ScanError, match=f"2 CT series that are equally fit .*{parted_by}.*--series 4:2 is part 2"):
        read(tmp_path / "ct")
    assert exact(read(tmp_path / "ct", Choices(series="4:2")), phantom)


def test_of_two_kernels_at_the_same_places_the_softer_is_taken(tmp_path: Path) -> None:
    phantom = Phantom(N, change=lambda _, one: setattr(one, "ConvolutionKernel", "B30f"))
    phantom.write(tmp_path / "ct")
    second(tmp_path / "ct", ConvolutionKernel="B70f")
    scan = read(tmp_path / "ct")
    assert exact(scan, phantom)
    assert "part 1 (kernel B30f)" in scan.facts.notes[0]
    assert "part 2 (kernel B70f) (12 images 3 mm apart; sharper kernel)" in scan.facts.notes[0]


def test_a_second_image_at_some_places_is_refused(tmp_path: Path) -> None:
    folder = Phantom(N).write(tmp_path / "ct")
    Phantom(
        2,
        name="extra{}".format,
        change=lambda _, one: (setattr(one, "AcquisitionNumber", 2), setattr(one, "SOPInstanceUID", generate_uid())),
    ).write(folder)
    with pytest.raises(ScanError, match=r"more than one image at the same position \(-310.25, -307.25 mm\)"):
        read(folder, MEND)


# several stacks in one series


def chest_and_pelvis(n_first: int = 7, **values: tuple[object, object]) -> Phantom:
    """Lay slices from n_first on 60 mm further up and 5 mm sideways, and let headers say so."""

    def change(k: int, dataset: Dataset) -> None:
        for name, of_both in values.items():
            setattr(dataset, name, of_both[k >= n_first])

    return Phantom(
        N, position=lambda k, regular: regular + np.array((5, 0, 60)) * (k >= n_first), change=change, number=4
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"AcquisitionNumber": (1, 2)}, ("acquisition 1", "acquisition 2")),
        ({"ContrastBolusAgent": ("none", "iodine")}, ("contrast agent none", "contrast agent iodine")),
    ],
)
def test_stacks_beside_each_other_are_parted(
    tmp_path: Path, values: dict[str, tuple[object, object]], said: tuple[str, str]
) -> None:
    phantom = chest_and_pelvis(**values)
    folder = phantom.write(tmp_path / "ct")
    scan = read(folder)
    assert scan.grid.shape == (COLUMNS, ROWS, 7)
    assert largest_error_mm(scan, phantom) < 1e-4
    note = scan.facts.notes[0]
    assert f"({said[0]}) (7 images 3 mm apart)" in note
    assert f"({said[1]}) (5 images 3 mm apart; fewer images)" in note
    part = next(n for n in "12" if f"part {n} ({said[1]})" in note)
    other = read(folder, Choices(series=f"4:{part}"))
    assert other.grid.shape == (COLUMNS, ROWS, 5)
    assert largest_error_mm(other, phantom) < 1e-4


@pytest.mark.parametrize(
    "phantom",
    [
        chest_and_pelvis(),
        chest_and_pelvis(10, AcquisitionNumber=(1, 2)),  # two images are no stack
        Phantom(N, without=(2, 4), position=further_from(6, 60.0), change=lambda k, one: parted_at(one, k >= 6)),
    ],
)
def test_stacks_that_the_headers_do_not_part_are_refused(tmp_path: Path, phantom: Phantom) -> None:
    with pytest.raises(ScanError, match=r"series 4 \"CT abdomen\" of .* missing .*cannot be mended"):
        read(phantom.write(tmp_path / "ct"), MEND)


def test_stacks_of_an_enhanced_image_are_parted(tmp_path: Path) -> None:
    phantom = chest_and_pelvis()
    image = enhanced(
        phantom,
        [*range(5, N), *range(5)],
        change=lambda k, frame: setattr(frame, "FrameContentSequence", item(StackID=f"{1 + (k >= 7)}")),
    )
    phantom.save(image, tmp_path / "ct.dcm")
    assert "part 1 (stack 1) (7 images 3 mm apart)" in read(tmp_path / "ct.dcm").facts.notes[0]
    scan = read(tmp_path / "ct.dcm", Choices(series="4:2"))
    assert scan.grid.shape == (COLUMNS, ROWS, 5)
    assert largest_error_mm(scan, phantom) < 1e-4


def test_gaps_too_wide_for_slices_are_named(tmp_path: Path) -> None:
    phantom = Phantom(N, position=lambda k, regular: regular + np.array((0, 0, 2.2 * (k > 3) + 40.7 * (k > 8))))
    with pytest.raises(
        ScanError, match=r"the spacing varies \(.*\); slices are missing between -284.05 and -240.35 mm"
    ):
        read(phantom.write(tmp_path / "ct"), MEND)


def test_the_same_image_in_another_compression_is_a_copy(tmp_path: Path) -> None:
    phantom = Phantom(N)
    folder = phantom.write(tmp_path / "ct")
    copy = phantom.slice(3)
    copy.compress(RLELossless, generate_instance_uid=False)
    copy.save_as(folder / "copy", enforce_file_format=True)
    scan = read(folder)
    assert exact(scan, phantom)
    assert "1 image was a copy of others and left out" in scan.facts.notes


def test_two_frames_of_reference_are_two_stacks(tmp_path: Path) -> None:
    def change(k: int, dataset: Dataset) -> None:
        dataset.FrameOfReferenceUID = f"1.2.{int(k >= 7)}"

    folder = Phantom(N, change=change).write(tmp_path / "ct")
    scan = read(folder)
    assert scan.grid.shape == (COLUMNS, ROWS, 7)
    assert "part 2 (5 images 3 mm apart; fewer images)" in scan.facts.notes[0]
    assert read(folder, Choices(series="4:2")).grid.shape == (COLUMNS, ROWS, 5)


def test_a_slice_of_another_size_leaves_a_hole(tmp_path: Path) -> None:
    def change(k: int, dataset: Dataset) -> None:
        if k == 4:
            set_stored(dataset, np.zeros((ROWS + 2, COLUMNS + 1)))

    phantom = Phantom(N, change=change)
    folder = phantom.write(tmp_path / "ct")
    with pytest.raises(ScanError, match=r"1 slice missing .*; 1 of its images left out \(other image size\)"):
        read(folder)
    scan = read(folder, MEND)
    assert scan.grid.shape == (COLUMNS, ROWS, N)
    assert np.array_equal(scan.array[:, :, 4].T, (phantom.hu(3) + phantom.hu(5)) // 2)
    assert "1 of its images left out (other image size)" in scan.facts.notes


# what lies beside the CT


def test_of_a_pet_ct_the_ct_is_taken_and_the_pet_named(tmp_path: Path) -> None:
    def pet(_: int, dataset: Dataset) -> None:
        dataset.Modality, dataset.SOPClassUID = "PT", PositronEmissionTomographyImageStorage
        dataset.DecayCorrection = "START"
        dataset.SeriesDescription = "PET AC"

    phantom = Phantom(N)
    folder = phantom.write(tmp_path / "study")
    Phantom(7, number=5, series_uid="1.2.5", spacing_mm=(4.0, 4.1), step_mm=5, name="pet{}".format, change=pet).write(
        folder
    )
    scan = read(folder)
    assert exact(scan, phantom)
    assert scan.facts.notes == ('passed over as no CT volume: 7 x PT object (series 5 "PET AC")',)


def test_without_positions_nothing_is_guessed(tmp_path: Path) -> None:
    def change(k: int, dataset: Dataset) -> None:
        del dataset.ImagePositionPatient, dataset.ImageOrientationPatient
        dataset.SliceLocation = 3 * k

    with pytest.raises(ScanError, match="12 x CT image without position"):
        read(Phantom(N, change=change).write(tmp_path / "ct"), MEND)


# enhanced multi-frame CT


@pytest.mark.parametrize("kind", ORIENTATIONS)
def test_frames_of_an_enhanced_image_lie_where_they_say(tmp_path: Path, kind: str) -> None:
    row, column, _, code = ORIENTATIONS[kind]
    phantom = Phantom(N, row=row, column=column)
    order = np.random.default_rng(3).permutation(N).tolist()
    phantom.save(enhanced(phantom, order, intercept=lambda k: -1024 - 7 * k), tmp_path / "ct.dcm")
    scan = read(tmp_path / "ct.dcm")
    assert exact(scan, phantom)
    assert scan.grid.orientation == code
    assert [one.frame - 1 for one in scan.facts.slices] == [order.index(k) for k in range(N)]


def test_a_scan_in_several_enhanced_images(tmp_path: Path) -> None:
    phantom = Phantom(N)
    phantom.save(enhanced(phantom, [7, 1, 2, 11, 4]), tmp_path / "a")
    phantom.save(enhanced(phantom, [3, 5, 6, 0, 8, 9, 10]), tmp_path / "b")
    scan = read(tmp_path)
    assert exact(scan, phantom)
    assert len({one.instance_uid for one in scan.facts.slices}) == 2


@pytest.mark.parametrize("name", ["StackID", "TemporalPositionIndex"])
def test_stacks_and_time_points_of_an_enhanced_image_are_parted(tmp_path: Path, name: str) -> None:
    phantom = Phantom(N)
    for number in (1, 2):
        content = item(**{name: str(number) if name == "StackID" else number})
        image = enhanced(
            phantom, range(N), change=lambda _, frame, c=content: setattr(frame, "FrameContentSequence", c)
        )
        phantom.save(image, tmp_path / str(number))
    with pytest.raises(ScanError, match=r"2 CT series that are equally fit .*part 1 \((stack|time point) 1\)"):
        read(tmp_path)
    assert exact(read(tmp_path, Choices(series="4:2")), phantom)


def test_a_localizer_among_the_frames_is_left_out(tmp_path: Path) -> None:
    def change(k: int, frame: Dataset) -> None:
        if k == 0:
            frame.CTImageFrameTypeSequence = item(FrameType=["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"])

    phantom = Phantom(N)
    phantom.save(enhanced(phantom, range(N), change=change), tmp_path / "ct.dcm")
    scan = read(tmp_path / "ct.dcm")
    assert scan.grid.shape[2] == N - 1
    assert "1 x localizer" in scan.facts.notes[0]


def test_frames_that_are_not_described_are_refused(tmp_path: Path) -> None:
    phantom = Phantom(N)
    image = enhanced(phantom, range(N))
    image.NumberOfFrames = N + 1
    phantom.save(image, tmp_path / "ct.dcm")
    with pytest.raises(ScanError, match="NumberOfFrames is 13, but 12 are described"):
        read(tmp_path / "ct.dcm")


def test_an_enhanced_image_can_be_mended(tmp_path: Path) -> None:
    phantom = Phantom(N, position=tilted(15))
    phantom.save(enhanced(phantom, [n for n in reversed(range(N)) if n != 4]), tmp_path / "ct.dcm")
    with pytest.raises(ScanError, match=r"1 slice missing.*; gantry tilt of 15.0 degrees.*--repair$"):
        read(tmp_path / "ct.dcm")
    scan = read(tmp_path / "ct.dcm", MEND)
    assert len(scan.facts.repairs) == 2
    assert len(scan.facts.slices) == N - 1


# compressed frames


@pytest.mark.parametrize("syntax", [JPEGLSLossless, RLELossless])
def test_compressed_enhanced_images(tmp_path: Path, syntax: str) -> None:
    phantom = Phantom(N, row=oblique()[0], column=oblique()[1])
    image = enhanced(phantom, [*range(5, N), *range(5)])
    unsigned = np.frombuffer(image.PixelData, "<i2").astype("<u2")
    image.PixelRepresentation = 0
    image.PixelData = unsigned.tobytes()
    image.compress(syntax, generate_instance_uid=False)
    phantom.save(image, tmp_path / "ct.dcm")
    assert exact(read(tmp_path / "ct.dcm"), phantom)


# Slices 0 to 2 of the phantom + 1024, written by imagecodecs 2026.3.6 (OpenJPH), which is not needed to read them.
HTJ2K = [
    "|4;u>04YEK0000700009000000000000007000090000000000009pH0sl|{2mk^A000XAQUDA90ssL31q1{@0smY86Cj9?kdTm&kdTm&kdTmwh=~7W"
    "02crOPjF>!N>E53R%LP^FfKASE;BCwkN^q*00000GXMeqlfVEakp%~I006)M5`gXihjakI01|+R084ZLzyK0}_zZG%0095l",
    "|4;u>04YEK0000700009000000000000007000090000000000009pH0sl|{2mk^A000XAQUDA90ssL31q1{@0smY86Cj9?kdTm&kdTm&kdTmwh=~7W"
    "02crOPjF>!N>E53R%LP^FfKASE;BCwkN^q*00000GXMeqlfVEa69or!006)M5`gXihjakI01|+R084ZLzyK0}_zZG%0095l",
    "|4;u>04YEK0000700009000000000000007000090000000000009pH0sl|{2mk^A000XAQUDA90ssL31q1{@0smY86Cj9?kdTm&kdTm&kdTmwh=~7W"
    "02crOPjF>!N>E53R%LP^FfKASE;BCwkN^q*00000GynnrlfVEbmHq_>bN~Rr01|-i0Ect{zyK0}hyY7;0KfnefcOk@bN~SV*#",
]


def test_high_throughput_jpeg_2000(tmp_path: Path) -> None:
    def change(k: int, dataset: Dataset) -> None:
        dataset.PixelRepresentation = 0
        dataset.file_meta.TransferSyntaxUID = HTJ2KLossless
        dataset.PixelData = encapsulate([base64.b85decode(HTJ2K[k])])
        dataset["PixelData"].is_undefined_length = True
        dataset["PixelData"].VR = "OB"

    phantom = Phantom(3, change=change)
    assert exact(read(phantom.write(tmp_path / "ct")), phantom)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.95])
def test_a_cut_compressed_frame_is_refused(tmp_path: Path, syntax: str, kept: float) -> None:
    rng = np.random.default_rng(0)

    def change(k: int, dataset: Dataset) -> None:
        dataset.PixelRepresentation = 0
        set_stored(dataset, rng.integers(0, 4000, (32, 40)))
        dataset.compress(syntax, generate_instance_uid=False)
        if k == 2:
            frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
            dataset.PixelData = encapsulate([frame[: int(kept * len(frame)) // 2 * 2]])

    folder = Phantom(5, change=change).write(tmp_path / "ct")
    with pytest.raises(ScanError, match=r"002\.dcm: its pixels .* cannot be decoded"):
        read(folder)


# values


def lookup_table(kind: str, values: list[int], first: int) -> Callable[[int, Dataset], None]:
    def change(_: int, dataset: Dataset) -> None:
        del dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType
        table = Dataset()
        table.add_new("LUTDescriptor", "SS", [len(values), first, 16])
        table.ModalityLUTType = kind
        table.add_new("LUTData", "OW", np.array(values, "<u2").tobytes())
        dataset.ModalityLUTSequence = [table]

    return change


def test_a_lookup_table_of_hu_is_applied(tmp_path: Path) -> None:
    phantom = Phantom(change=lookup_table("HU", [7, 30, 31, 500], 100))
    scan = read(phantom.write(tmp_path / "ct"))
    stored = phantom.hu(1) + 1024
    assert np.array_equal(scan.array[:, :, 1].T, np.array([7, 30, 31, 500])[np.clip(stored - 100, 0, 3)])


def test_a_lookup_table_of_anything_else_is_refused(tmp_path: Path) -> None:
    phantom = Phantom(change=lookup_table("OD", [7, 30, 31, 500], 100))
    with pytest.raises(ScanError, match="has a modality lookup table of type OD, expected HU"):
        read(phantom.write(tmp_path / "ct"))


def test_one_value_too_large_for_int16_makes_the_scan_float32(tmp_path: Path) -> None:
    def change(k: int, dataset: Dataset) -> None:
        if k == 4:
            dataset.PixelRepresentation = 0
            stored = phantom_hu(4) + 1024
            stored[0, 0] = 60_000
            set_stored(dataset, stored)

    phantom_hu = Phantom().hu
    scan = read(Phantom(change=change).write(tmp_path / "ct"))
    assert scan.array.dtype == np.float32
    assert scan.array[0, 0, 4] == 60_000 - 1024
    assert np.array_equal(scan.array[:, :, 3].T, phantom_hu(3))
