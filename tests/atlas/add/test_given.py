"""What models and people made of a scan before it came: taken as predictions and revisions, with their source."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ctatlas.anatomy import label_set
from ctatlas.atlas import Atlas, AtlasConfig
from ctatlas.atlas.add import Ask
from ctatlas.atlas.add.layouts import listed
from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.records import ProvenanceRecord, RevisionRecord, read_record
from ctatlas.volume import Grid, read_labels, write_array_uint8, write_labels, write_mask
from tests.atlas.add.sources import added_to, scan, write_numbers, write_scan
from tests.atlas.by_hand import box, everything_in
from tests.support_command import Terminal

GRID = scan().grid
IDS = {name: number for number, name in label_set("universal-32").labels.items()}
LIVER, AORTA, SPLEEN = (box((low, low + 6), grid=GRID) for low in (0, 8, 20))
CORRECTED = box((9, 17), grid=GRID)


@pytest.fixture
def ctatlas(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)


def combined(**masks: np.ndarray) -> np.ndarray:
    labels = np.zeros(GRID.shape, np.uint8, order="F")
    for name, mask in masks.items():
        labels[mask] = IDS[name]
    return labels


def write_prediction(folder: Path, *, soft: bool = False, grid: Grid = GRID, **masks: np.ndarray) -> None:
    """Write what the published pipeline leaves of one network, `aorta` and `spleen` looked for in any case."""
    (folder / "segmentations").mkdir(parents=True)
    write_labels(combined(**masks), grid, folder / "pseudo_label.nii.gz")
    names = {"aorta", "spleen", *masks}
    for name in names:
        write_mask(masks.get(name, np.zeros(GRID.shape, bool)), grid, folder / "segmentations" / f"{name}.nii.gz")
    if soft:
        (folder / "soft_pred").mkdir()
        for name in names:
            values = np.asfortranarray(masks.get(name, np.zeros(GRID.shape, bool)) * np.uint8(200))
            write_array_uint8(values, grid, folder / "soft_pred" / f"{name}.nii.gz")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Write a case as the published pipeline leaves it: two networks, their average, one organ corrected, one right."""
    case = tmp_path / "pub" / "04_LiTS" / "liver_0"
    write_scan(case / "ct.nii.gz")
    write_numbers(case / "original_label.nii.gz", {"liver": 1})
    write_prediction(case / "backbones" / "unet", soft=True, aorta=AORTA, spleen=SPLEEN)
    write_prediction(case / "backbones" / "swinunetr", soft=True, aorta=AORTA)
    write_prediction(case / "average", aorta=AORTA, spleen=SPLEEN)
    write_mask(CORRECTED, GRID, case / "average" / "segmentations" / "aorta_revised.nii.gz")
    write_mask(SPLEEN, GRID, case / "average" / "segmentations" / "spleen_revised.nii.gz")
    return tmp_path / "pub"


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    members = ("given/unet", "given/swinunetr")
    return Atlas.create(tmp_path / "atlas", AtlasConfig(name="test", members=members))


def the_case(atlas: Atlas) -> CasePlace:
    (place,) = atlas.cases()
    return place


def test_corrected_masks_become_a_revision_by_the_source(tree: Path, atlas: Atlas) -> None:
    (added,) = added_to(atlas, tree)
    assert added.state == "added"
    place = the_case(atlas)
    record = read_record(RevisionRecord, place.revision(1) / "revision.json")
    assert (record.author, record.tool, record.minutes) == ("source", "published pipeline", None)
    assert record.reviewed == ("aorta", "spleen")
    np.testing.assert_array_equal(read_labels(place.revision(1) / "aorta.nii.gz").labels != 0, CORRECTED)
    assert record.masks["aorta"].added_ml == pytest.approx(np.count_nonzero(CORRECTED & ~AORTA) * GRID.voxel_ml)
    assert record.masks["aorta"].removed_ml == pytest.approx(np.count_nonzero(AORTA & ~CORRECTED) * GRID.voxel_ml)
    np.testing.assert_array_equal(read_labels(place.revision(1) / "spleen.nii.gz").labels != 0, SPLEEN)


