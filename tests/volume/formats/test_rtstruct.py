"""RTSTRUCT out and in: contours that fill to the very mask, through our reader and through plastimatch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydicom import Dataset

from ctatlas.errors import ScanError
from ctatlas.measure.overlap import dice
from ctatlas.volume import Grid, Segmentation, Volume, read, read_segmentation
from ctatlas.volume.formats.dicom.derived import Algorithm
from ctatlas.volume.formats.dicom.slices import masks_on_slices
from ctatlas.volume.formats.rtstruct.contours import contours
from ctatlas.volume.formats.rtstruct.fill import filled
from ctatlas.volume.formats.rtstruct.read import read_rtstruct
from ctatlas.volume.formats.rtstruct.write import write_rtstruct
from tests.volume.formats.dicom.oracles import dciodvfy_errors, on, plastimatch_masks
from tests.volume.formats.dicom.phantom import Phantom, oblique, set_stored
from tests.volume.formats.test_dicom_seg import SERIES, patient, tilted

MODEL = Algorithm("test/model", "1.2")
ROWS, COLUMNS = 23, 27


def drawn(text: str) -> np.ndarray:
    """Return a mask drawn with # on a canvas of dots, in the middle of an image."""
    lines = text.split()
    mask = np.zeros((ROWS, COLUMNS), bool)
    for row, line in enumerate(lines, start=3):
        mask[row, 4 : 4 + len(line)] = [letter == "#" for letter in line]
    return mask


SHAPES = {
    "hole": drawn("##### #...# #...# #####"),
    "two holes": drawn("######### #..##...# #..##...# #########"),
    "island in hole": drawn("####### #.....# #.###.# #.#.#.# #.###.# #.....# #######"),
    "single voxel": drawn("#"),
    "line": drawn("########"),
    "diagonal": drawn("#.... .#... ..#.. ...#. ....#"),
    "checkerboard": np.indices((ROWS, COLUMNS)).sum(0) % 2 == 0,
    "random": np.random.default_rng(3).random((ROWS, COLUMNS)) < 0.5,
    "everything": np.ones((ROWS, COLUMNS), bool),
}


@pytest.mark.parametrize("name", SHAPES)
def test_filling_the_contours_gives_the_mask(name: str) -> None:
    mask = SHAPES[name]
    assert (filled(contours(mask), mask.shape, "test") == mask).all()


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))), st.floats(0.3, 3), st.floats(-400, 400))
def test_filling_gives_the_mask_also_from_rounded_coordinates(mask: np.ndarray, spacing: float, first: float) -> None:
    in_mm = [np.round(line * spacing + first, 4) for line in contours(mask)]
    assert (filled([(line - first) / spacing for line in in_mm], mask.shape, "test") == mask).all()


def test_a_hole_is_a_keyhole_and_an_island_a_contour_of_its_own() -> None:
    assert len(contours(SHAPES["hole"])) == 1
    assert len(contours(SHAPES["two holes"])) == 1
    assert len(contours(SHAPES["island in hole"])) == 2
    assert all(len(line) >= 4 for mask in SHAPES.values() for line in contours(mask))


def test_straight_edges_have_no_points_between_their_ends() -> None:
    (line,) = contours(drawn("######## ######## ########"))
    assert len(line) == 8  # a rectangle with cut corners


def test_nothing_has_no_contour() -> None:
    assert contours(np.zeros((4, 5), bool)) == []
    assert not filled([], (4, 5), "test").any()


def test_a_line_within_another_is_a_hole_whichever_way_it_runs() -> None:
    outer = np.array([(0.5, 0.5), (8.5, 0.5), (8.5, 6.5), (0.5, 6.5)])
    inner = np.array([(2.5, 2.5), (4.5, 2.5), (4.5, 4.5), (2.5, 4.5)])
    expected = np.zeros((8, 10), bool)
    expected[1:7, 1:9] = True
    expected[3:5, 3:5] = False
    assert (filled([outer, inner], (8, 10), "test") == expected).all()
    assert (filled([outer, inner[::-1]], (8, 10), "test") == expected).all()


def test_lines_that_leave_the_image_are_cut_at_its_edge() -> None:
    line = np.array([(-5.0, -5.0), (3.5, -5.0), (3.5, 2.5), (-5.0, 2.5)])
    expected = np.zeros((6, 7), bool)
    expected[:3, :4] = True
    assert (filled([line], (6, 7), "test") == expected).all()


def test_a_drawing_that_would_take_for_ever_is_refused() -> None:
    zigzag = np.stack([np.arange(60_000.0), np.tile([0.0, 2000.0], 30_000)], axis=1)
    with pytest.raises(ScanError, match="crossings"):
        filled([zigzag], (2000, 10), "test")


