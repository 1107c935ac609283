"""The folders that nnU-Net keeps everything in, and where a trained model lies in them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ctatlas.errors import InstallError, ModelError
from ctatlas.models.nnunet.folder import is_nnunet_folder

RESULTS = "nnUNet_results"
_DATASET = re.compile(r"Dataset(\d{3})_.+")
_AT_MOST_NAMED = 8


def kept_in(variable: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that one of nnU-Net's variables names.

    Raises
    ------
    InstallError
        When it is not set, or no folder.
    """
    told = environment.get(variable, "")
    if not told:
        raise InstallError(f"{variable} is not set; export {variable}=FOLDER, where nnU-Net keeps such files")
    if not Path(told).is_dir():
        raise InstallError(f"{variable} is {told}, which is no folder; make it, or set another")
    return Path(told)


def dataset_folder(root: Path, asked: str) -> Path:
    """Find a data set below `root` by its number or its whole name.

    Raises
    ------
    ModelError
        When there is none, or several have the number.
    """
    there = sorted(path for path in root.glob("Dataset*") if path.is_dir() and _DATASET.fullmatch(path.name))
    number = f"Dataset{int(asked):03d}_" if asked.isdecimal() else ""
    found = [path for path in there if path.name == asked or (number and path.name.startswith(number))]
    if len(found) == 1:
        return found[0]
    if found:
        raise ModelError(f"{root}: several data sets have the number {asked}: {_named(found)}; name one")
    raise ModelError(f"{root}: has no data set {asked}; there are: {_named(there)}")


def model_folder(results: Path, asked: str, trainer: str, plans: str, configuration: str) -> Path:
    """Find a trained model below `nnUNet_results`.

    Raises
    ------
    ModelError
        When it is not there; says which there are of the data set.
    """
    dataset = dataset_folder(results, asked)
    folder = dataset / f"{trainer}__{plans}__{configuration}"
    if is_nnunet_folder(folder):
        return folder
    there = sorted(path for path in dataset.glob("*__*__*") if is_nnunet_folder(path))
    raise ModelError(f"{dataset}: has no {folder.name} (-tr, -p and -c); there are: {_named(there)}, as -tr__-p__-c")


def _named(paths: Iterable[Path]) -> str:
    names = [path.name for path in paths]
    more = f" and {len(names) - _AT_MOST_NAMED} more" if len(names) > _AT_MOST_NAMED else ""
    return ", ".join(names[:_AT_MOST_NAMED]) + more if names else "none"
