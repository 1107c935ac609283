"""Releases hold what was assembled, say where it is from, and are whole or not there."""

from __future__ import annotations

import csv
import errno
import gzip
import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from ctatlas.anatomy import label_set
from ctatlas.atlas import Atlas
from ctatlas.atlas.records import OriginalRecord, read_record, write_record
from ctatlas.atlas.release import LAYOUTS, ReleaseChoices, make_release, plan_release, release_faults
from ctatlas.errors import AtlasError, OutputError
from tests.atlas.by_hand import GRID, add_prediction, box, everything_in, new_case
from tests.atlas.release.small_atlas import LEFT, LIVER, RIGHT, SPLEEN, assemble, revise, small_atlas, tell


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "atlas"
    small_atlas(folder)
    return folder


@pytest.fixture
def atlas(made_once: Path, tmp_path: Path) -> Atlas:
    """Return an atlas of one's own."""
    return Atlas.open(shutil.copytree(made_once, tmp_path / "atlas"))


def release(atlas: Atlas, version: str = "1.0", *, workers: int = 1, **choices: object) -> Path:
    return make_release(plan_release(atlas, version, ReleaseChoices(**choices)), workers=workers)  # type: ignore[arg-type]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nibabel.load(path).dataobj)  # type: ignore[attr-defined]


def test_the_default_layout_is_that_of_the_published_atlas(atlas: Atlas) -> None:
    folder = release(atlas)
    assert folder == atlas.place.releases / "1.0"
    assert {
        path.relative_to(folder / "BDMAP_00000001").as_posix() for path in (folder / "BDMAP_00000001").rglob("*.gz")
    } == {
        "ct.nii.gz",
        "combined_labels.nii.gz",
        *(f"segmentations/{name}.nii.gz" for name in ("liver", "spleen", "kidney_left", "kidney_right")),
    }
    ids = label_set("abdomenatlas-1.1")
    expected = np.zeros(GRID.shape, np.uint8)
    for name, mask in {"liver": LIVER, "spleen": SPLEEN, "kidney_left": LEFT, "kidney_right": RIGHT}.items():
        expected[mask] = ids.id_of(name)
    found = nibabel.load(folder / "BDMAP_00000002" / "combined_labels.nii.gz")  # type: ignore[attr-defined]
    np.testing.assert_array_equal(np.asarray(found.dataobj), expected)
    np.testing.assert_allclose(found.affine, GRID.affine, atol=1e-4)
    assert found.get_data_dtype() == np.uint8
    assert (folder / "BDMAP_00000002/ct.nii.gz").read_bytes() == atlas.place.case("bbbb").ct.read_bytes()


def test_every_mask_has_its_provenance_and_hash(atlas: Atlas) -> None:
    revise(atlas.place.case("ccc"), "spleen", SPLEEN & (np.arange(9) > 2))
    assemble(atlas)
    folder = release(atlas)
    rows = {(row["id"], row["structure"]): row for row in table(folder / "manifest/masks.csv")}
    assert len(rows) == 4 + 4 + 2
    for row in rows.values():
        assert hashlib.sha256((folder / row["file"]).read_bytes()).hexdigest() == row["sha256"]
        assert int(row["n_voxels"]) == voxels(folder / row["file"]).sum()
        assert float(row["volume_ml"]) == pytest.approx(int(row["n_voxels"]) * GRID.voxel_ml, abs=1e-5)
    asked = [(1, "liver"), (1, "spleen"), (2, "liver"), (3, "spleen")]
    found = [rows[f"BDMAP_0000000{number}", name] for number, name in asked]
    assert [(row["source"], row["detail"]) for row in found] == [
        ("original", "btcv"), ("absent", "btcv"), ("pseudo", "ctatlas/base"), ("revised", "revision 1"),
    ]  # fmt: skip


