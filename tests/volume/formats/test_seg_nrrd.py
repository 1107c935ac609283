from __future__ import annotations

from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK

from ctatlas.errors import OutputError, ScanError
from ctatlas.volume import Grid, Segmentation, read, read_segmentation, segmentation_kind, write
from ctatlas.volume.formats.seg_nrrd import terminology
from tests.volume.strategies import CODES, counted, oblique_grid
from tests.volume.test_reading_masks import apart, overlapping, same

COUNTS = [8487, 1216, 2712, 3259, 34450, 33700, 154589]
LPS = np.diag((-1, -1, 1))


@pytest.fixture(scope="module")
def slicer(shared_data: Path) -> Path:
    return shared_data / "fixtures" / "nrrd" / "slicer"


@pytest.mark.parametrize("code", CODES)
def test_overlapping_structures_come_back(tmp_path: Path, code: str) -> None:
    told = overlapping().reoriented(code)
    write(told, tmp_path / "all.seg.nrrd")
    back = read_segmentation(tmp_path / "all.seg.nrrd")
    assert back.grid.shape == told.grid.shape
    assert back.names == told.names
    assert same(back, told)


def test_more_structures_than_a_layer_holds(tmp_path: Path) -> None:
    grid = oblique_grid(shape=(9, 11, 5))
    told = Segmentation.from_labels(
        grid, counted(grid).astype(np.uint16) + np.uint16(60), {n: f"s{n}" for n in range(1, 400)}
    )
    write(told, tmp_path / "all.seg.nrrd")
    assert same(read_segmentation(tmp_path / "all.seg.nrrd"), told)


def test_nothing_at_all(tmp_path: Path) -> None:
    write(
        Segmentation.from_masks(oblique_grid(), {"liver": np.zeros(oblique_grid().shape, bool)}),
        tmp_path / "x.seg.nrrd",
    )
    found = read_segmentation(tmp_path / "x.seg.nrrd")
    assert found.n_voxels() == {"liver": 0}


def test_what_pynrrd_and_simpleitk_see(tmp_path: Path) -> None:
    write(apart(), tmp_path / "one.seg.nrrd")
    write(overlapping(), tmp_path / "two.seg.nrrd")
    one, header = nrrd.read(str(tmp_path / "one.seg.nrrd"))
    two, header_of_two = nrrd.read(str(tmp_path / "two.seg.nrrd"))
    image = SimpleITK.ReadImage(tmp_path / "one.seg.nrrd")
    last = header["space origin"] + (np.array(one.shape) - 1) @ header["space directions"]
    assert np.array_equal(one == 1, apart().mask("liver"))
    assert np.array_equal(SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0), one)
    assert last == pytest.approx(LPS @ oblique_grid().world(np.array(one.shape) - 1), abs=1e-6)
    assert (header["dimension"], header["kinds"]) == (3, ["domain"] * 3)
    assert header["Segment1_Name"] == "kidney_left"
    assert header["Segmentation_MasterRepresentation"] == "Binary labelmap"
    assert header["Segmentation_SourceRepresentation"] == "Binary labelmap"
    assert two.shape == (2, *one.shape)
    assert header_of_two["kinds"] == ["list", *["domain"] * 3]
    assert np.isnan(header_of_two["space directions"][0]).all()
    layer, value = int(header_of_two["Segment3_Layer"]), int(header_of_two["Segment3_LabelValue"])
    assert np.array_equal(two[layer] == value, overlapping().mask("hepatic_tumor"))


def test_extents_and_colours(tmp_path: Path) -> None:
    grid = oblique_grid()
    mask = np.zeros(grid.shape, bool)
    mask[1:4, 2:7, 3] = True
    write(Segmentation.from_masks(grid, {"liver": mask}), tmp_path / "x.seg.nrrd")
    header = nrrd.read_header(str(tmp_path / "x.seg.nrrd"))
    assert header["Segment0_Extent"] == "1 3 2 6 3 3"
    assert all(0 <= float(part) <= 1 for part in header["Segment0_Color"].split())
    assert len(set(header["Segment0_Color"].split())) > 1


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("liver", ["SCT^123037004^Anatomical Structure", "SCT^10200004^Liver", "^^", "^^", "^^"]),
        (
            "kidney_left",
            ["SCT^123037004^Anatomical Structure", "SCT^64033007^Kidney", "SCT^7771000^Left", "^^", "^^"],
        ),
        (
            "liver_tumor",
            [
                "SCT^49755003^Morphologically Altered Structure",
                "SCT^108369006^Neoplasm",
                "^^",
                "SCT^10200004^Liver",
                "^^",
            ],
        ),
    ],
)
def test_terminology_has_seven_fields(name: str, parts: list[str]) -> None:
    fields = terminology(name).split("~")
    assert len(fields) == 7
    assert [*fields[1:4], *fields[5:]] == parts


