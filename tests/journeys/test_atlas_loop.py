"""From folders of scans to a release that a stranger can load: one command a step."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctatlas.anatomy import label_set
from ctatlas.volume import read, write_labels, write_volume
from tests.support.atlases import coarse_phantom, native_labels
from tests.support_command import Terminal

LABELS = label_set("abdomenatlas-1.1").labels
TORSOS = ("lidc-0001_ct_1p5mm.nii.gz", "ts-example_ct.nii.gz", "nsclc-r01-001_ct_2mm.nii.gz")


def phantoms(folder: Path, n: int, *, labelled: bool) -> Path:
    """Write phantoms, with the labels of BTCV in its own numbers or without any."""
    (folder / "images").mkdir(parents=True)
    for number in range(n):
        phantom = coarse_phantom(number if labelled else 100 + number)
        name = f"{folder.name}_{number:02d}.nii.gz"
        write_volume(phantom.volume, folder / "images" / name)
        if labelled:
            (folder / "labels").mkdir(exist_ok=True)
            write_labels(native_labels("btcv", phantom.truth), phantom.truth.grid, folder / "labels" / name)
    return folder


def with_members(atlas: Path, *members: str) -> None:
    """Let a person edit `atlas.toml`."""
    toml = atlas / "atlas.toml"
    lines = toml.read_text(encoding="utf-8").splitlines()
    listed = f"members = {json.dumps(list(members))}"
    toml.write_text("\n".join(listed if line.startswith("members") else line for line in lines) + "\n")


def draw_a_ball(package: Path, structure: str) -> None:
    """Annotate: put a ball of 20 mm amid the scan into a structure, in a tool that knows nothing of ctatlas."""
    mask = nib.load(package / "segmentations" / f"{structure}.nii.gz")
    at = np.stack(np.indices(mask.shape), axis=-1)
    way_mm = np.linalg.norm((at - np.array(mask.shape) / 2) @ mask.affine[:3, :3].T, axis=-1)
    values = np.asarray(mask.dataobj) | (way_mm < 20)
    edited = nib.Nifti1Image(values.astype(np.uint8), mask.affine)
    edited.to_filename(package / "segmentations" / f"{structure}_revised.nii.gz")


def test_the_loop_from_folders_to_a_release(ctatlas: Terminal, model: Path, tmp_path: Path) -> None:
    sources = [phantoms(tmp_path / "btcv", 2, labelled=True), phantoms(tmp_path / "more", 1, labelled=False)]
    go_through(ctatlas, tmp_path, sources, {"test/torso": str(model), "test/torso+shift": f"{model}+shift"}, 3)


@pytest.mark.slow
def test_twelve_phantoms_become_a_release(ctatlas: Terminal, tmp_path: Path) -> None:
    sources = [phantoms(tmp_path / "btcv", 4, labelled=True), phantoms(tmp_path / "more", 8, labelled=False)]
    go_through(ctatlas, tmp_path, sources, dict.fromkeys(("ctatlas/base", "ctatlas/base+shift")), 12)


@pytest.mark.slow
def test_phantoms_and_real_torsos_become_a_release(ctatlas: Terminal, shared_data: Path, tmp_path: Path) -> None:
    sources = [phantoms(tmp_path / "btcv", 12, labelled=True), tmp_path / "torsos"]
    sources[1].mkdir()
    for name in TORSOS:
        (sources[1] / name).write_bytes((shared_data / "torso_ct" / name).read_bytes())
    go_through(ctatlas, tmp_path, sources, {"ctatlas/base": None}, 12 + len(TORSOS))


def go_through(
    ctatlas: Terminal, folder: Path, sources: list[Path], members: dict[str, str | None], n_cases: int
) -> None:
    """Go from folders to a release, one command a step, and look at what a stranger gets."""
    atlas, packages = folder / "atlas", folder / "packages"
    key = folder / "key"

    def call(*words: object) -> None:
        done = ctatlas(*words)
        assert done.code == 0, (words, done.err)

    call("init", atlas, "--licence", "CC BY 4.0")
    with_members(atlas, *members)
    call("add", atlas, sources[0], "--label-set", "btcv", "--key", key, "--licence", "CC BY 4.0", "--quiet")
    call("add", atlas, sources[1], "--key", key, "--licence", "CC BY 3.0", "--quiet")
    models = [word for model in members.values() if model for word in ("--member", model)]
    call("predict", atlas, *models, "--quiet")
    call("attend", atlas, "--quiet")
    call("check", atlas, "--quiet")
    status = ctatlas("status", atlas, "--json").json
    assert sum(status["cases"].values()) == n_cases
    assert {step: status["steps"][step] for step in ("predict", "check", "attend")} == dict.fromkeys(
        ("predict", "check", "attend"), n_cases
    )
    case = status["look_first"][0]["case"]
    call("revise", "export", atlas, case, "--to", packages, "--quiet")
    came_with_it = {path.name for path in (atlas / "cases" / case / "original").glob("*.nii.gz")}  # and wins
    predicted = {path.name for path in (packages / case / "segmentations").iterdir()} - came_with_it
    draw_a_ball(packages / case, min(predicted).removesuffix(".nii.gz"))
    call("revise", "import", atlas, packages / case, "--author", "ann", "--minutes", "12", "--quiet")
    call("assemble", atlas, "--quiet")
    call("release", atlas, "1.0", "--quiet")
    a_stranger_loads(atlas / "releases" / "1.0", n_cases)
    again = ctatlas("status", atlas, "--json").json
    assert again["revisions"] == {"cases": 1, "n": 1, "minutes": 12.0}
    for step in ("predict", "check", "attend", "assemble"):
        options = models if step == "predict" else []
        states = {each["state"] for each in ctatlas(step, atlas, *options, "--json").json["cases"]}
        assert states == {"there"} or step in ("check", "attend"), step  # those look at what is new since


def a_stranger_loads(release: Path, n_cases: int) -> None:
    """Know nothing but the release: prove the hashes, open every image, compare grids, numbers and masks."""
    sums = [line.split(maxsplit=1) for line in (release / "SHA256SUMS").read_text().splitlines()]
    for sha256, name in sums:
        assert hashlib.sha256((release / name.lstrip("*")).read_bytes()).hexdigest() == sha256
    there = {path.relative_to(release).as_posix() for path in release.rglob("*") if path.is_file()}
    assert there - {name.lstrip("*") for _, name in sums} == {"SHA256SUMS"}

    cases = sorted(path.parent for path in release.rglob("ct.nii.gz"))
    assert len(cases) == n_cases
    numbers = {name: number for number, name in label_set("abdomenatlas-1.1").native_names.items()}
    for case in cases:
        scan, combined = nib.load(case / "ct.nii.gz"), nib.load(case / "combined_labels.nii.gz")
        labels = np.asarray(combined.dataobj)
        assert labels.dtype == np.uint8
        assert set(np.unique(labels)) <= {0, *LABELS}
        for path in (case / "segmentations").iterdir():
            mask = nib.load(path)
            assert mask.shape == scan.shape
            np.testing.assert_allclose(mask.affine, scan.affine, atol=1e-4)
            values = np.asarray(mask.dataobj)
            assert set(np.unique(values)) <= {0, 1}
            number = numbers[path.name.removesuffix(".nii.gz")]
            assert not (values[labels == number] == 0).any()
        np.testing.assert_allclose(combined.affine, scan.affine, atol=1e-4)
    (manifest,) = release.glob("**/masks.csv")
    rows = list(csv.DictReader(manifest.open(encoding="utf-8")))
    assert {row["source"] for row in rows} >= {"original", "pseudo", "revised"}
    assert read(cases[0] / "ct.nii.gz").grid.n_voxels > 0