def test_each_case_says_where_it_is_from(atlas: Atlas) -> None:
    tell(atlas.place.case("ccc"), repairs=("resampled to even slices",), split="train")
    assemble(atlas)
    rows = {row["id"]: row for row in table(release(atlas, content="masks") / "manifest/cases.csv")}
    first = rows["BDMAP_00000001"]
    assert first["dataset"] == "btcv"
    assert first["source_case"] == "img a1"
    assert (first["url"], first["licence"], first["citation"]) == (
        "https://example.org/btcv",
        "CC BY 4.0",
        "Somebody 2015",
    )
    assert first["ct_sha256"] == atlas.record("a1").ct_sha256
    assert first["ct_file"] == ""
    assert rows["BDMAP_00000003"]["repairs"] == "resampled to even slices"
    assert rows["BDMAP_00000003"]["not_known"] == "kidney_left;kidney_right"
    assert not any("secret" in cell for row in rows.values() for cell in row.values())  # the atlas's key of patients


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("content", ["all", "images", "masks"])
def test_every_layout_and_content_is_sound_by_itself_and_by_sha256sum(atlas: Atlas, layout: str, content: str) -> None:
    folder = release(atlas, layout=layout, content=content)
    elsewhere = shutil.copytree(folder, atlas.place.root.parent / "stranger")
    shutil.rmtree(atlas.place.root)
    assert list(release_faults(elsewhere)) == []
    subprocess.run(["sha256sum", "-c", "--quiet", "--strict", "SHA256SUMS"], cwd=elsewhere, check=True)


def test_the_same_state_gives_the_same_bytes(made_once: Path, tmp_path: Path) -> None:
    copies = [Atlas.open(shutil.copytree(made_once, tmp_path / name / "atlas")) for name in ("here", "there")]
    for layout in LAYOUTS:
        for choices in ({}, {"shard_bytes": 3000}):
            version = f"{layout}-{len(choices)}"
            one, other = (
                everything_in(release(atlas, version, workers=workers, layout=layout, **choices))
                for atlas, workers in zip(copies, (1, 2 if layout == "nnunet" and choices else 1), strict=True)
            )
            assert one == other


def test_a_release_is_never_replaced_and_its_files_are_read_only(atlas: Atlas) -> None:
    folder = release(atlas)
    assert {path.stat().st_mode & 0o222 for path in folder.rglob("*") if path.is_file()} == {0}
    with pytest.raises(AtlasError, match="is there already and never changes"):
        release(atlas)
    assert not list(atlas.place.releases.glob(".*"))


def test_nothing_is_shared_with_the_atlas_that_an_edit_could_alter(atlas: Atlas) -> None:
    folder = release(atlas)
    inodes = {path.stat().st_ino for path in atlas.place.cases_folder.rglob("*")}
    assert not inodes & {path.stat().st_ino for path in folder.rglob("*")}


def test_ids_stay_when_cases_come_and_go(atlas: Atlas) -> None:
    release(atlas)
    shutil.rmtree(atlas.place.case("bbbb").folder)
    early = new_case(atlas, "aaaaa")
    add_prediction(early, "ctatlas/base", {"liver": LIVER})
    assemble(atlas)
    rows = table(release(atlas, "1.1") / "manifest/cases.csv")
    assert {row["source_case"]: row["id"] for row in rows} == {
        "img a1": "BDMAP_00000001", "img ccc": "BDMAP_00000003", "aaaaa": "BDMAP_00000004",
    }  # fmt: skip


def test_shards_hold_whole_cases_and_unpack_to_the_same_release(atlas: Atlas, tmp_path: Path) -> None:
    tell(atlas.place.case("a1"), split="test")
    tell(atlas.place.case("bbbb"), split="train")
    tell(atlas.place.case("ccc"), split="train")
    assemble(atlas)
    plain, packed = release(atlas, "plain"), release(atlas, "packed", cases_per_shard=1)
    shards = sorted(path.name for path in (packed / "shards").iterdir())
    assert shards == ["test-00001.tar.gz", "train-00001.tar.gz", "train-00002.tar.gz"]
    for shard in shards:
        with tarfile.open(packed / "shards" / shard) as tar:
            members = tar.getmembers()
            assert len({member.name.split("/")[0] for member in members}) == 1
            assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, 0, "", "")}
            tar.extractall(tmp_path / "unpacked", filter="data")
        assert (packed / "shards" / shard).read_bytes()[3:8] == b"\0\0\0\0\0"  # gzip: no name, no time
    images = {name: content for name, content in everything_in(plain).items() if name.endswith(".nii.gz")}
    assert everything_in(tmp_path / "unpacked") == images


