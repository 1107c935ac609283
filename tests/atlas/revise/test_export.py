import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from ctatlas.anatomy import structures
from ctatlas.atlas import Atlas
from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.records import AttentionRecord, HotSpot, HotSpotsRecord, write_record
from ctatlas.atlas.revise.export import export_tasks
from ctatlas.atlas.revise.itk_snap import label_descriptions
from ctatlas.atlas.revise.package import package_in
from ctatlas.errors import AtlasError, ModelError, OutputError
from ctatlas.execution import perform_in_place, result_folder
from ctatlas.hashing import sha256_file
from ctatlas.volume import read, read_segmentation, write_array_uint8
from tests.atlas.by_hand import GRID, add_prediction, box, everything_in, new_atlas, new_case

MASKS = {"liver": box((0, 5)), "spleen": box((7, 10)), "hepatic_vessel": box((2, 3), (2, 4), (1, 5))}
SPOTS = [
    HotSpot(
        structure="spleen", lo=(7, 0, 0), hi=(9, 3, 4), center_mm=(1, -2, 3), ml=2, score=4, reason="a, b", minutes=3
    ),
    HotSpot(
        structure="liver", lo=(0, 0, 0), hi=(1, 1, 1), center_mm=(-9, 8, 7), ml=1, score=1, reason="x", minutes=0.5
    ),
    HotSpot(structure="colon", lo=(0, 0, 0), hi=(1, 1, 1), center_mm=(0, 0, 0), ml=1, score=1, reason="x", minutes=9),
]


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    return new_atlas(tmp_path / "atlas", members=["m/one"])


@pytest.fixture
def place(atlas: Atlas) -> CasePlace:
    place = new_case(atlas)
    add_prediction(place, "m/one", MASKS)
    return place


def attend(place: CasePlace) -> None:
    with result_folder(place.attention, {"case": place.case}) as folder:
        for name in ("liver", "spleen"):
            write_array_uint8(np.full(GRID.shape, 9, np.uint8), GRID, folder / f"{name}.nii.gz")
        found = {name: AttentionRecord(ml=1, score=1) for name in ("liver", "spleen")}
        record = HotSpotsRecord(preset="default", members=("m/one",), structures=found, hotspots=tuple(SPOTS))
        write_record(record, folder / "hotspots.json")


def export(atlas: Atlas, place: CasePlace, to: Path, *structures: str) -> Path:
    (task,) = export_tasks(atlas, [place], to, structures)
    perform_in_place(task)
    return to / place.case


def test_a_package_holds_all_that_an_annotator_needs(atlas: Atlas, place: CasePlace, tmp_path: Path) -> None:
    attend(place)
    folder = export(atlas, place, tmp_path / "out")
    assert sorted(everything_in(folder)) == [
        "README.txt",
        "attention/liver.nii.gz",
        "attention/spleen.nii.gz",
        "ct.nii.gz",
        "hotspots.csv",
        "hotspots.json",
        "hotspots.mrk.json",
        "hotspots.txt",
        "itksnap_labels.txt",
        "labels.json",
        "labels.nii.gz",
        "masks.seg.nrrd",
        "package.json",
        "run.json",
        "scene.mrml",
        "segmentations/hepatic_vessel.nii.gz",
        "segmentations/liver.nii.gz",
        "segmentations/spleen.nii.gz",
    ]
    assert (folder / "ct.nii.gz").read_bytes() == place.ct.read_bytes()
    assert "one of test" in (folder / "README.txt").read_text()
    assert 'fileName="attention/spleen.nii.gz"' in (folder / "scene.mrml").read_text()


def test_masks_are_the_same_in_every_form(atlas: Atlas, place: CasePlace, tmp_path: Path) -> None:
    folder = export(atlas, place, tmp_path / "out")
    scan = read(folder / "ct.nii.gz")
    for found in (read_segmentation(folder / "masks.seg.nrrd", scan.grid), read_segmentation(folder, scan.grid)):
        assert set(found.names) == set(MASKS)
        np.testing.assert_array_equal(found.mask("liver"), MASKS["liver"])  # with its vessels
        np.testing.assert_array_equal(found.mask("hepatic_vessel"), MASKS["hepatic_vessel"])
    flat = read_segmentation(folder / "labels.nii.gz", scan.grid)
    np.testing.assert_array_equal(flat.mask("liver"), MASKS["liver"] & ~MASKS["hepatic_vessel"])


