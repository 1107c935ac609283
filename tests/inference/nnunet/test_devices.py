from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ctatlas.errors import InstallError, ModelError
from ctatlas.inference.nnunet.devices import best_device, check_device, on_device
from ctatlas.models.nnunet import NnunetNetworks, load_networks, open_folder
from tests.support.nnunet_folders import Folder, write_folder


@pytest.fixture
def networks(tmp_path: Path) -> NnunetNetworks:
    torch.set_num_threads(1)
    return load_networks(open_folder(write_folder(tmp_path, Folder(folds=(0, 1)))), backend="torch")


def windows() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, 1, 16, 24, 20)).astype(np.float32)


def test_a_network_on_a_device_gives_its_logits(networks: NnunetNetworks) -> None:
    """The CPU is a device as any other."""
    before = networks.logits(windows())
    moved = on_device(networks, "cpu")
    assert moved.folds == networks.folds
    np.testing.assert_allclose(moved.logits(windows()), before, atol=1e-4)


@pytest.mark.gpu
def test_cuda_finds_what_the_cpu_finds(networks: NnunetNetworks) -> None:
    before = networks.logits(windows())
    found = on_device(networks, "cuda").logits(windows())
    assert (found.argmax(1) != before.argmax(1)).mean() < 0.01


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ModelError, match="-device tpu: expected one of cpu, cuda, mps"):
        check_device("tpu")
    check_device("cpu")
    check_device(best_device())
    if not torch.cuda.is_available():
        with pytest.raises(InstallError, match=r"-device cuda: torch .* finds no such device here; use -device cpu"):
            check_device("cuda")


def test_windows_that_don_t_fit_are_refused_in_a_line(networks: NnunetNetworks) -> None:
    with pytest.raises(ModelError, match="the network failed on windows"):
        on_device(networks, "cpu").logits(np.zeros((1, 3, 16, 24, 20), np.float32))
