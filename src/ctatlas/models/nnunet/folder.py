"""A model folder of nnU-Net: `<Trainer>__<Plans>__<Configuration>/` with plans, dataset and folds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ctatlas.errors import ModelError
from ctatlas.models.nnunet.dataset import DATASET_FILE, Dataset, read_dataset
from ctatlas.models.nnunet.plans import PLANS_FILE, Configuration, Plans, read_plans

FINAL = "checkpoint_final.pth"
ONNX_FILE = "model.onnx"
ALL = "all"
Fold = int | str
_ON_THE_WAY = {
    "checkpoint_best.pth": "the best so far of a training that has not ended",
    "checkpoint_latest.pth": "the latest of a training that has not ended",
}


@dataclass(frozen=True, slots=True)
class NnunetFolder:
    """What lies in a model folder, read but for the weights.

    Attributes
    ----------
    path : Path
    trainer, configuration : str
        From the folder's name; where it bears another, the trainer is empty and the configuration the only one there,
        or `3d_fullres`.
    plans : Plans
    dataset : Dataset
    """

    path: Path
    trainer: str
    configuration: str
    plans: Plans
    dataset: Dataset

    @property
    def chosen(self) -> Configuration:
        """Return the configuration that the weights were trained with; raises as `Plans.configuration` does."""
        return self.plans.configuration(self.configuration)

    @property
    def onnx(self) -> Path | None:
        """Return the exported network, where there are no folds."""
        if any(self.path.glob("fold_*/*.pth")):
            return None
        return next(iter(sorted(self.path.glob("*.onnx"), key=lambda path: (path.name != ONNX_FILE, path.name))), None)

    @property
    def weights_name(self) -> str:
        """Return the name of the file of weights, of which every fold has one."""
        exported = self.onnx
        return exported.name if exported is not None else FINAL

    def weight_files(self) -> tuple[Path, ...]:
        """Return the files of weights that are used unless others are asked for; raises as `folds` does."""
        exported = self.onnx
        return (exported,) if exported is not None else tuple(self.checkpoint(fold) for fold in self.folds())

    @property
    def dataset_name(self) -> str:
        """Return `Dataset123_Name`, from the plans or the folder above."""
        return self.plans.dataset_name or self.path.resolve().parent.name

    def folds(self, checkpoint: str = FINAL) -> tuple[Fold, ...]:
        """Return the folds whose checkpoint is there; the one of all cases only where it is the only one.

        Raises
        ------
        ModelError
            When there is none; says what is there instead.
        """
        numbered = sorted(
            int(path.parent.name.removeprefix("fold_"))
            for path in self.path.glob(f"fold_*/{checkpoint}")
            if path.parent.name.removeprefix("fold_").isdecimal()
        )
        if numbered:
            return tuple(numbered)
        if (self.path / f"fold_{ALL}" / checkpoint).is_file():
            return (ALL,)
        raise ModelError(f"{self.path}: no fold has a {checkpoint}; {self._instead()}")

    def checkpoint(self, fold: Fold, checkpoint: str = FINAL) -> Path:
        """Return the file of one fold's weights.

        Raises
        ------
        ModelError
            When it is not there; says what is.
        """
        path = self.path / f"fold_{fold}" / checkpoint
        if not path.is_file():
            raise ModelError(f"{self.path}: fold {fold} has no {checkpoint}; {self._instead()}")
        return path

    def _instead(self) -> str:
        found = sorted(path.relative_to(self.path) for path in self.path.glob("fold_*/*.pth"))
        if not found:
            return "there are no checkpoints (fold_0/checkpoint_final.pth is expected)"
        notes = [f"{path} ({_ON_THE_WAY[path.name]})" if path.name in _ON_THE_WAY else str(path) for path in found[:6]]
        return f"there are {', '.join(notes)}: name the fold and the checkpoint to use one"


def is_nnunet_folder(path: Path) -> bool:
    """Tell whether a folder holds plans and dataset of nnU-Net."""
    return (path / PLANS_FILE).is_file() and (path / DATASET_FILE).is_file()


def model_folders(path: Path) -> tuple[Path, ...]:
    """Return the model folders at a path: itself, or those in a `DatasetNNN_Name/`."""
    if is_nnunet_folder(path):
        return (path,)
    return tuple(sorted(each for each in path.glob("*__*__*") if is_nnunet_folder(each)))


def open_folder(path: Path, configuration: str | None = None) -> NnunetFolder:
    """Read plans and dataset of a model folder, or of the only one in a `DatasetNNN_Name/`.

    Parameters
    ----------
    path : Path
    configuration : str, optional
        Which one to take; default: the one in the folder's name.

    Raises
    ------
    ModelError
        When there is no model folder, or more than one, or its files are broken.
    """
    found = model_folders(path)
    if configuration and len(found) > 1:
        found = tuple(each for each in found if each.name.endswith(f"__{configuration}")) or found
    if not found:
        raise ModelError(
            f"{path}: no model folder of nnU-Net: expected {PLANS_FILE} and {DATASET_FILE} in it "
            "(…/DatasetNNN_Name/<Trainer>__<Plans>__<Configuration>)"
        )
    if len(found) > 1:
        raise ModelError(f"{path}: holds several models, name one: {', '.join(each.name for each in found)}")
    (folder,) = found
    plans = read_plans(folder / PLANS_FILE)
    dataset = read_dataset(folder / DATASET_FILE)
    trainer, _, named = folder.name.rpartition("__")
    known = [*plans.configurations, *plans.unusable]
    chosen = configuration or (named if named in known else known[0] if len(known) == 1 else "3d_fullres")
    return NnunetFolder(folder, trainer.partition("__")[0], chosen, plans, dataset)
