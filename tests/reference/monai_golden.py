"""Make the golden vectors of MONAI's networks again: `python -m tests.reference.monai_golden OUT`, once a version.

Run with MONAI 1.4.0, then 1.5.2 (Apache-2.0), torch and einops; the tests only read what it wrote.
"""

from __future__ import annotations

import sys
from pathlib import Path

import monai
import numpy as np
import torch
from monai.networks.nets import UNETR, SegResNet, SwinUNETR

from tests.reference.golden_fill import entry, windows


def main(folder: Path) -> None:
    new = monai.__version__.startswith("1.5")
    made = [("swin_monai_1.5" if new else "swin_monai_1.4", _swin(), (1, 2, 32, 64, 64))]
    if new:
        made += [("unetr_conv", _unetr("conv"), (1, 2, 32, 48, 16))]
        made += [("unetr_perceptron", _unetr("perceptron"), (1, 2, 32, 48, 16))]
        made += [("swin_monai_v2", _swin(downsample="mergingv2"), (1, 2, 32, 64, 64))]
        made += [("segresnet_wide", _segresnet(), (1, 2, 16, 24, 32))]
    for name, network, shape in made:
        _save(folder / f"{name}.npz", network, shape)


def _swin(**more: str) -> torch.nn.Module:
    size = {} if monai.__version__.startswith("1.5") else {"img_size": (32, 64, 64)}
    return SwinUNETR(in_channels=2, out_channels=3, feature_size=12, **size, **more)


def _unetr(projection: str) -> torch.nn.Module:
    return UNETR(2, 3, (32, 48, 16), feature_size=8, hidden_size=48, mlp_dim=80, num_heads=4, proj_type=projection)


def _segresnet() -> torch.nn.Module:
    return SegResNet(init_filters=8, in_channels=2, out_channels=3, blocks_down=(1, 2, 1), blocks_up=(2, 1))


def _save(path: Path, network: torch.nn.Module, shape: tuple[int, ...]) -> None:
    network.double().eval()
    state = network.state_dict()
    filled = {k: torch.from_numpy(entry(k, tuple(v.shape))) for k, v in state.items() if v.is_floating_point()}
    network.load_state_dict(state | filled)
    with torch.inference_mode():
        logits = network(torch.from_numpy(windows(shape))).numpy()
    np.savez_compressed(
        path,
        input_shape=shape,
        sub=logits[:, :, 1::4, 1::4, 1::4],
        keys=list(state),
        made_by=f"MONAI {monai.__version__}",
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