def test_predictions_become_those_of_members(tree: Path, atlas: Atlas) -> None:
    added_to(atlas, tree)
    place = the_case(atlas)
    assert {folder.name for folder in place.predictions()} == {"given__average", "given__swinunetr", "given__unet"}
    folder = place.prediction("given/unet")
    names = json.loads((folder / "labels.json").read_text())
    assert set(names.values()) == {"aorta", "spleen"}  # what the network was asked for
    np.testing.assert_array_equal(read_labels(folder / "labels.nii.gz").labels == IDS["aorta"], AORTA)
    soft = read_labels(folder / "probabilities" / "spleen.nii.gz").labels
    np.testing.assert_array_equal(soft, SPLEEN * 200)
    with atlas.catalog() as catalog:
        assert catalog.synchronise(atlas.cases()) == []


def test_every_step_uses_them(ctatlas: Terminal, tree: Path, atlas: Atlas) -> None:
    assert ctatlas("add", atlas.place.root, tree, "--quiet").code == 0
    for step in (["check"], ["attend"], ["attend", "--preset", "abdomenatlas"], ["assemble"], ["release"]):
        words = ["1.0"] if step == ["release"] else []
        done = ctatlas(step[0], atlas.place.root, *words, *step[1:], "--quiet")
        assert done.code == 0, (step, done.err)
    masks = read_record(ProvenanceRecord, the_case(atlas).assembled / "provenance.json").masks
    assert {name: mask.source for name, mask in masks.items()} == {
        "liver": "original",
        "aorta": "revised",
        "spleen": "revised",
    }
    assert "not what its files say" not in ctatlas("doctor", atlas.place.root).out
    done = ctatlas("predict", atlas.place.root)
    assert (done.code, "all members in atlas.toml are given" in done.err) == (2, True)


def test_the_person_is_told_what_came_and_how_to_use_it(tree: Path) -> None:
    first, second = listed(tree, Ask()).remarks
    assert first.endswith("add to the members in atlas.toml: given/swinunetr, given/unet, given/average")
    assert second == "1 cases have corrected masks, which become revisions by 'source'"


def test_a_second_time_nothing_is_read_and_later_corrections_come_in(tree: Path, atlas: Atlas) -> None:
    added_to(atlas, tree)
    before = everything_in(atlas.place.cases_folder)
    assert [one.state for one in added_to(atlas, tree)] == ["known"]
    assert everything_in(atlas.place.cases_folder) == before
    write_mask(LIVER, GRID, tree / "04_LiTS" / "liver_0" / "average" / "segmentations" / "aorta_revised.nii.gz")
    (added,) = added_to(atlas, tree)
    assert (added.state, added.reason) == ("labelled", "04_LiTS_liver_0 got its corrected masks")
    place = the_case(atlas)
    assert read_record(RevisionRecord, place.revision(2) / "revision.json").number == 2
    np.testing.assert_array_equal(read_labels(place.revision(2) / "aorta.nii.gz").labels != 0, LIVER)
    assert [one.state for one in added_to(atlas, tree)] == ["known"]


def test_the_assembled_tree_tells_which_masks_were_corrected(tmp_path: Path, atlas: Atlas) -> None:
    case = tmp_path / "8k" / "04_LiTS_liver_0"
    write_scan(case / "ct.nii.gz")
    (case / "segmentations").mkdir()
    write_labels(combined(aorta=CORRECTED, spleen=SPLEEN), GRID, case / "pseudo_label.nii.gz")
    write_labels(combined(aorta=AORTA, spleen=SPLEEN), GRID, case / "pseudo_label_V1.nii.gz")
    for name, mask in {"aorta": CORRECTED, "aorta_V1": AORTA, "spleen": SPLEEN, "celiac_truck": LIVER & False}.items():
        write_mask(mask, GRID, case / "segmentations" / f"{name}.nii.gz")
    (added,) = added_to(atlas, tmp_path / "8k")
    assert added.state == "added", added.reason
    place = the_case(atlas)
    assert list(read_record(RevisionRecord, place.revision(1) / "revision.json").masks) == ["aorta"]
    folder = place.prediction("given/pseudo_label")
    assert set(json.loads((folder / "labels.json").read_text()).values()) == {"aorta", "spleen", "celiac_trunk"}
    np.testing.assert_array_equal(read_labels(folder / "labels.nii.gz").labels == IDS["aorta"], AORTA)