def test_shards_by_size_are_no_larger_than_asked_unless_one_case_is(atlas: Atlas) -> None:
    whole = release(atlas, cases_per_shard=3) / "shards/all-00001.tar.gz"
    with gzip.open(whole) as file:
        n_bytes = len(file.read())
    shards = sorted((release(atlas, "1.1", shard_bytes=n_bytes * 2 // 3) / "shards").iterdir())
    assert len(shards) == 2
    for shard in shards:
        with gzip.open(shard) as file:
            assert len(file.read().rstrip(b"\0")) <= n_bytes * 2 // 3
    assert len(list((release(atlas, "1.2", shard_bytes=1) / "shards").iterdir())) == 3


def test_nnunet_takes_the_structures_that_every_case_tells_about(atlas: Atlas) -> None:
    tell(atlas.place.case("a1"), split="test")
    assemble(atlas)
    folder = release(atlas, layout="nnunet", label_set="totalsegmentator-v2")
    content = json.loads((folder / "Dataset001_Test/dataset.json").read_text())
    assert content["labels"] == {"background": 0, "spleen": 1, "liver": 2}  # TotalSegmentator's order
    assert content["channel_names"] == {"0": "CT"}
    assert (content["numTraining"], content["file_ending"]) == (2, ".nii.gz")
    names = {path.relative_to(folder / "Dataset001_Test").as_posix() for path in folder.rglob("*.nii.gz")}
    assert names == {
        "imagesTs/BDMAP_00000001_0000.nii.gz", "labelsTs/BDMAP_00000001.nii.gz",
        "imagesTr/BDMAP_00000002_0000.nii.gz", "labelsTr/BDMAP_00000002.nii.gz",
        "imagesTr/BDMAP_00000003_0000.nii.gz", "labelsTr/BDMAP_00000003.nii.gz",
    }  # fmt: skip
    labels = voxels(folder / "Dataset001_Test/labelsTr/BDMAP_00000002.nii.gz")
    np.testing.assert_array_equal(labels, 1 * SPLEEN + 2 * LIVER)
    assert "kidney_left" in (folder / "DATASHEET.md").read_text()  # what was left out is said


def test_the_8k_layout_bears_source_names_universal_ids_and_the_original_labels(atlas: Atlas) -> None:
    folder = release(atlas, layout="abdomenatlas-8k")
    case = folder / "btcv_img_a1"
    assert sorted(path.name for path in case.iterdir()) == [
        "ct.nii.gz", "original_label.nii.gz", "pseudo_label.nii.gz", "pseudo_label_V1.nii.gz", "segmentations",
    ]  # fmt: skip
    native, universal = label_set("btcv"), label_set("universal-32")
    liver = LIVER.copy()
    liver[:1] = False
    np.testing.assert_array_equal(voxels(case / "original_label.nii.gz"), liver * native.id_of("liver"))
    assert voxels(case / "pseudo_label.nii.gz")[7, 7, 0] == universal.id_of("kidney_right")
    assert not (folder / "made_img_bbbb/original_label.nii.gz").exists()


def test_the_numbers_of_a_dataset_that_a_file_told_are_kept_where_the_file_is_not(atlas: Atlas) -> None:
    path = atlas.place.case("a1").original / "labels.json"
    numbers = {"label_set": "mine/dataset.json", "native_ids": {"Liver": 7, "spleen": 2}}
    write_record(read_record(OriginalRecord, path).model_copy(update=numbers), path)
    case = release(atlas, layout="abdomenatlas-8k") / "btcv_img_a1"
    np.testing.assert_array_equal(voxels(case / "original_label.nii.gz"), (LIVER & ~box((0, 1))) * 7)


def test_a_union_is_made_where_all_parts_are_known(atlas: Atlas) -> None:
    folder = release(atlas, label_set="abdomenct-1k")  # liver, kidneys in one, spleen, pancreas
    rows = {(row["id"], row["name"]): row for row in table(folder / "manifest/masks.csv")}
    kidneys = rows["BDMAP_00000002", label_set("abdomenct-1k").native_names[2]]
    np.testing.assert_array_equal(voxels(folder / kidneys["file"]), LEFT | RIGHT)
    assert (kidneys["source"], kidneys["structure"]) == ("pseudo", "kidneys")
    assert not [name for case, name in rows if case == "BDMAP_00000003" and "kidney" in name]


def test_cases_that_are_not_assembled_of_what_is_there_are_refused_or_left_out(atlas: Atlas) -> None:
    revise(atlas.place.case("a1"), "kidney_left", RIGHT)
    with pytest.raises(AtlasError, match=r"a1: its masks are older than what they are made of; run 'ctatlas assemble"):
        release(atlas)
    shutil.rmtree(atlas.place.case("ccc").assembled)
    with pytest.raises(AtlasError, match=r"and 1 more cases"):
        release(atlas)
    folder = release(atlas, only_ready=True)
    assert [row["id"] for row in table(folder / "manifest/cases.csv")] == ["BDMAP_00000002"]
    assert "without assembled masks: 2" in (folder / "DATASHEET.md").read_text()
    with pytest.raises(AtlasError, match="ccc: its masks are not assembled"):
        release(atlas, "2.0", cases=("ccc",))


@pytest.mark.parametrize("file", ["ct.nii.gz", "assembled/segmentations/liver.nii.gz"])
def test_a_file_that_is_not_what_its_record_says_stops_the_release(atlas: Atlas, file: str) -> None:
    place = atlas.place.case("bbbb")
    shutil.copyfile(atlas.place.case("a1").folder / file, place.folder / file)
    size = (place.folder / file).stat().st_size
    run = place.assembled / "run.json"
    record = json.loads(run.read_text())
    if file.startswith("assembled"):
        record["files"]["segmentations/liver.nii.gz"] = size
        run.write_text(json.dumps(record))
    with pytest.raises(AtlasError, match=r"bbbb.*is not the .* that was (added|assembled).*nothing was released"):
        release(atlas)
    assert not (atlas.place.releases / "1.0").exists()
    assert "bbbb" in (atlas.place.root / "failures-release.csv").read_text()


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"patient": "secret a1"}, "the same patient is in 2 splits"),
        ({"near_duplicates": ("a1",)}, "look alike and are in two splits"),
    ],
)
def test_a_leak_between_splits_stops_the_release_before_anything_is_written(
    atlas: Atlas, facts: dict[str, object], says: str
) -> None:
    tell(atlas.place.case("a1"), split="train")
    tell(atlas.place.case("bbbb"), split="test", **facts)
    assemble(atlas)
    with pytest.raises(AtlasError, match=says):
        release(atlas)
    assert not atlas.place.releases.exists()


