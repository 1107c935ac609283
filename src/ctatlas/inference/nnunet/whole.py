"""Whether a result that somebody else left is whole: nnU-Net writes in place, and a killed one leaves half a file."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from ctatlas.errors import ScanError
from ctatlas.models.nnunet import Dataset
from ctatlas.volume import read
from ctatlas.volume.formats.label_map import ids_in, read_label_map


def is_whole(folder: Path, names: Sequence[str], scan: Path, dataset: Dataset) -> bool:
    """Tell whether the files of a case can be read to their ends, lie on its scan, and hold labels of the data set."""
    return all(_is_whole(folder / name, scan, dataset) for name in names)


def _is_whole(path: Path, scan: Path, dataset: Dataset) -> bool:
    try:
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as held:
                return held.testzip() is None
        if path.suffix == ".pkl":
            return path.read_bytes()[-1:] == b"."  # what every pickle ends in
        labels = read_label_map(path)
        on_scan = labels.grid.is_like(read(scan).grid)
        return on_scan and set(ids_in(labels.labels)) <= {0, *dataset.label_values}
    except (OSError, zipfile.BadZipFile, ScanError):
        return False
