"""What the command line does, in Python."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

import ctatlas as package
from ctatlas.volume import Volume
from tests.support_command import Terminal


def test_python_gives_the_masks_of_the_command_line(
    ctatlas: Terminal, volume: Volume, scan: Path, model: Path, tmp_path: Path
) -> None:
    ctatlas("segment", scan, tmp_path / "out", "--model", model)
    for source in (scan, str(scan), volume):
        found = package.segment(source, model=model)
        assert set(found.names) == {"liver", "spleen", "body"}
        for name, mask in found.items():
            written = nib.load(tmp_path / "out" / "segmentations" / f"{name}.nii.gz")
            np.testing.assert_array_equal(mask, np.asarray(written.dataobj) == 1)


def test_python_knows_structures_and_label_sets(volume: Volume, model: Path) -> None:
    assert package.segment(volume, model=model, structures=["Spleen"]).names == ("spleen",)
    assert package.segment(volume, model=model, label_set="abdomenatlas-1.0").names == ("liver", "spleen")