def test_a_copy_of_a_scan_in_another_split_stops_the_release(atlas: Atlas) -> None:
    """Upstream defect 28: copies were told by shape and a voxel count; here by a hash of voxels and geometry."""
    add_prediction(new_case(atlas, "dd"), "ctatlas/base", {"liver": LIVER})  # the noise of a1
    tell(atlas.place.case("a1"), split="train")
    tell(atlas.place.case("dd"), split="train")
    assemble(atlas)
    rows = table(release(atlas) / "manifest/cases.csv")
    assert {row["id"]: row["duplicate_of"] for row in rows}["BDMAP_00000004"] == "BDMAP_00000001"
    tell(atlas.place.case("dd"), split="test")
    with pytest.raises(AtlasError, match="the same scan is in 2 splits"):
        release(atlas, "1.1")


def test_released_scans_lie_where_their_sources_lay(atlas: Atlas) -> None:
    """Upstream defect 27: scans were cropped and kept the old affine, and HU were clipped without a word."""
    folder = release(atlas)
    for case, identity in (("a1", "BDMAP_00000001"), ("bbbb", "BDMAP_00000002")):
        scan = nibabel.load(folder / identity / "ct.nii.gz")  # type: ignore[attr-defined]
        assert scan.shape == GRID.shape
        np.testing.assert_allclose(scan.affine, GRID.affine, atol=1e-4)
        np.testing.assert_array_equal(scan.dataobj, nibabel.load(atlas.place.case(case).ct).dataobj)  # type: ignore[attr-defined]