def test_unknown_structures_get_a_private_code() -> None:
    assert "99CTATLAS^" in terminology("left ~ ^ | thing")
    assert len(terminology("left ~ ^ | thing").split("~")) == 7
    assert "|" not in terminology("left ~ ^ | thing")


def test_a_segmentation_of_slicer(slicer: Path) -> None:
    found = read_segmentation(slicer / "Segmentation.seg.nrrd")
    scan = read(slicer / "CTChest4.nrrd")
    assert list(found.n_voxels().values()) == COUNTS
    assert found.names[0] == "ribs"
    assert found.grid.is_like(scan.grid)
    assert found.n_layers == 1


def test_an_overlapping_segmentation_of_slicer(slicer: Path) -> None:
    found = read_segmentation(slicer / "SegmentationOverlapping.seg.nrrd")
    sphere = found.mask(found.names[-1])
    others = np.any([found.mask(name) for name in found.names[:-1]], axis=0)
    assert int(sphere.sum()) == 19_139
    assert int((sphere & others).sum()) == 15_514
    assert found.n_layers == 2


def test_segmentations_of_slicer_come_back_from_ours(slicer: Path, tmp_path: Path) -> None:
    told = read_segmentation(slicer / "SegmentationOverlapping.seg.nrrd")
    write(told, tmp_path / "x.seg.nrrd")
    write(told, tmp_path / "masks")
    assert same(read_segmentation(tmp_path / "x.seg.nrrd"), told)
    assert sum(read_segmentation(tmp_path / "masks").n_voxels().values()) == sum(told.n_voxels().values())


def cropped(
    path: Path, told: Segmentation, low: tuple[int, int, int], high: tuple[int, int, int], extra: str = ""
) -> Path:
    """Write the part of a segmentation that Slicer would keep, as Slicer does."""
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    part = Segmentation(told.grid.crop(low, high), tuple(layer[box] for layer in told.layers), told.places)
    write(part, path)
    offset = " ".join(map(str, low))
    data = path.read_bytes().replace(b"ExtentOffset:=0 0 0\n", f"ExtentOffset:={offset}\n{extra}".encode())
    path.write_bytes(data)
    return path


def geometry(grid: Grid) -> str:
    matrix = ";".join(map(repr, grid.affine.ravel().tolist()))
    extent = ";".join(f"0;{n - 1}" for n in grid.shape)
    return f"Segmentation_ConversionParameters:=A|1|b.&Reference image geometry|{matrix};{extent};|Image geometry.&\n"


def boxed() -> Segmentation:
    mask = np.zeros(oblique_grid().shape, bool)
    mask[1:4, 2:6, 1:3] = counted(oblique_grid())[1:4, 2:6, 1:3] % 3 > 0
    return Segmentation.from_masks(oblique_grid(), {"liver": mask, "spleen": mask & (counted(oblique_grid()) % 2 == 0)})


@pytest.mark.parametrize("code", ["LPS", "RAS", "PIL"])
def test_what_was_cut_off_is_put_back_on_the_scan(tmp_path: Path, code: str) -> None:
    path = cropped(tmp_path / "x.seg.nrrd", boxed(), (1, 1, 1), (5, 6, 3))
    scan_grid = oblique_grid().reoriented(code)
    assert same(read_segmentation(path, scan_grid), boxed().reoriented(code))
    assert read_segmentation(path, scan_grid).grid == scan_grid


def test_what_was_cut_off_is_put_back_where_the_file_says(tmp_path: Path) -> None:
    path = cropped(tmp_path / "x.seg.nrrd", boxed(), (1, 1, 1), (5, 6, 3), geometry(oblique_grid()))
    assert same(read_segmentation(path), boxed())


@pytest.mark.parametrize(
    "extra",
    [
        "Segmentation_ConversionParameters:=Reference image geometry|1;2;3|\n",
        "Segmentation_ConversionParameters:=Reference image geometry|e;e|\n",
        f"Segmentation_ConversionParameters:=Reference image geometry|{'1;0;0;0;0;' * 3}1;0;1;0;1;1e308;2;|\n",
        geometry(Grid((5, 7, 4), np.eye(4))),
        geometry(Grid((20_000, 20_000, 20_000), oblique_grid().affine)),
        geometry(Grid((8000, 8000, 8000), oblique_grid().affine)),  # half a TiB
    ],
)
def test_a_geometry_that_makes_no_sense_is_left_alone(tmp_path: Path, extra: str) -> None:
    path = cropped(tmp_path / "x.seg.nrrd", boxed(), (1, 1, 1), (5, 6, 3), extra)
    assert read_segmentation(path).grid.same_place(oblique_grid().crop((1, 1, 1), (5, 6, 3)), 1e-6)


