"""What the generator writes is what the package itself takes, strictly, and what it finds is worth comparing."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.reference import nnunet_oracle
from tests.support.nnunet_folders import Folder, write_folder
from tests.support.nnunet_scans import noisy_scan, write_scan

FOLDERS = {
    "plain": Folder(),
    "residual": Folder(network="residual", blocks=(1, 3, 2)),
    "flat": Folder(configuration="2d", patch=(32, 32), spacing=(1.2, 1.2)),
    "old plans": Folder(old_plans=True),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_the_package_loads_a_folder_and_finds_all_classes(kind: str, tmp_path: Path) -> None:
    nnunet_oracle.require_nnunet()
    scan = write_scan(tmp_path / "in" / "case_0000.nii.gz", noisy_scan((48, 46, 44)), (1.0, 1.0, 1.0))
    folder = write_folder(tmp_path, FOLDERS[kind])

    nnunet_oracle.predict(folder, [scan], tmp_path / "case")

    labels = np.asanyarray(nib.load(tmp_path / "case.nii.gz").dataobj)
    assert np.unique(labels).tolist() == [0, 1, 2, 3]