def test_simpleitk_reads_scan_and_labels_on_one_grid(atlas: Atlas) -> None:
    itk: Any = pytest.importorskip("SimpleITK")
    folder = release(atlas) / "BDMAP_00000002"
    scan = itk.ReadImage(str(folder / "ct.nii.gz"))
    for path in (folder / "combined_labels.nii.gz", *(folder / "segmentations").iterdir()):
        labels = itk.ReadImage(str(path))
        assert labels.GetSize() == scan.GetSize()
        for asked in ("GetSpacing", "GetOrigin", "GetDirection"):
            np.testing.assert_allclose(getattr(labels, asked)(), getattr(scan, asked)(), atol=1e-4)
    found = itk.GetArrayFromImage(itk.ReadImage(str(folder / "segmentations/liver.nii.gz")))
    np.testing.assert_array_equal(found.transpose(2, 1, 0), LIVER)


def test_an_interrupted_release_goes_on_and_ends_in_the_same_bytes(
    atlas: Atlas, made_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("ctatlas.atlas.release.make.write_sums", interrupt)
        with pytest.raises(KeyboardInterrupt):
            release(atlas)
    assert not (atlas.place.releases / "1.0").exists()
    prepared = {
        path: path.stat().st_mtime_ns for path in (atlas.place.releases / ".1.0.partial/cases").rglob("ct.nii.gz")
    }
    assert len(prepared) == 3
    copied = []
    monkeypatch.setattr("ctatlas.atlas.release.case._copy", lambda *words: copied.append(words))
    whole = everything_in(release(atlas))
    assert copied == []  # what was prepared was not prepared again
    monkeypatch.undo()
    assert whole == everything_in(release(Atlas.open(shutil.copytree(made_once, tmp_path / "undisturbed"))))


def test_a_full_disk_is_said_before_it_starts(atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(atlas.place.root)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=10**6))
    with pytest.raises(OutputError, match=r"0\.0 GB are free, the release needs 0\.1 GB; make room"):
        release(atlas)
    assert [path.name for path in atlas.place.releases.iterdir()] == ["ids.csv"]


def test_a_disk_that_fills_up_in_the_middle_is_a_line_and_nothing_is_released(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    with monkeypatch.context() as patched:
        patched.setattr("shutil.copyfile", full)
        with pytest.raises(OutputError, match="can't be copied into a release"):
            release(atlas)
    assert not (atlas.place.releases / "1.0").exists()
    assert list(release_faults(release(atlas))) == []


@pytest.mark.parametrize("version", ["", "../out", "a/b", ".hidden", "1 0", "x" * 51])
def test_a_version_that_is_no_name_is_refused(atlas: Atlas, version: str) -> None:
    with pytest.raises(AtlasError, match="expected letters, digits"):
        release(atlas, version)


def test_what_is_not_there_is_refused_in_a_line(atlas: Atlas) -> None:
    with pytest.raises(AtlasError, match="no layout is called 'nnuet'; near: nnunet"):
        release(atlas, layout="nnuet")
    with pytest.raises(AtlasError, match="has no mask of label set autoorgan-hip in any case"):
        release(atlas, label_set="autoorgan-hip")


def test_without_pyarrow_the_manifest_is_csv_alone(atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctatlas.atlas.release.manifest.can_write_parquet", lambda: False)
    folder = release(atlas)
    assert sorted(path.name for path in (folder / "manifest").iterdir()) == ["cases.csv", "masks.csv"]
    assert list(release_faults(folder)) == []