def series(folder: Path, **how: Any) -> tuple[Volume, Path]:
    """Return a scan with room for the shapes: 2.0 mm between rows, 1.5 mm between columns."""

    def larger(k: int, dataset: Dataset) -> None:
        patient(k, dataset)
        set_stored(dataset, np.full((ROWS, COLUMNS), 1024 + k))

    path = Phantom(change=larger, n_slices=5, **how).write(folder / "ct")
    return read(path), path


def shapes(grid: Grid) -> dict[str, np.ndarray]:
    """Return every shape on the inner slices, and an empty structure."""
    stacks = {name.replace(" ", "_"): np.zeros(grid.shape, bool) for name in SHAPES}
    for name, mask in SHAPES.items():
        stacks[name.replace(" ", "_")][:, :, 1:4] = mask.T[:, :, None]
    return stacks | {"spleen": np.zeros(grid.shape, bool)}


@pytest.mark.parametrize("how", SERIES)
def test_comes_back_voxel_for_voxel(tmp_path: Path, how: str) -> None:
    scan, ct = series(tmp_path, **SERIES[how])
    masks = shapes(scan.grid)
    turned = Segmentation.from_masks(scan.grid, masks).reoriented("RAS")
    write_rtstruct(turned, scan, ct, tmp_path / "rt.dcm", algorithm=MODEL)
    assert dciodvfy_errors(tmp_path / "rt.dcm") == []
    found = read_segmentation(tmp_path / "rt.dcm", scan=scan)
    assert list(found.names) == list(masks)
    assert all((found.mask(name) == mask).all() for name, mask in masks.items())
    elsewhere = read_segmentation(tmp_path / "rt.dcm", scan.grid.reoriented("PIR"))  # a grid of another format
    assert all((elsewhere.reoriented(scan.grid.orientation).mask(name) == mask).all() for name, mask in masks.items())


@pytest.mark.parametrize("how", ["axial", "feet first", "prone"])
def test_plastimatch_reads_the_same(tmp_path: Path, how: str) -> None:
    scan, ct = series(tmp_path, **SERIES[how])
    masks = shapes(scan.grid)
    write_rtstruct(Segmentation.from_masks(scan.grid, masks), scan, ct, tmp_path / "rt.dcm", algorithm=MODEL)
    found = plastimatch_masks(tmp_path / "rt.dcm", ct, tmp_path / "plastimatch")
    assert set(found) == set(masks) - {"spleen"}
    assert {name: dice(masks[name], on(one, scan.grid) > 0) for name, one in found.items()} == dict.fromkeys(found, 1.0)


def test_contours_of_a_tilted_scan_lie_on_its_images(tmp_path: Path) -> None:
    scan, ct = tilted(tmp_path)
    mask = np.zeros(scan.grid.shape, bool)
    mask[2:5, 3:6, 1:5] = True
    masks = Segmentation.from_masks(scan.grid, {"liver": mask})
    write_rtstruct(masks, scan, ct, tmp_path / "rt.dcm", algorithm=MODEL)
    rt = pydicom.dcmread(tmp_path / "rt.dcm")
    heights = {one.instance_uid: one.position_mm[2] for one in scan.facts.slices}
    lines = rt.ROIContourSequence[0].ContourSequence
    assert all(
        set(line.ContourData[2::3]) == {heights[line.ContourImageSequence[0].ReferencedSOPInstanceUID]}
        for line in lines
    )
    found = dict(masks_on_slices(read_rtstruct(tmp_path / "rt.dcm", scan), scan.facts))
    assert (found["liver"] == dict(masks_on_slices(masks, scan.facts))["liver"]).all()


@pytest.mark.parametrize("how", SERIES)
def test_a_mark_on_the_patients_left_stays_there(tmp_path: Path, how: str) -> None:
    scan, ct = series(tmp_path, **SERIES[how])
    world_x = scan.grid.world(np.moveaxis(np.indices(scan.grid.shape), 0, -1))[..., 0]
    left = world_x < np.median(world_x) - 0.1  # RAS: x falls toward the patient's left
    masks = Segmentation.from_masks(scan.grid, {"kidney_left": left})
    write_rtstruct(masks, scan, ct, tmp_path / "rt.dcm", algorithm=MODEL)
    rt = pydicom.dcmread(tmp_path / "rt.dcm")
    points = np.concatenate([line.ContourData for line in rt.ROIContourSequence[0].ContourSequence]).reshape(-1, 3)
    assert points[:, 0].min() > -np.median(world_x) - 2.0  # LPS: x grows toward the patient's left
    assert (read_rtstruct(tmp_path / "rt.dcm", scan).mask("kidney_left") == left).all()


