from __future__ import annotations

import pytest
import torch
from torch.nn.functional import conv3d

from ctatlas.models.networks import dynamic_head
from ctatlas.models.networks.class_heads import ClassHeads
from ctatlas.models.networks.dynamic_head import N_PARAMETERS, dynamic_logits
from ctatlas.models.networks.genesis_unet import GenesisUNet
from ctatlas.models.networks.text_driven import UniversalModel


def one_class(maps: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """Run the three layers of one class as convolutions, numbers counted off one after another."""
    x = conv3d(maps, p[0:64].view(8, 8, 1, 1, 1), p[136:144]).relu()
    x = conv3d(x, p[64:128].view(8, 8, 1, 1, 1), p[144:152]).relu()
    return conv3d(x, p[128:136].view(1, 8, 1, 1, 1), p[152:153])


def drawn(n: int, n_classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(n, 8, 5, 6, 7).double(), torch.randn(n, n_classes, N_PARAMETERS).double()


@pytest.mark.parametrize("at_once", [1, 100, 10_000])
def test_every_class_is_its_own_three_convolutions(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(dynamic_head, "_VOXELS_AT_ONCE", at_once)
    maps, parameters = drawn(2, 3)
    expected = [
        torch.cat([one_class(window[None], each) for each in own], dim=1)
        for window, own in zip(maps, parameters, strict=True)
    ]
    torch.testing.assert_close(dynamic_logits(maps, parameters), torch.cat(expected), rtol=0, atol=1e-12)


def test_the_head_can_be_trained() -> None:
    maps, parameters = drawn(1, 2)
    parameters.requires_grad_()
    dynamic_logits(maps, parameters).square().sum().backward()
    assert parameters.grad is not None
    assert parameters.grad.abs().min() >= 0
    assert torch.isfinite(parameters.grad).all()


@pytest.mark.parametrize("head", [UniversalModel, ClassHeads])
def test_classes_asked_for_come_alone_and_in_that_order(head: type[UniversalModel | ClassHeads]) -> None:
    torch.manual_seed(0)
    network = head(GenesisUNet(), 5).eval()
    network.organ_embedding.normal_()
    window = torch.rand(1, 1, 16, 16, 24)
    with torch.inference_mode():
        torch.testing.assert_close(network(window, [3, 0]), network(window)[:, [3, 0]], rtol=0, atol=1e-5)


def test_windows_of_a_batch_steer_their_own_heads() -> None:
    torch.manual_seed(0)
    network = UniversalModel(GenesisUNet(), 3).double().eval()
    network.organ_embedding.normal_()
    windows = torch.rand(2, 1, 16, 16, 16).double() * torch.tensor([1.0, 9.0]).view(2, 1, 1, 1, 1)
    with torch.inference_mode():
        alone = torch.cat([network(each[None]) for each in windows])
        torch.testing.assert_close(network(windows), alone, rtol=0, atol=1e-10)