def test_segments_of_another_scan_are_refused(tmp_path: Path) -> None:
    path = cropped(tmp_path / "x.seg.nrrd", boxed(), (1, 1, 1), (5, 6, 3))
    moved = oblique_grid().affine.copy()
    moved[:3, 3] += 0.4
    with pytest.raises(ScanError, match="do not lie on those of the scan"):
        read_segmentation(path, Grid(oblique_grid().shape, moved))
    with pytest.raises(ScanError, match="reach beyond the scan"):
        read_segmentation(path, oblique_grid().crop((0, 0, 0), (3, 4, 2)))


def test_two_segments_of_one_name(tmp_path: Path) -> None:
    write(apart(), tmp_path / "x.seg.nrrd")
    data = (tmp_path / "x.seg.nrrd").read_bytes().replace(b"Segment1_Name:=kidney_left", b"Segment1_Name:=liver")
    (tmp_path / "x.seg.nrrd").write_bytes(data)
    found = read_segmentation(tmp_path / "x.seg.nrrd")
    assert found.names == ("liver", "liver_1", "spleen")
    assert np.array_equal(found.mask("liver_1"), apart().mask("kidney_left"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"Segment1_Layer:=0", b"Segment1_Layer:=3", "which is not there"),
        (b"Segment1_LabelValue:=2", b"Segment1_LabelValue:=0", "which is not there"),
        (b"Segment1_LabelValue:=2", b"Segment1_LabelValue:=x", "damaged"),
        (b"type: uint8", b"type: float", "ends before|damaged"),
        (b"space: left-posterior-superior", b"space: scanner-xyz", "does not say how it lies"),
    ],
)
def test_a_broken_header_is_one_line(tmp_path: Path, old: bytes, new: bytes, message: str) -> None:
    write(apart(), tmp_path / "x.seg.nrrd")
    data = (tmp_path / "x.seg.nrrd").read_bytes()
    assert old in data
    (tmp_path / "x.seg.nrrd").write_bytes(data.replace(old, new))
    with pytest.raises(ScanError, match=message):
        read_segmentation(tmp_path / "x.seg.nrrd")


def test_it_is_no_scan(tmp_path: Path) -> None:
    write(overlapping(), tmp_path / "x.seg.nrrd")
    assert segmentation_kind(tmp_path / "x.seg.nrrd", surely=True) == "seg-nrrd"
    with pytest.raises(ScanError, match="holds a segmentation"):
        read(tmp_path / "x.seg.nrrd")


def test_line_breaks_in_names_cannot_add_keys(tmp_path: Path) -> None:
    write(apart().rename({"liver": "a\nSegment9_Name:=b"}), tmp_path / "x.seg.nrrd")
    assert read_segmentation(tmp_path / "x.seg.nrrd").names[0] == "a Segment9_Name:=b"


@pytest.mark.parametrize("start", ["LPS", "RAS", "PIL", "LPI", "RAI"])
def test_a_mark_on_the_left_stays_left(tmp_path: Path, start: str) -> None:
    grid = oblique_grid(start)
    voxel = tuple(np.rint(grid.voxel(grid.world((np.array(grid.shape) - 1) / 2) - (1.4, 0, 0))).astype(int))
    mask = np.zeros(grid.shape, bool)
    mask[voxel] = True
    write(Segmentation.from_masks(grid, {"kidney_left": mask}), tmp_path / "x.seg.nrrd")
    found = read_segmentation(tmp_path / "x.seg.nrrd").reoriented("RAS")
    mark = found.grid.world(np.argwhere(found.mask("kidney_left"))[0])
    assert mark == pytest.approx(grid.world(voxel), abs=1e-4)
    assert mark[0] < found.grid.world((np.array(found.grid.shape) - 1) / 2)[0]


def test_equal_content_gives_equal_bytes_and_nothing_half_written(tmp_path: Path) -> None:
    write(overlapping(), tmp_path / "a.seg.nrrd")
    write(overlapping(), tmp_path / "b.seg.nrrd")
    assert (tmp_path / "a.seg.nrrd").read_bytes() == (tmp_path / "b.seg.nrrd").read_bytes()
    with pytest.raises(OutputError):
        write(overlapping(), tmp_path / "no" / "a.seg.nrrd")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.seg.nrrd", "b.seg.nrrd"]
