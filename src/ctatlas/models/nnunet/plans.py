"""`plans.json`: how scans are prepared, cut into windows and restored, and what the network is made of; old and new."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ctatlas.errors import ModelError

PLANS_FILE = "plans.json"
_AT_MOST_BYTES = 2**24  # a hundred times the largest that is known
_AT_MOST_INHERITED = 16

Count = Annotated[int, Field(ge=1, le=4096)]
Length = Annotated[float, Field(gt=0, lt=1e4)]
Sizes = Annotated[tuple[Count, ...], Field(min_length=2, max_length=3)]
Resampler = Literal["default", "torch", "none"]

# Upstream's functions, by the last part of their names, and what they do.
_RESAMPLERS: dict[str, Resampler] = {
    "resample_data_or_seg_to_shape": "default",
    "resample_torch_fornnunet": "torch",
    "resample_torch_simple": "torch",
    "no_resampling_hack": "none",
    "no_resampling_data_or_seg_to_shape": "none",
}
_NORMALISATIONS = (
    "CTNormalization",
    "NoNormalization",
    "RGBTo01Normalization",
    "RescaleTo01Normalization",
    "ZScoreNormalization",
)


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Intensities(_Table):
    """What training scans held in one channel, over the labelled voxels."""

    mean: float = 0.0
    std: float = 1.0
    percentile_00_5: float = 0.0
    percentile_99_5: float = 0.0


class Resampling(_Table):
    """How data, labels or logits go from one grid to another."""

    kind: Resampler = "default"
    order: Annotated[int, Field(ge=0, le=5)] = 1
    order_z: Annotated[int, Field(ge=0, le=5)] = 0
    force_separate_z: bool | None = None
    separate_z_anisotropy_threshold: Annotated[float, Field(gt=0)] = 3.0
    mode: str = "linear"
    memefficient_seg_resampling: bool = False


class Architecture(_Table):
    """What the network is made of, stage by stage from the finest."""

    kind: Literal["plain", "residual"]
    n_dims: Literal[2, 3]
    widths: Annotated[tuple[Count, ...], Field(min_length=2, max_length=12)]
    kernel_sizes: tuple[Sizes, ...]
    strides: tuple[Sizes, ...]
    n_blocks: tuple[Annotated[int, Field(ge=1, le=64)], ...]
    n_decoder: tuple[Annotated[int, Field(ge=1, le=64)], ...]
    bias: bool = True
    norm: Literal["instance", "batch", "none"] = "instance"
    eps: Annotated[float, Field(gt=0)] = 1e-5
    affine: bool = True
    activation: Literal["leaky-relu", "relu", "gelu", "silu"] = "leaky-relu"
    slope: float = 0.01
    activation_first: bool = False
    n_stem: Count | None = None
    narrow: tuple[Count, ...] | None = None

    @model_validator(mode="after")
    def _stages_agree(self) -> Architecture:
        n = len(self.widths)
        lengths = {
            "kernel_sizes": (len(self.kernel_sizes), n),
            "strides": (len(self.strides), n),
            "blocks per stage": (len(self.n_blocks), n),
            "convolutions per step of the decoder": (len(self.n_decoder), n - 1),
            "bottleneck channels": (len(self.narrow) if self.narrow else n, n),
        }
        if faults := [f"{found} {what} for {n} stages" for what, (found, right) in lengths.items() if found != right]:
            raise ValueError("; ".join(faults))
        if wrong := [sizes for sizes in (*self.kernel_sizes, *self.strides) if len(sizes) != self.n_dims]:
            raise ValueError(f"kernels and strides of {self.n_dims} axes are expected; found {wrong[0]}")
        if even := [sizes for sizes in self.kernel_sizes if any(size % 2 == 0 for size in sizes)]:
            raise ValueError(f"kernels of odd size are expected; found {even[0]}")
        return self


class Configuration(_Table):
    """One way of training: a grid, a window, a network.

    All axes are those of the array after `Plans.transpose_forward`; in two dimensions the first axis has no size.
    """

    name: str
    patch_size: Sizes
    spacing: Annotated[tuple[Length, ...], Field(min_length=2, max_length=3)]
    normalization_schemes: tuple[str, ...]
    use_mask_for_norm: tuple[bool, ...]
    resampling_data: Resampling = Resampling(order=3)
    resampling_seg: Resampling = Resampling(order=1)
    resampling_probabilities: Resampling = Resampling(order=1)
    previous_stage: str | None = None
    architecture: Architecture

    @field_validator("normalization_schemes")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(names) - set(_NORMALISATIONS)):
            raise ValueError(f"{', '.join(unknown)} is not known; known: {', '.join(_NORMALISATIONS)}")
        return names

    @model_validator(mode="after")
    def _agree(self) -> Configuration:
        if not len(self.patch_size) == len(self.spacing) == self.architecture.n_dims:
            raise ValueError(
                f"patch_size {self.patch_size}, spacing {self.spacing} and a network of {self.architecture.n_dims} "
                "dimensions: expected as many numbers as dimensions"
            )
        if len(self.use_mask_for_norm) != len(self.normalization_schemes):
            raise ValueError("expected as many use_mask_for_norm as normalization_schemes")
        return self


class Plans(_Table):
    """A `plans.json`."""

    dataset_name: str = ""
    plans_name: str = "nnUNetPlans"
    image_reader_writer: str = "SimpleITKIO"
    transpose_forward: tuple[int, int, int] = (0, 1, 2)
    transpose_backward: tuple[int, int, int] = (0, 1, 2)
    original_median_spacing_after_transp: tuple[Length, ...] = ()
    intensities: dict[str, Intensities] = Field(default_factory=dict)
    configurations: dict[str, Configuration]
    unusable: dict[str, str] = Field(default_factory=dict)  # configurations that can't be run here, and why

    @model_validator(mode="after")
    def _there_and_back(self) -> Plans:
        there, back = self.transpose_forward, self.transpose_backward
        if not sorted(there) == sorted(back) == [0, 1, 2] or [there[axis] for axis in back] != [0, 1, 2]:
            raise ValueError(
                f"transpose_forward {self.transpose_forward} and transpose_backward {self.transpose_backward} are no "
                "order of three axes and the way back"
            )
        return self

    @property
    def first_spacing(self) -> float:
        """Return how far slices of training scans lay apart, in mm, of which plans in two dimensions say no more."""
        return self.original_median_spacing_after_transp[0] if self.original_median_spacing_after_transp else 1.0

    def configuration(self, name: str) -> Configuration:
        """Return one configuration.

        Raises
        ------
        ModelError
            When there is none of that name, or it can't be run here.
        """
        if name in self.unusable:
            raise ModelError(f"{PLANS_FILE}: configuration {name}: {self.unusable[name]}")
        if name not in self.configurations:
            raise ModelError(
                f"{PLANS_FILE}: has no configuration {name!r}; it has {', '.join(self.configurations) or 'none'}"
            )
        return self.configurations[name]


def read_plans(path: Path) -> Plans:
    """Read and check a `plans.json`.

    Raises
    ------
    ModelError
        When it can't be read, or breaks the rules; faults are named in one line. A configuration that only can't be
        run here (a network not known here) is refused when it is asked for.
    """
    table = read_json(path)
    configurations = table.get("configurations")
    if not isinstance(configurations, dict) or not configurations:
        raise ModelError(f"{path}: no plans of nnU-Net version 2: has no 'configurations'")
    usable: dict[str, Configuration] = {}
    unusable: dict[str, str] = {}
    for name in configurations:
        try:
            usable[name] = Configuration.model_validate(_translated(name, _resolved(name, configurations)))
        except ValidationError as error:
            unusable[name] = _faults(error)
        except (ModelError, TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            unusable[name] = f"misses {error}" if isinstance(error, KeyError) else str(error)
    properties = table.get("foreground_intensity_properties_per_channel") or table.get(
        "foreground_intensity_properties_by_modality"
    )
    try:
        return Plans.model_validate(
            {**table, "configurations": usable, "unusable": unusable, "intensities": properties or {}}
        )
    except ValidationError as error:
        raise ModelError(f"{path}: {_faults(error)}") from None


def read_json(path: Path) -> Mapping[str, Any]:
    """Read one JSON object from a file of a model folder.

    Raises
    ------
    ModelError
        When the file is missing, too large, or no JSON object.
    """
    try:
        if path.stat().st_size > _AT_MOST_BYTES:
            raise ModelError(f"{path}: is larger than {_AT_MOST_BYTES} bytes, so none of nnU-Net's")
        table = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ModelError(f"{path}: can't be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: is not sound JSON ({error})") from None
    if not isinstance(table, dict):
        raise ModelError(f"{path}: is no JSON object")
    return table


def _resolved(name: str, configurations: Mapping[str, Any]) -> dict[str, Any]:
    """Put a configuration over those that it inherits from."""
    chain: list[str] = []
    at: object = name
    while at is not None:
        if not isinstance(at, str) or not isinstance(configurations.get(at), dict):
            raise ModelError(f"inherits from {at!r}, which is not there")
        if at in chain or len(chain) > _AT_MOST_INHERITED:
            raise ModelError(f"inherits from itself: {' -> '.join([*chain, at])}")
        chain.append(at)
        at = configurations[at].get("inherits_from")
    found: dict[str, Any] = {}
    for each in reversed(chain):
        found |= configurations[each]
    return found


def _translated(name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """Bring a configuration, of old plans or new, to our words."""
    kinds = {what: table[f"resampling_fn_{what}"] for what in ("data", "seg", "probabilities")}
    return {
        **{key: table[key] for key in ("patch_size", "spacing", "normalization_schemes")},
        "use_mask_for_norm": table.get("use_mask_for_norm") or [False] * len(table["normalization_schemes"]),
        "name": name,
        "previous_stage": table.get("previous_stage"),
        "architecture": _architecture(table),
        **{
            f"resampling_{what}": _resampling(kind, table.get(f"resampling_fn_{what}_kwargs") or {})
            for what, kind in kinds.items()
        },
    }


def _resampling(function: object, options: Mapping[str, Any]) -> dict[str, Any]:
    name = str(function).rpartition(".")[2]
    if name not in _RESAMPLERS:
        raise ModelError(f"resamples with {name}, which is not known here; known: {', '.join(_RESAMPLERS)}")
    return {**options, "kind": _RESAMPLERS[name]}


def _architecture(table: Mapping[str, Any]) -> dict[str, Any]:
    if "architecture" in table:
        given = table["architecture"]
        return _new_architecture(str(given["network_class_name"]), given["arch_kwargs"])
    return _old_architecture(table)


_CLASSES: dict[str, Literal["plain", "residual"]] = {"PlainConvUNet": "plain", "ResidualEncoderUNet": "residual"}
_ACTIVATIONS = {"LeakyReLU": "leaky-relu", "ReLU": "relu", "GELU": "gelu", "SiLU": "silu"}
_NORMS = {"InstanceNorm": "instance", "BatchNorm": "batch"}


def _kind(class_name: str) -> Literal["plain", "residual"]:
    """Match a class by the last part of its path, which moved over time."""
    name = class_name.rpartition(".")[2]
    if name not in _CLASSES:
        raise ModelError(f"its network is a {name}; ctatlas runs {' and '.join(_CLASSES)}")
    return _CLASSES[name]


def _new_architecture(class_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    kind = _kind(class_name)
    n = int(given["n_stages"])
    if not 2 <= n <= 12:
        raise ModelError(f"a network of {n} stages is expected to have 2 to 12")
    norm = given.get("norm_op_kwargs") or {}
    block = str(given.get("block") or "").rpartition(".")[2]
    if block not in {"", "BasicBlockD", "BottleneckD"} or given.get("squeeze_excitation"):
        raise ModelError(f"its residual blocks are {block or 'with squeeze and excitation'}, which is not known here")
    n_dims = 2 if str(given["conv_op"]).endswith("2d") else 3
    return {
        "kind": kind,
        "n_dims": n_dims,
        "widths": _each(given["features_per_stage"], n),
        "kernel_sizes": _each_axis(given["kernel_sizes"], n, n_dims),
        "strides": _each_axis(given["strides"], n, n_dims),
        "n_blocks": _each(given["n_conv_per_stage" if kind == "plain" else "n_blocks_per_stage"], n),
        "n_decoder": _each(given["n_conv_per_stage_decoder"], n - 1),
        "bias": given.get("conv_bias", False),
        "norm": _named(given.get("norm_op"), _NORMS, "norm"),
        "eps": norm.get("eps", 1e-5),
        "affine": norm.get("affine", False),
        "activation": _named(given.get("nonlin"), _ACTIVATIONS, "activation"),
        "slope": (given.get("nonlin_kwargs") or {}).get("negative_slope", 0.01),
        "activation_first": given.get("nonlin_first", False),
        "n_stem": given.get("stem_channels"),
        "narrow": _each(given["bottleneck_channels"], n) if block == "BottleneckD" else None,
    }


def _old_architecture(table: Mapping[str, Any]) -> dict[str, Any]:
    """Read plans of nnU-Net 2.0 to 2.3. Source: its conversion to the newer form, as recorded."""
    blocks = table["n_conv_per_stage_encoder"]
    base, most = int(table["UNet_base_num_features"]), int(table["unet_max_num_features"])
    if not 2 <= len(blocks) <= 12:
        raise ModelError(f"a network of {len(blocks)} stages is expected to have 2 to 12")
    return {
        "kind": _kind(str(table["UNet_class_name"])),
        "n_dims": len(table["patch_size"]),
        "widths": [min(base * 2**stage, most) for stage in range(len(blocks))],
        "kernel_sizes": table["conv_kernel_sizes"],
        "strides": table["pool_op_kernel_sizes"],
        "n_blocks": blocks,
        "n_decoder": table["n_conv_per_stage_decoder"],
    }


def _named(path: object, table: Mapping[str, str], what: str) -> str:
    name = str(path).rpartition(".")[2].removesuffix("1d").removesuffix("2d").removesuffix("3d")
    if path is None and what == "norm":
        return "none"
    if name not in table:
        raise ModelError(f"its {what} is {path}; known: {', '.join(table)}")
    return table[name]


def _each(value: object, n: int) -> Sequence[object]:
    """Return one value a stage, where a single one stands for all."""
    return cast("Sequence[object]", value) if isinstance(value, list | tuple) else [value] * n


def _each_axis(value: object, n: int, n_dims: int) -> list[Sequence[object]]:
    return [_each(sizes, n_dims) for sizes in _each(value, n)]


def _faults(error: ValidationError) -> str:
    shown = [f"{'.'.join(map(str, fault['loc'])) or 'plans'}: {fault['msg']}" for fault in error.errors()]
    return "; ".join(shown[:5]) + (f"; and {len(shown) - 5} more" if len(shown) > 5 else "")