def test_says_what_was_drawn_by_whom_on_which_images(tmp_path: Path) -> None:
    scan, ct = series(tmp_path)
    masks = Segmentation.from_masks(scan.grid, {"kidney_left": shapes(scan.grid)["hole"]})
    write_rtstruct(masks, scan, ct, tmp_path / "rt.dcm", algorithm=MODEL)
    rt = pydicom.dcmread(tmp_path / "rt.dcm")
    assert (rt.PatientName, rt.PatientID, rt.StructureSetDate) == ("Doe^Jörg", "42", "20200102")
    assert rt.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"
    (roi,), (colored,) = rt.StructureSetROISequence, rt.ROIContourSequence
    assert (roi.ROIName, roi.ROIGenerationAlgorithm) == ("kidney_left", "AUTOMATIC")
    assert roi.ROIGenerationDescription == "test/model 1.2"
    assert list(colored.ROIDisplayColor) == [0x2E, 0x8A, 0xB8]
    space = rt.ReferencedFrameOfReferenceSequence[0]
    named = space.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert (space.FrameOfReferenceUID, named.SeriesInstanceUID) == (
        scan.facts.frame_of_reference_uid,
        scan.facts.series_uid,
    )
    assert [one.ReferencedSOPInstanceUID for one in named.ContourImageSequence] == [
        one.instance_uid for one in scan.facts.slices
    ]
    numbers = b"".join(str(one).encode() + b" " for one in colored.ContourSequence[0].ContourData).split()
    assert max(map(len, numbers)) <= 16


def test_equal_masks_give_equal_bytes(tmp_path: Path) -> None:
    scan, ct = series(tmp_path)
    masks = shapes(scan.grid)
    for name, kept in {"a": ["hole"], "b": ["hole"], "c": ["line"]}.items():
        few = Segmentation.from_masks(scan.grid, {one: masks[one] for one in kept})
        write_rtstruct(few, scan, ct, tmp_path / f"{name}.dcm", algorithm=MODEL)
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()
    uids = [pydicom.dcmread(tmp_path / f"{name}.dcm").SOPInstanceUID for name in "abc"]
    assert uids[0] == uids[1] != uids[2]


def changed(tmp_path: Path, change: Any) -> tuple[Volume, Path]:
    scan, ct = series(tmp_path)
    masks = Segmentation.from_masks(scan.grid, {"liver": shapes(scan.grid)["hole"]})
    path = tmp_path / "rt.dcm"
    write_rtstruct(masks, scan, ct, path, algorithm=MODEL)
    rt = pydicom.dcmread(path)
    change(rt)
    rt.save_as(path)
    return scan, path


def lines_of(rt: Dataset) -> Any:
    return rt.ROIContourSequence[0].ContourSequence


def lifted(rt: Dataset) -> None:
    for line in lines_of(rt):
        line.ContourData = [mm + (1.2 if n % 3 == 2 else 0) for n, mm in enumerate(line.ContourData)]


def bent(rt: Dataset) -> None:
    lines_of(rt)[0].ContourData[2] += 1.0


def swapped(rt: Dataset) -> None:
    first, second, *_ = lines_of(rt)
    first.ContourImageSequence, second.ContourImageSequence = second.ContourImageSequence, first.ContourImageSequence


def other_series(rt: Dataset) -> None:
    study = rt.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    study.RTReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.3.4.5"


DAMAGE: dict[str, tuple[Any, str]] = {
    "lines between slices": (lifted, r"3 of 3 contours of liver lie up to 1\.20 mm from the nearest slice"),
    "a bent line": (bent, "liver is not flat"),
    "lines that name another image": (swapped, "names one image and lies on another"),
    "another series": (other_series, r"was drawn on series 1\.2\.3\.4\.5"),
    "half a point": (lambda rt: lines_of(rt)[0].ContourData.pop(), "no points within 10 m"),
    "no list of structures": (lambda rt: delattr(rt, "StructureSetROISequence"), "lists no structures"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_does_not_lie_on_the_scan_is_refused_in_a_line(tmp_path: Path, damage: str) -> None:
    change, words = DAMAGE[damage]
    scan, path = changed(tmp_path, change)
    with pytest.raises(ScanError, match=words):
        read_rtstruct(path, scan)


def test_points_and_open_lines_and_undrawn_slices_are_noticed(tmp_path: Path) -> None:
    def change(rt: Dataset) -> None:
        lines_of(rt)[1].ContourGeometricType = "POINT"

    scan, path = changed(tmp_path, change)
    found = read_rtstruct(path, scan)
    assert found.mask("liver").any((0, 1)).tolist() == [False, True, False, True, False]
    assert len(found.notes) == 2
    assert "1 points or open lines" in found.notes[0]
    assert "not drawn on 1 slices" in found.notes[1]


def test_without_the_ct_there_are_no_voxels(tmp_path: Path) -> None:
    _, path = changed(tmp_path, lambda _: None)
    with pytest.raises(ScanError, match="give the CT they were drawn on too"):
        read_segmentation(path)


def test_names_are_found_by_label_and_else_by_code(tmp_path: Path) -> None:
    def change(rt: Dataset) -> None:
        rt.StructureSetROISequence[0].ROIName = "Leber (auto)"

    scan, path = changed(tmp_path, change)
    assert read_rtstruct(path, scan).names == ("liver",)


def test_oblique_is_oblique() -> None:
    assert abs(np.cross(*oblique())).min() > 0.05
