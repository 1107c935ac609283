"""nnU-Net's own prediction, where the package is installed: what ours is compared with."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest

THREADS = 1  # results depend on it in the last bits, which half accumulators turn into single voxels


_SETTINGS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")


def require_nnunet() -> None:
    """Skip where nnU-Net is not installed."""
    missing = [name for name in _SETTINGS if name not in os.environ]
    os.environ.update(dict.fromkeys(missing, os.devnull))  # it prints a paragraph about each that is not there
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pytest.importorskip("nnunetv2.paths", reason="no nnunetv2: pip install --no-deps -r tests/nnunetv2.txt")
    finally:
        for name in missing:
            del os.environ[name]


def predict(
    folder: Path,
    case: Sequence[Path],
    out: Path,
    *,
    folds: Sequence[int | str] = (0,),
    mirroring: bool = True,
    step_size: float = 0.5,
    save_probabilities: bool = False,
    previous: Path | None = None,
) -> None:
    """Predict one case, the files of its channels, in this process.

    `out` names the result without its ending, `previous` the labels of the former stage of a cascade.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        before = torch.get_num_threads()
        torch.set_num_threads(THREADS)
        try:
            predictor = nnUNetPredictor(
                tile_step_size=step_size,
                use_mirroring=mirroring,
                perform_everything_on_device=False,
                device=torch.device("cpu"),
                verbose=False,
                allow_tqdm=False,
            )
            predictor.initialize_from_trained_model_folder(str(folder), tuple(folds), "checkpoint_final.pth")
            reader = predictor.plans_manager.image_reader_writer_class()
            image, facts = reader.read_images([str(path) for path in case])
            former = None if previous is None else reader.read_seg(str(previous))[0]
            predictor.predict_single_npy_array(image, facts, former, str(out), save_probabilities)
        finally:
            torch.set_num_threads(before)
