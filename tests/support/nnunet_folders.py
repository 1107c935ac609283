"""Model folders such as nnU-Net leaves after training, with small networks of random weights.

Written from a description of the files, without the package: what it makes is loaded strictly by the package itself in
the parity tests, and by tests that don't have it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from tests.support.nnunet_weights import NetworkSizes, random_weights

Labels = Mapping[str, int | Sequence[int]]
THREE_ORGANS: Labels = {"background": 0, "liver": 1, "spleen": 2, "pancreas": 3}
RESAMPLE = "resample_data_or_seg_to_shape"
_PER_STAGE = (8, 16, 32)


@dataclass(frozen=True)
class Folder:
    """What a trained configuration is like; the defaults are a small isotropic CT model of three organs.

    Attributes
    ----------
    spacing, patch, transpose
        In the order of the plans: z, y, x after the transposition; two numbers each for `2d`.
    strides, kernels
        One entry a stage, of the configuration's dimension; by default 1, 2, 2 and 3 everywhere.
    mirroring
        Axes that the checkpoint allows, None for a trainer without mirroring.
    blocks
        Convolutions (or residual blocks) a stage of the encoder.
    old_plans
        Write the plans of nnU-Net 2.0 to 2.3, without `architecture`.
    data_resampling, probabilities_resampling
        Names and arguments of the resampling functions.
    """

    configuration: str = "3d_fullres"
    network: Literal["plain", "residual"] = "plain"
    labels: Labels = field(default_factory=lambda: THREE_ORGANS)
    regions_order: Sequence[int] | None = None
    channels: Mapping[str, str] = field(default_factory=lambda: {"0": "CT"})
    schemes: Sequence[str] = ("CTNormalization",)
    use_mask: Sequence[bool] = (False,)
    spacing: Sequence[float] = (1.5, 1.5, 1.5)
    patch: Sequence[int] = (16, 24, 20)
    transpose: Sequence[int] = (0, 1, 2)
    strides: Sequence[Sequence[int]] | None = None
    kernels: Sequence[Sequence[int]] | None = None
    blocks: Sequence[int] = (2, 2, 2)
    folds: Sequence[int | str] = (0,)
    mirroring: Sequence[int] | None = None
    trainer: str = "nnUNetTrainerNoMirroring"
    plans_name: str = "nnUNetPlans"
    old_plans: bool = False
    previous_stage: str | None = None
    data_resampling: tuple[str, Mapping[str, Any]] = (RESAMPLE, {"order": 3, "order_z": 0, "force_separate_z": None})
    probabilities_resampling: tuple[str, Mapping[str, Any]] = (
        RESAMPLE,
        {"order": 1, "order_z": 0, "force_separate_z": None},
    )
    file_ending: str = ".nii.gz"
    reader: str = "SimpleITKIO"
    dataset: str = "Dataset321_Toy"
    seed: int = 0

    @property
    def dimension(self) -> int:
        """Return 2 or 3."""
        return len(self.patch)

    @property
    def foreground(self) -> list[str]:
        """Return the labels that are predicted, background left out."""
        return [name for name in self.labels if name not in ("background", "ignore")]

    @property
    def has_regions(self) -> bool:
        """Tell whether a label is a union of several."""
        return any(not isinstance(value, int) and len(value) > 1 for value in self.labels.values())

    @property
    def sizes(self) -> NetworkSizes:
        """Return what the network's weights need to know."""
        axes = self.dimension
        stages = len(self.blocks)
        n_input = len(self.channels) + (len(self.foreground) if self.previous_stage else 0)
        return NetworkSizes(
            kind=self.network,
            n_input=n_input,
            n_output=len(self.foreground) + (not self.has_regions),
            features=_PER_STAGE[:stages],
            kernels=tuple(map(tuple, self.kernels or [(3,) * axes] * stages)),
            strides=tuple(map(tuple, self.strides or [(1,) * axes, *[(2,) * axes] * (stages - 1)])),
            blocks=tuple(self.blocks),
            decoder_convs=(1,) * (stages - 1),
        )


def write_folder(results: Path, folder: Folder) -> Path:
    """Write one trained configuration below `nnUNet_results` and return its folder.

    Configurations of one data set, trainer and plans share a plans.json only through `beside`: each folder has its own
    copy, as nnU-Net leaves it.
    """
    return write_folders(results, [folder])[0]


def write_folders(results: Path, folders: Sequence[Folder]) -> list[Path]:
    """Write several configurations of one data set, all of which stand in each plans.json."""
    plans = _plans(folders)
    return [_write(results, folder, plans) for folder in folders]


def _write(results: Path, folder: Folder, plans: dict[str, object]) -> Path:
    place = results / folder.dataset / f"{folder.trainer}__{folder.plans_name}__{folder.configuration}"
    place.mkdir(parents=True, exist_ok=True)
    dataset = _dataset(folder)
    (place / "plans.json").write_text(json.dumps(plans, indent=2), encoding="utf-8")
    (place / "dataset.json").write_text(json.dumps(dataset, indent=2), encoding="utf-8")
    for number, fold in enumerate(folder.folds):
        weights = random_weights(folder.sizes, np.random.default_rng(folder.seed + number))
        (place / f"fold_{fold}").mkdir(exist_ok=True)
        torch.save(_checkpoint(folder, fold, weights, plans, dataset), place / f"fold_{fold}" / "checkpoint_final.pth")
    return place


