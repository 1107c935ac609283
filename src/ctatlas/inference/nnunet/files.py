"""One case of nnU-Net from files to files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.atomic import whole_file
from ctatlas.hashing import sha256_file
from ctatlas.inference.nnunet.cases import CaseFiles
from ctatlas.inference.nnunet.devices import on_device
from ctatlas.inference.nnunet.export import Restored, export_labels
from ctatlas.inference.nnunet.images import read_case, write_case
from ctatlas.inference.nnunet.logits import Windowing, predict_logits
from ctatlas.inference.nnunet.prepare import prepare
from ctatlas.inference.nnunet.probabilities import probabilities, write_probabilities
from ctatlas.models.nnunet import FINAL, Fold, NnunetFolder, NnunetNetworks, load_networks, open_folder
from ctatlas.models.nnunet.dataset import DATASET_FILE
from ctatlas.models.nnunet.plans import PLANS_FILE

if TYPE_CHECKING:
    from ctatlas.progress import Progress


@dataclass(frozen=True, slots=True)
class Trained:
    """Which networks predict, and on what.

    Attributes
    ----------
    path : Path
        A model folder.
    folds : tuple of Fold
        None: those that are there.
    checkpoint : str
    device : str
        Of torch: `cpu`, `cuda` or `mps`.
    """

    path: Path
    folds: tuple[Fold, ...] = ()
    checkpoint: str = FINAL
    device: str = "cpu"

    def open(self) -> NnunetFolder:
        """Read plans and data set."""
        return open_folder(self.path)

    def hashes(self) -> dict[str, str]:
        """Hash the files that decide what comes out, by their place in the folder.

        Raises
        ------
        ModelError
            When one of them is not there.
        """
        folder = self.open()
        weights = [folder.onnx] if folder.onnx else []
        if not weights:
            folds = self.folds or folder.folds(self.checkpoint)
            weights = [folder.checkpoint(fold, self.checkpoint) for fold in folds]
        files = [folder.path / PLANS_FILE, folder.path / DATASET_FILE, *weights]
        return {path.relative_to(folder.path).as_posix(): sha256_file(path) for path in files}


def made_of(name: str, ending: str, *, save_probabilities: bool) -> tuple[str, ...]:
    """Return the names of the files that a case gives."""
    more = (f"{name}.npz", f"{name}.pkl") if save_probabilities else ()
    return (f"{name}{ending}", *more)


def predict_files(
    out: Path, progress: Progress, *, files: CaseFiles, trained: Trained, how: Windowing, save_probabilities: bool
) -> dict[str, object]:
    """Predict one case and write what `made_of` says to `out`.

    Returns
    -------
    dict
        `labels`: how many voxels each label has, by its name.

    Raises
    ------
    ScanError, ModelError, OutputError
    """
    networks = _loaded(trained)
    folder = networks.folder
    reader = folder.plans.image_reader_writer
    progress.stage("read", 1)
    case = read_case(files, reader)
    prepared = prepare(case.image, case.spacing, folder, case.previous)
    logits = predict_logits(prepared.inputs, networks, how, progress=progress)
    progress.stage("export", 1)
    restored = Restored(logits, prepared.way, folder.chosen)
    labels = export_labels(restored, folder.dataset)
    write_case(labels, case, out / f"{files.name}{folder.dataset.file_ending}")
    if save_probabilities:
        found = probabilities(restored, folder.dataset)
        write_probabilities(found, case, prepared.way, out / files.name, nibabel=reader.startswith("Nibabel"))
    progress.advance()
    return {"labels": _counted(labels, folder.dataset.labels)}


def write_beside(out: Path, folder: NnunetFolder, arguments: Mapping[str, object]) -> None:
    """Write what nnU-Net's other commands look for in a folder of predictions: plans, data set, and how it was made."""
    for name in (PLANS_FILE, DATASET_FILE):
        with whole_file(out / name) as file:
            file.write((folder.path / name).read_bytes())
    with whole_file(out / "predict_from_raw_data_args.json") as file:
        file.write((json.dumps(arguments, indent=1) + "\n").encode())


@lru_cache(maxsize=1)
def _loaded(trained: Trained) -> NnunetNetworks:
    """Load networks once for many cases."""
    if trained.device == "cpu":
        return load_networks(trained.open(), trained.folds, trained.checkpoint)
    return on_device(load_networks(trained.open(), trained.folds, trained.checkpoint, "torch"), trained.device)


def _counted(labels: np.ndarray, names: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Count the voxels of each label; those of a region are all that it holds."""
    counts = np.bincount(labels.ravel(), minlength=2)
    return {name: int(sum(counts[value] for value in values if value < len(counts))) for name, values in names.items()}
