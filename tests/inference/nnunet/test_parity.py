"""Our prediction and nnU-Net's own on the same folders: the same labels, voxel by voxel."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctatlas.inference.nnunet import Windowing, predict_nnunet
from tests.reference import nnunet_oracle
from tests.support.nnunet_folders import Folder, write_folder, write_folders
from tests.support.nnunet_scans import noisy_scan, write_scan
from tests.support.nnunet_settings import SETTINGS, Setting

AT_MOST = 1e-4  # share of voxels that may differ


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(nnunet_oracle.THREADS)


@pytest.mark.parametrize("name", SETTINGS)
def test_labels_are_those_of_nnunet(name: str, tmp_path: Path) -> None:
    nnunet_oracle.require_nnunet()
    setting = SETTINGS[name]
    folder = write_folder(tmp_path, setting.folder)
    files = scans(tmp_path / "in", setting)
    nnunet_oracle.predict(
        folder, files, tmp_path / "theirs", folds=setting.folds, step_size=setting.step, mirroring=setting.mirroring
    )
    theirs = labels_in(tmp_path / "theirs.nii.gz")

    image = np.stack([np.asarray(nib.load(file).dataobj, np.float32).T for file in files])
    how = Windowing(step=setting.step, mirroring=setting.mirroring)
    ours = predict_nnunet(image, setting.spacing[::-1], folder, folds=setting.folds, how=how)

    assert len(np.unique(theirs)) == n_labels(setting.folder), "a class that never wins proves nothing"
    assert ours.shape == theirs.shape
    assert np.count_nonzero(ours != theirs) <= AT_MOST * theirs.size


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 4.0)], ids=["cubes", "thick slices"])
def test_a_cascade_is_that_of_nnunet(spacing: tuple[float, float, float], tmp_path: Path) -> None:
    nnunet_oracle.require_nnunet()
    lowres = Folder(configuration="3d_lowres", spacing=(2.5, 2.5, 2.5), patch=(16, 16, 16))
    fullres = Folder(configuration="3d_cascade_fullres", previous_stage="3d_lowres", seed=5)
    first, second = write_folders(tmp_path, [lowres, fullres])
    files = scans(tmp_path / "in", Setting(lowres, spacing=spacing))
    nnunet_oracle.predict(first, files, tmp_path / "lowres")
    nnunet_oracle.predict(second, files, tmp_path / "theirs", previous=tmp_path / "lowres.nii.gz")
    theirs = labels_in(tmp_path / "theirs.nii.gz")

    image = np.stack([np.asarray(nib.load(file).dataobj, np.float32).T for file in files])
    stage = predict_nnunet(image, spacing[::-1], first)
    ours = predict_nnunet(image, spacing[::-1], second, previous=stage)

    assert len(np.unique(theirs)) == 4
    assert np.count_nonzero(ours != theirs) <= AT_MOST * theirs.size


def scans(folder: Path, setting: Setting) -> list[Path]:
    """Write one file a channel, as nnU-Net names them."""
    return [
        write_scan(folder / f"case_{channel:04d}.nii.gz", noisy_scan(setting.shape, seed=channel), setting.spacing)
        for channel in range(len(setting.folder.channels))
    ]


def n_labels(folder: Folder) -> int:
    """Count the labels that can be predicted, background among them."""
    return len(folder.foreground) + 1


def labels_in(path: Path) -> np.ndarray:
    """Read labels in nnU-Net's order of axes."""
    return np.asanyarray(nib.load(path).dataobj).T
