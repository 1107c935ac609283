"""A folder of model.onnx, plans.json and dataset.json, as plug-ins take them."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import torch

from ctatlas.models.nnunet import load_networks, open_folder
from tests.support.nnunet_folders import Folder


def export_folder(folder: Path, kind: Folder, target: Path) -> Path:
    """Export fold 0 with its window's size fixed, and put it beside the two JSON files."""
    target.mkdir()
    for name in ("plans.json", "dataset.json"):
        shutil.copyfile(folder / name, target / name)
    network = load_networks(open_folder(folder), (0,)).networks[0].network  # type: ignore[attr-defined]
    window = torch.zeros(1, len(kind.channels), *kind.patch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (window,), str(target / "model.onnx"), input_names=["input"], output_names=["output"], dynamo=False
        )
    return target
