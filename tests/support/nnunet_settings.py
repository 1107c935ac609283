"""The settings in which our prediction is compared with nnU-Net's own: what public model folders differ in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.nnunet_folders import RESAMPLE, Folder

ANISOTROPIC = ((1, 1, 1), (1, 2, 2), (2, 2, 2))
SEPARATE_AWHILE = ((1, 3, 3), (3, 3, 3), (3, 3, 3))
REGIONS = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "inner": 3}


@dataclass(frozen=True)
class Setting:
    """A model folder, a scan for it, and how to predict.

    Attributes
    ----------
    shape, spacing
        Of the scan, along i, j, k.
    folds
        Those to predict with.
    """

    folder: Folder
    shape: tuple[int, int, int] = (45, 42, 38)
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    folds: Sequence[int | str] = (0,)
    step: float = 0.5
    mirroring: bool = True


def _thick(**more: object) -> Folder:
    """Return a model of thick slices."""
    return Folder(spacing=(5.0, 1.2, 1.2), patch=(8, 32, 32), strides=ANISOTROPIC, kernels=SEPARATE_AWHILE, **more)  # type: ignore[arg-type]


SETTINGS = {
    "isotropic, resampled": Setting(Folder()),
    "isotropic, as it is": Setting(Folder(spacing=(1.0, 1.0, 1.0))),
    "finer than the scan": Setting(Folder(spacing=(0.8, 0.8, 0.8)), shape=(37, 35, 33)),
    "residual encoder": Setting(Folder(network="residual", blocks=(1, 3, 2))),
    "residual encoder, four stages' worth of blocks": Setting(Folder(network="residual", blocks=(2, 1, 4), seed=3)),
    "thick slices": Setting(_thick(), shape=(64, 60, 14), spacing=(1.1, 1.1, 5.0)),
    "thick slices from thin ones": Setting(_thick(), shape=(60, 60, 60), spacing=(1.0, 1.0, 1.0)),
    "thin slices from thick ones": Setting(Folder(), shape=(50, 50, 15), spacing=(1.0, 1.0, 4.0)),
    "thick along the first axis of the file": Setting(
        Folder(spacing=(4.0, 1.2, 1.2), patch=(8, 32, 32), strides=ANISOTROPIC, transpose=(2, 0, 1)),
        shape=(14, 60, 58),
        spacing=(4.5, 1.0, 1.0),
    ),
    "axes in the order 1, 2, 0": Setting(Folder(transpose=(1, 2, 0), spacing=(1.3, 1.5, 1.7)), spacing=(1.0, 1.2, 1.4)),
    "smaller than a window": Setting(Folder(), shape=(25, 70, 27)),
    "mirrored along all axes": Setting(Folder(mirroring=(0, 1, 2), trainer="nnUNetTrainer")),
    "mirroring allowed and not wanted": Setting(Folder(mirroring=(0, 1, 2)), mirroring=False),
    "two folds, mirrored along two axes": Setting(Folder(folds=(0, 1), mirroring=(0, 1)), folds=(0, 1)),
    "the fold of all cases": Setting(Folder(folds=("all", 2)), folds=("all",)),
    "larger steps": Setting(Folder(), step=0.75),
    "z-scores": Setting(Folder(channels={"0": "MR"}, schemes=("ZScoreNormalization",))),
    "z-scores within a mask": Setting(Folder(channels={"0": "MR"}, schemes=("ZScoreNormalization",), use_mask=(True,))),
    "from nought to one": Setting(Folder(channels={"0": "x"}, schemes=("RescaleTo01Normalization",))),
    "not normalised": Setting(Folder(channels={"0": "noNorm"}, schemes=("NoNormalization",))),
    "two channels": Setting(
        Folder(
            channels={"0": "CT", "1": "PET"}, schemes=("CTNormalization", "ZScoreNormalization"), use_mask=(False,) * 2
        )
    ),
    "regions": Setting(Folder(labels=REGIONS, regions_order=(1, 2, 3))),
    "regions, thick slices": Setting(
        _thick(labels=REGIONS, regions_order=(1, 2, 3)), shape=(64, 60, 14), spacing=(1.1, 1.1, 5.0)
    ),
    "a label to ignore": Setting(Folder(labels={"background": 0, "liver": 1, "spleen": 2, "ignore": 3})),
    "plans of old": Setting(Folder(old_plans=True)),
    "plans of old, residual, of TotalSegmentator's naming": Setting(
        Folder(old_plans=True, network="residual", configuration="3d_fullres_high", trainer="nnUNetTrainerNoMirroring")
    ),
    "slice by slice": Setting(Folder(configuration="2d", patch=(32, 32), spacing=(1.2, 1.2))),
    "slice by slice, mirrored": Setting(
        Folder(configuration="2d", patch=(40, 32), spacing=(1.0, 1.0), mirroring=(0, 1)), spacing=(1.1, 1.1, 3.0)
    ),
    "low resolution": Setting(Folder(configuration="3d_lowres", spacing=(2.5, 2.5, 2.5), patch=(16, 16, 16))),
    "resampled by torch": Setting(
        Folder(
            data_resampling=(
                "resample_torch_fornnunet",
                {"force_separate_z": False, "memefficient_seg_resampling": False},
            ),
            probabilities_resampling=(
                "resample_torch_fornnunet",
                {"force_separate_z": False, "memefficient_seg_resampling": False},
            ),
            plans_name="nnUNetPlans_torchres",
        )
    ),
    "slices apart always": Setting(
        Folder(
            data_resampling=(RESAMPLE, {"order": 3, "order_z": 0, "force_separate_z": True}),
            probabilities_resampling=(RESAMPLE, {"order": 1, "order_z": 0, "force_separate_z": True}),
        ),
        spacing=(1.0, 1.0, 2.0),
    ),
}
