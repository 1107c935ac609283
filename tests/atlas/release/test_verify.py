"""A copy that is not what was released, or does not agree with itself, is found out without the atlas."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from ctatlas.atlas.release import ReleaseChoices, make_release, plan_release, release_faults
from ctatlas.atlas.release.sums import SUMS, write_sums
from ctatlas.errors import AtlasError
from ctatlas.volume import Grid, write_labels, write_mask
from tests.atlas.by_hand import GRID
from tests.atlas.release.small_atlas import LIVER, small_atlas

FIRST = "BDMAP_00000002"


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    atlas = small_atlas(tmp_path_factory.mktemp("small") / "atlas")
    for version, choices in {"plain": ReleaseChoices(), "packed": ReleaseChoices(cases_per_shard=2)}.items():
        make_release(plan_release(atlas, version, choices))
    return atlas.place.releases


@pytest.fixture
def copy(releases: Path, tmp_path: Path) -> Path:
    return writable(shutil.copytree(releases / "plain", tmp_path / "copy"))


def writable(folder: Path) -> Path:
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def sealed(folder: Path) -> list[str]:
    """Hash everything anew, as one would who alters a release on purpose, and return what is found."""
    write_sums(folder, {})
    return list(release_faults(folder))


def test_whole_copies_have_no_fault(releases: Path) -> None:
    assert list(release_faults(releases / "plain")) == []
    assert list(release_faults(releases / "packed")) == []


def alter(folder: Path) -> None:
    path = folder / FIRST / "ct.nii.gz"
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (alter, f"{FIRST}/ct.nii.gz: is not the file that was released (another SHA-256)"),
        (
            lambda f: (f / FIRST / "segmentations/liver.nii.gz").unlink(),
            f"{FIRST}/segmentations/liver.nii.gz: is missing",
        ),
        (lambda f: (f / "notes.txt").write_text("x"), f"notes.txt: is not listed in {SUMS}"),
    ],
)
def test_an_altered_missing_or_added_file_is_named(copy: Path, damage: Callable[[Path], object], fault: str) -> None:
    damage(copy)
    assert fault in list(release_faults(copy))
    assert fault in list(release_faults(copy, deep=False))


def other_voxels(folder: Path) -> None:
    write_mask(np.roll(LIVER, 1, 1), GRID, folder / FIRST / "segmentations/liver.nii.gz")


def fewer_voxels(folder: Path) -> None:
    write_mask(LIVER & (np.arange(9) > 0), GRID, folder / FIRST / "segmentations/liver.nii.gz")


def elsewhere(folder: Path) -> None:
    affine = GRID.affine.copy()
    affine[:3, 3] += 5.0
    write_mask(LIVER, Grid(GRID.shape, affine), folder / FIRST / "segmentations/liver.nii.gz")


def strange_label(folder: Path) -> None:
    labels = np.asfortranarray(nibabel.load(folder / FIRST / "combined_labels.nii.gz").dataobj)  # type: ignore[attr-defined]
    write_labels(np.where(labels == 0, np.uint8(77), labels), GRID, folder / FIRST / "combined_labels.nii.gz")


def strange_value(folder: Path) -> None:
    write_labels(LIVER.astype(np.uint8) * 2, GRID, folder / FIRST / "segmentations/liver.nii.gz")


def text_in_header(folder: Path) -> None:
    path = folder / FIRST / "segmentations/liver.nii.gz"
    image = nibabel.load(path)  # type: ignore[attr-defined]
    image = nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)  # type: ignore[no-untyped-call]
    image.header["descrip"] = b"Mueller^Hans"
    nibabel.save(image, path)  # type: ignore[attr-defined]


def extension(folder: Path) -> None:
    path = folder / FIRST / "ct.nii.gz"
    image = nibabel.load(path)  # type: ignore[attr-defined]
    image = nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)  # type: ignore[no-untyped-call]
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"Mueller^Hans"))  # type: ignore[no-untyped-call]
    nibabel.save(image, path)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (other_voxels, "combined_labels.nii.gz: differs from the single masks in"),
        (fewer_voxels, "liver.nii.gz: has"),
        (elsewhere, "liver.nii.gz: lies on another grid"),
        (strange_label, "combined_labels.nii.gz: holds label 77, which no structure of the release has"),
        (strange_value, "liver.nii.gz: holds the value 2; expected 0 and 1"),
        (text_in_header, "liver.nii.gz: its header has text in descrip"),
        (extension, "ct.nii.gz: has an extension behind its header"),
        (lambda f: (f / FIRST / "ct.nii.gz").write_bytes(b"none"), "ct.nii.gz: is no NIfTI file"),
    ],
)
def test_images_that_do_not_agree_are_found_in_a_copy_whose_hashes_are_right(
    copy: Path, damage: Callable[[Path], object], fault: str
) -> None:
    damage(copy)
    assert any(line.startswith(f"{FIRST}: {fault}") for line in sealed(copy))


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("release.json", '"cases": 3', '"cases": 4', "release.json: says 4 cases, the manifest has 3"),
        ("release.json", '"pseudo": 8', '"pseudo": 9', "release.json: counts other sources of masks"),
        ("manifest/masks.csv", ",absent,", ",perhaps,", "its source 'perhaps' is none of"),
        ("manifest/masks.csv", f"{FIRST},liver", "BDMAP_00000099,liver", "BDMAP_00000099: liver: belongs to no case"),
        ("manifest/cases.csv", f"{FIRST},{FIRST},,", f"{FIRST},{FIRST},exam,", "split 'exam' is none"),
    ],
)
def test_tables_and_counts_that_do_not_agree_are_found(copy: Path, file: str, old: str, new: str, fault: str) -> None:
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new))
    assert any(fault in line for line in sealed(copy))


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/../../b", "C:\\windows"])
def test_a_manifest_that_points_outside_is_refused(copy: Path, path: str) -> None:
    table = copy / "manifest/cases.csv"
    table.write_text(table.read_text().replace(f"{FIRST}/ct.nii.gz", path))
    with pytest.raises(AtlasError, match=r"cases.csv: line 3: ct_file: .* does not lie in the release"):
        list(release_faults(copy))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[" * 100_000, '{"format": 2}'])
def test_what_is_no_release_is_refused_in_a_line(copy: Path, text: str) -> None:
    (copy / "release.json").write_text(text)
    with pytest.raises(AtlasError, match=r"release\.json"):
        list(release_faults(copy))


def test_a_folder_without_a_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AtlasError, match="is no release"):
        list(release_faults(tmp_path))


def test_a_hostile_shard_writes_nothing_outside_and_is_found_out(releases: Path, tmp_path: Path) -> None:
    copy = writable(shutil.copytree(releases / "packed", tmp_path / "deep" / "copy"))
    shard = copy / "shards/all-00001.tar.gz"
    with tarfile.open(shard) as tar:
        tar.extractall(tmp_path / "content", filter="data")
    with tarfile.open(shard, "w:gz") as tar:
        tar.add(tmp_path / "content", ".", recursive=False)
        for path in sorted((tmp_path / "content").rglob("*.gz")):
            tar.add(path, path.relative_to(tmp_path / "content").as_posix())
        tar.add(__file__, "../../evil.txt")
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    faults = sealed(copy)
    assert any("../../evil.txt: is in no row of the manifest" in fault for fault in faults)
    assert any("link: is in no row of the manifest" in fault for fault in faults)
    assert not list(tmp_path.rglob("evil.txt"))


def test_a_damaged_shard_is_a_line(releases: Path, tmp_path: Path) -> None:
    copy = writable(shutil.copytree(releases / "packed", tmp_path / "copy"))
    shard = copy / "shards/all-00001.tar.gz"
    shard.write_bytes(shard.read_bytes()[:-100])
    assert any("can't be unpacked" in fault or "is missing" in fault for fault in sealed(copy))


def test_croissant_of_another_release_is_found(copy: Path) -> None:
    content = json.loads((copy / "croissant.json").read_text())
    content["distribution"][0]["sha256"] = "0" * 64
    (copy / "croissant.json").write_text(json.dumps(content))
    assert any("croissant.json: has another hash" in fault for fault in sealed(copy))
