"""nnU-Net plans and trains on a toy; what it leaves is a model here, and finds what nnU-Net finds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.reference import nnunet_oracle
from tests.support.nnunet_scans import write_scan

pytestmark = pytest.mark.soak

SHAPE = (48, 46, 44)
SPACING = (1.5, 1.5, 1.5)
RAS = np.diag([1.5, 1.5, 1.5, 1.0])
SHORT = Path(__file__).parents[1] / "support" / "nnunet_short"
FOLDER = "nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres"


def toy(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return HU and labels of a ball in air with a liver and a spleen in it, each a ball of its own HU."""
    rng = np.random.default_rng(seed)
    place = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)
    middle = np.array(SHAPE) / 2
    labels = np.zeros(SHAPE, np.uint8)
    for number, (share, radius) in enumerate(((0.33, 9.0), (0.68, 7.0)), start=1):
        centre = middle * (2 * share, 1, 1) + rng.uniform(-2, 2, 3)
        labels[((place - centre) ** 2).sum(-1) < radius**2] = number
    hu = np.choose(labels, [-80, 100, 220]) + rng.normal(0, 20, SHAPE)
    inside = ((place - middle) ** 2).sum(-1) < 21.5**2
    return np.where(inside | (labels > 0), hu, -990).astype(np.int16), labels


def call(*words: object, home: Path) -> None:
    """Run the program in a process of its own, with nnU-Net's folders at home and its training cut short."""
    own = {"PYTHONPATH": os.pathsep.join([str(SHORT), *filter(None, [os.environ.get("PYTHONPATH")])])}
    own |= {name: str(home / name) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    own |= {"nnUNet_compile": "f", "nnUNet_def_n_proc": "1", "OMP_NUM_THREADS": "1"}
    if "train" in words:
        own["nnUNet_n_proc_DA"] = "0"
    said = [str(word) for word in words]
    done = subprocess.run(said, env=os.environ | own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_what_nnunet_trains_finds_here_what_it_finds_there(tmp_path: Path) -> None:
    nnunet_oracle.require_nnunet()
    source, home = tmp_path / "toy", tmp_path / "nnunet"
    for number in range(5):
        hu, labels = toy(number)
        affine = RAS if number % 2 else None  # the source's files don't lie alike; what is made of them does
        write_scan(source / "imagesTr" / f"toy_{number}.nii.gz", hu, SPACING, affine=affine)
        write_scan(source / "labelsTr" / f"toy_{number}.nii.gz", labels, SPACING, affine=affine)
    (source / "labels.json").write_text(json.dumps({"1": "liver", "2": "spleen"}))
    scan = write_scan(tmp_path / "new" / "case_0000.nii.gz", toy(99)[0], SPACING)
    ours = (sys.executable, "-m", "ctatlas")
    labels_of = ("--label-set", source / "labels.json")
    call(*ours, "nnunet", "plan", "--from", source, *labels_of, "-d", 501, "-c", "3d_fullres", "-np", 1, home=home)
    call(*ours, "nnunet", "train", "-d", 501, "-c", "3d_fullres", "-f", 0, "-device", "cpu", home=home)
    model = home / "nnUNet_results" / "Dataset501_Toy" / FOLDER
    assert (model / "fold_0" / "checkpoint_final.pth").is_file()

    trainer = FOLDER.partition("__")[0]
    words = ("-i", scan.parent, "-d", 501, "-c", "3d_fullres", "-f", 0, "-tr", trainer, "-device", "cpu")
    theirs = Path(sys.executable).parent / "nnUNetv2_predict"
    call(theirs, *words, "-o", tmp_path / "theirs", "-npp", 1, "-nps", 1, home=home)
    call(*ours, "nnunet", "predict", *words, "-o", tmp_path / "ours", home=home)
    call(*ours, "segment", scan, tmp_path / "segmented", "--model", model, home=home)

    expected = voxels(tmp_path / "theirs" / "case.nii.gz")
    assert len(np.unique(expected)) > 1, "a model that finds nothing proves nothing"
    assert np.count_nonzero(voxels(tmp_path / "ours" / "case.nii.gz") != expected) <= 1e-4 * expected.size
    for number, name in enumerate(("liver", "spleen"), start=1):
        mask = voxels(tmp_path / "segmented" / "segmentations" / f"{name}.nii.gz")
        assert np.count_nonzero((mask > 0) != (expected == number)) <= 1e-4 * expected.size


def voxels(path: Path) -> np.ndarray:
    return np.asanyarray(nib.load(path).dataobj)
