"""Networks on another device than the CPU, run there as nnU-Net runs them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ctatlas.errors import InstallError, ModelError
from ctatlas.models.nnunet import NnunetNetworks

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

DEVICES = ("cpu", "cuda", "mps")


def best_device() -> str:
    """Return `cuda` where there is such a device, else `cpu`."""
    try:
        import torch
    except ModuleNotFoundError:  # models as ONNX need none
        return "cpu"
    return "cuda" if torch.cuda.is_available() else "cpu"


def check_device(device: str) -> None:
    """Refuse a device that is unknown or not there.

    Raises
    ------
    ModelError, InstallError
    """
    if device not in DEVICES:
        raise ModelError(f"-device {device}: expected one of {', '.join(DEVICES)}")
    if device == "cpu":
        return
    import torch

    there = torch.cuda.is_available() if device == "cuda" else torch.backends.mps.is_available()
    if not there:
        raise InstallError(f"-device {device}: torch {torch.__version__} finds no such device here; use -device cpu")


def on_device(networks: NnunetNetworks, device: str) -> NnunetNetworks:
    """Move networks to a device.

    Raises
    ------
    ModelError
        When they are no torch networks.
    """
    moved = []
    for each in networks.networks:
        network = getattr(each, "network", None)
        if network is None:
            raise ModelError(f"{networks.folder.path}: its model.onnx runs on the CPU; use -device cpu")
        moved.append(DeviceNetwork(network.to(device), device, each.n_channels, each.n_classes))
    return replace(networks, networks=tuple(moved))


@dataclass(frozen=True, slots=True)
class DeviceNetwork:
    """A torch network on a device; see `ctatlas.models.Backend`. On CUDA in mixed precision, as nnU-Net has it."""

    network: nn.Module
    device: str
    n_channels: int | None
    n_classes: int | None
    workers: int = 1

    def logits(self, windows: np.ndarray) -> np.ndarray:
        """Turn windows (n, channels, …) float32 into logits (n, classes, …) float32."""
        import torch

        try:
            with torch.inference_mode(), torch.autocast(self.device, enabled=self.device == "cuda"):
                found = self.network(torch.from_numpy(windows).to(self.device))
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"the network failed on windows {windows.shape}: {' '.join(str(error).split())}") from None
        logits: np.ndarray = found.float().cpu().numpy()
        return logits