def _checkpoint(
    folder: Folder, fold: int | str, weights: dict[str, torch.Tensor], plans: object, dataset: object
) -> dict[str, object]:
    """Return a checkpoint with what training leaves in it, numpy numbers among it."""
    return {
        "network_weights": weights,
        "optimizer_state": None,
        "grad_scaler_state": None,
        "logging": {
            "mean_fg_dice": [np.float64(0.5)],
            "train_losses": [np.float32(-0.5)],
            "epoch_start_timestamps": [1.0],
        },
        "_best_ema": np.float64(0.5),
        "current_epoch": 1,
        "init_args": {
            "plans": plans,
            "configuration": folder.configuration,
            "fold": fold,
            "dataset_json": dataset,
            "device": torch.device("cpu"),
        },
        "trainer_name": folder.trainer,
        "inference_allowed_mirroring_axes": None if folder.mirroring is None else tuple(folder.mirroring),
    }


def _dataset(folder: Folder) -> dict[str, object]:
    regions = {} if folder.regions_order is None else {"regions_class_order": list(folder.regions_order)}
    return {
        "channel_names": dict(folder.channels),
        "labels": {name: value if isinstance(value, int) else list(value) for name, value in folder.labels.items()},
        **regions,
        "numTraining": 5,
        "file_ending": folder.file_ending,
    }


def _plans(folders: Sequence[Folder]) -> dict[str, object]:
    first = folders[0]
    intensities = {
        "mean": 50.0,
        "std": 200.0,
        "median": 40.0,
        "min": -1024.0,
        "max": 2000.0,
        "percentile_00_5": -800.0,
        "percentile_99_5": 900.0,
    }
    back = [list(first.transpose).index(axis) for axis in range(3)]
    return {
        "dataset_name": first.dataset,
        "plans_name": first.plans_name,
        "original_median_spacing_after_transp": [1.0, 1.0, 1.0],
        "original_median_shape_after_transp": [48, 48, 48],
        "image_reader_writer": first.reader,
        "transpose_forward": list(first.transpose),
        "transpose_backward": back,
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": dict.fromkeys(first.channels, intensities),
        "configurations": {folder.configuration: _configuration(folder) for folder in folders},
    }


def _configuration(folder: Folder) -> dict[str, object]:
    data, data_kwargs = folder.data_resampling
    probabilities, probabilities_kwargs = folder.probabilities_resampling
    stage = {"previous_stage": folder.previous_stage} if folder.previous_stage else {}
    return {
        "data_identifier": f"{folder.plans_name}_{folder.configuration}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": list(folder.patch),
        "median_image_size_in_voxels": [48.0] * folder.dimension,
        "spacing": list(folder.spacing),
        "normalization_schemes": list(folder.schemes),
        "use_mask_for_norm": list(folder.use_mask),
        "resampling_fn_data": data,
        "resampling_fn_seg": RESAMPLE,
        "resampling_fn_data_kwargs": {"is_seg": False, **data_kwargs},
        "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None},
        "resampling_fn_probabilities": probabilities,
        "resampling_fn_probabilities_kwargs": {"is_seg": False, **probabilities_kwargs},
        "batch_dice": True,
        **stage,
        **(_old_network(folder) if folder.old_plans else {"architecture": _architecture(folder)}),
    }


def _architecture(folder: Folder) -> dict[str, object]:
    sizes, axes = folder.sizes, folder.dimension
    plain = folder.network == "plain"
    network = "PlainConvUNet" if plain else "ResidualEncoderUNet"
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{network}",
        "arch_kwargs": {
            "n_stages": len(sizes.features),
            "features_per_stage": list(sizes.features),
            "conv_op": f"torch.nn.modules.conv.Conv{axes}d",
            "kernel_sizes": [list(kernel) for kernel in sizes.kernels],
            "strides": [list(stride) for stride in sizes.strides],
            "n_conv_per_stage" if plain else "n_blocks_per_stage": list(sizes.blocks),
            "n_conv_per_stage_decoder": list(sizes.decoder_convs),
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{axes}d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def _old_network(folder: Folder) -> dict[str, object]:
    sizes = folder.sizes
    return {
        "UNet_class_name": "PlainConvUNet" if folder.network == "plain" else "ResidualEncoderUNet",
        "UNet_base_num_features": sizes.features[0],
        "unet_max_num_features": sizes.features[-1],
        "n_conv_per_stage_encoder": list(sizes.blocks),
        "n_conv_per_stage_decoder": list(sizes.decoder_convs),
        "num_pool_per_axis": [len(sizes.features) - 1] * folder.dimension,
        "pool_op_kernel_sizes": [list(stride) for stride in sizes.strides],
        "conv_kernel_sizes": [list(kernel) for kernel in sizes.kernels],
    }