def test_masks_alone_are_a_prediction_too(tree: Path, atlas: Atlas) -> None:
    """The pipeline can be told to leave no label map; where masks overlap the inner structure has the voxel."""
    case = tree / "04_LiTS" / "liver_0"
    for labels in case.rglob("pseudo_label.nii.gz"):
        labels.unlink()
    masks = case / "backbones" / "unet" / "segmentations"
    write_mask(box((9, 11), grid=GRID), GRID, masks / "liver_tumor.nii.gz")
    write_mask(box((8, 20), grid=GRID), GRID, masks / "liver.nii.gz")
    write_mask(LIVER, GRID, masks / "somebodys_thing.nii.gz")
    (added,) = added_to(atlas, tree)
    assert added.state == "added", added.reason
    place = the_case(atlas)
    assert {folder.name for folder in place.predictions()} == {"given__average", "given__swinunetr", "given__unet"}
    folder = place.prediction("given/unet")
    labels = read_labels(folder / "labels.nii.gz").labels
    assert set(json.loads((folder / "labels.json").read_text()).values()) == {"aorta", "spleen", "liver", "liver_tumor"}
    for name, mask in {
        "spleen": SPLEEN,
        "aorta": AORTA & ~box((9, 11), grid=GRID),
        "liver_tumor": box((9, 11), grid=GRID),
        "liver": box((14, 20), grid=GRID),
    }.items():
        np.testing.assert_array_equal(labels == IDS[name], mask, name)
    np.testing.assert_array_equal(read_labels(folder / "probabilities" / "spleen.nii.gz").labels, SPLEEN * 200)
    assert read_record(RevisionRecord, place.revision(1) / "revision.json").reviewed == ("aorta", "spleen")


def test_an_assembled_tree_of_masks_alone_tells_the_same(tmp_path: Path, atlas: Atlas) -> None:
    case = tmp_path / "8k" / "04_LiTS_liver_0"
    write_scan(case / "ct.nii.gz")
    write_numbers(case / "original_label.nii.gz", {"liver": 1})
    (case / "segmentations").mkdir()
    for name, mask in {"aorta": CORRECTED, "aorta_V1": AORTA, "spleen": SPLEEN}.items():
        write_mask(mask, GRID, case / "segmentations" / f"{name}.nii.gz")
    (added,) = added_to(atlas, tmp_path / "8k")
    assert added.state == "added", added.reason
    place = the_case(atlas)
    assert list(read_record(RevisionRecord, place.revision(1) / "revision.json").masks) == ["aorta"]
    labels = read_labels(place.prediction("given/pseudo_label") / "labels.nii.gz").labels
    np.testing.assert_array_equal(labels == IDS["aorta"], AORTA)
    np.testing.assert_array_equal(labels == IDS["spleen"], SPLEEN)


def test_masks_of_segment_are_a_models_and_not_trusted(ctatlas: Terminal, tmp_path: Path, atlas: Atlas) -> None:
    write_scan(tmp_path / "scans" / "one.nii.gz")
    assert ctatlas("segment", tmp_path / "scans" / "one.nii.gz", tmp_path / "out" / "one", "--quiet").code == 0
    write_scan(tmp_path / "out" / "one" / "ct.nii.gz")
    done = ctatlas("add", atlas.place.root, tmp_path / "out")
    assert (done.code, "add to the members in atlas.toml: given/ctatlas_base" in done.err) == (0, True), done.err
    place = the_case(atlas)
    assert not place.original.exists()
    folder = place.prediction("given/ctatlas_base")
    lungs = read_labels(tmp_path / "out" / "one" / "segmentations" / "lung_left.nii.gz").labels != 0
    ids = {name: int(number) for number, name in json.loads((folder / "labels.json").read_text()).items()}
    np.testing.assert_array_equal(read_labels(folder / "labels.nii.gz").labels == ids["lung_left"], lungs)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("average/segmentations/aorta_revised.nii.gz", "lie on another grid"),
        ("backbones/unet/pseudo_label.nii.gz", "lie on another grid"),
        ("backbones/unet/soft_pred/aorta.nii.gz", "lies on another grid"),
    ],
)
def test_what_lies_elsewhere_is_refused(tree: Path, atlas: Atlas, where: str, said: str) -> None:
    moved = GRID.affine.copy()
    moved[2, 3] += 7
    write_mask(AORTA, Grid(GRID.shape, moved), tree / "04_LiTS" / "liver_0" / where)
    (added,) = added_to(atlas, tree)
    assert (added.state, said in added.reason) == ("failed", True), added.reason
    assert list(atlas.cases()) == []


def test_corrections_of_what_is_no_structure_are_said(tree: Path, atlas: Atlas) -> None:
    place = tree / "04_LiTS" / "liver_0" / "average" / "segmentations"
    (place / "aorta_revised.nii.gz").rename(place / "thing_revised.nii.gz")
    (added,) = added_to(atlas, tree)
    assert "no structure is called after are passed over: thing" in added.reason