def test_the_manifest_hashes_every_file_it_came_with(atlas: Atlas, place: CasePlace, tmp_path: Path) -> None:
    folder = export(atlas, place, tmp_path / "out")
    record = package_in(folder)
    assert record is not None
    assert (record.case, record.atlas, set(record.masks)) == ("one", "test", set(MASKS))
    assert record.files.keys() == everything_in(folder).keys() - {"package.json", "run.json"}
    assert all(sha256_file(folder / name) == digest for name, digest in record.files.items())


def test_hot_spots_are_listed_for_the_structures_that_are_given_out(
    atlas: Atlas, place: CasePlace, tmp_path: Path
) -> None:
    attend(place)
    folder = export(atlas, place, tmp_path / "out")
    with (folder / "hotspots.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["rank"], row["structure"], row["reason"]) for row in rows] == [
        ("1", "spleen", "a, b"),
        ("2", "liver", "x"),
    ]
    assert (rows[0]["x_mm"], rows[0]["i_lo"], rows[0]["k_hi"]) == ("1.0", "7", "4")
    assert len(json.loads((folder / "hotspots.json").read_text())["hotspots"]) == 2
    words = (folder / "hotspots.txt").read_text()
    assert words.startswith("2 places to look at, about 4 minutes, the most expected gain a minute first.")
    assert "at R 1, P 2, S 3 mm" in words
    assert "at L 9, A 8, S 7 mm" in words


def test_without_attention_the_list_says_so(atlas: Atlas, place: CasePlace, tmp_path: Path) -> None:
    folder = export(atlas, place, tmp_path / "out")
    assert "ctatlas attend" in (folder / "hotspots.txt").read_text()
    assert not (folder / "attention").exists()
    assert not (folder / "hotspots.mrk.json").exists()


def test_only_the_structures_asked_for_are_given_out(atlas: Atlas, place: CasePlace, tmp_path: Path) -> None:
    folder = export(atlas, place, tmp_path / "out", "Spleen")
    assert read_segmentation(folder / "masks.seg.nrrd").names == ("spleen",)
    with pytest.raises(AtlasError, match=r"has no vertebrae_L1; it holds abdomenatlas-1\.1"):
        export_tasks(atlas, [place], tmp_path / "other", ["vertebrae_L1"])
    with pytest.raises(ModelError, match="no structure is called 'livre'; near: liver"):
        export_tasks(atlas, [place], tmp_path / "other", ["livre"])
    with pytest.raises(AtlasError, match="one: has no mask of colon to revise"):
        export(atlas, place, tmp_path / "other", "colon")
    assert not (tmp_path / "other").exists()


def test_an_annotators_work_is_never_replaced(atlas: Atlas, place: CasePlace, tmp_path: Path) -> None:
    folder = export(atlas, place, tmp_path / "out")
    (folder / "masks.seg.nrrd").write_bytes(b"hours of work")
    before = everything_in(folder)
    with pytest.raises(OutputError, match="is there already, and may hold an annotator's work"):
        export(atlas, place, tmp_path / "out")
    assert everything_in(folder) == before


def test_the_same_state_gives_the_same_package(atlas: Atlas, place: CasePlace, tmp_path: Path) -> None:
    attend(place)
    first, second = (everything_in(export(atlas, place, tmp_path / name)) for name in ("a", "b"))
    assert first == second


def test_itk_snap_gets_a_line_a_label_with_colour_and_name() -> None:
    text = label_descriptions({5: "liver", 21: "lung_left"})
    fields = [re.findall(r'"[^"]*"|\S+', line) for line in text.splitlines() if not line.startswith("#")]
    assert [len(line) for line in fields] == [8, 8, 8]
    assert fields[0] == ["0", "0", "0", "0", "0", "0", "0", '"Clear Label"']
    assert fields[1] == ["5", *map(str, structures()["liver"].color), "1", "1", "1", '"liver"']
    assert fields[2][-1] == '"lung_left"'
