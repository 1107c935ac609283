from __future__ import annotations

import torch
from torch import nn

from ctatlas.models.networks.genesis_unet import GenesisUNet, NormalisedConv


def network() -> GenesisUNet:
    torch.manual_seed(0)
    return GenesisUNet(1, 2).eval()


def test_a_window_gives_the_same_alone_and_in_any_batch() -> None:
    made = network().double()
    windows = torch.rand(3, 1, 8, 24, 16, dtype=torch.float64) * torch.tensor([0.1, 1, 30]).view(3, 1, 1, 1, 1)
    with torch.inference_mode():
        alone = torch.cat([made(each[None]) for each in windows])
        together = made(windows)
        turned = made(windows.flip(0)).flip(0)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)
    torch.testing.assert_close(turned, alone, rtol=0, atol=1e-10)


def test_a_window_is_normalised_by_itself_as_a_batch_norm_in_training_does_with_one() -> None:
    torch.manual_seed(0)
    ours = NormalisedConv(2, 4).double()
    with torch.no_grad():
        ours.bn1.weight.copy_(torch.rand(4))
        ours.bn1.bias.copy_(torch.rand(4))
    theirs = nn.BatchNorm3d(4).double().train()
    theirs.load_state_dict(ours.bn1.state_dict(), strict=False)
    x = torch.rand(1, 2, 5, 6, 7, dtype=torch.float64)
    torch.testing.assert_close(ours.eval()(x), torch.relu(theirs(ours.conv1(x))), rtol=0, atol=1e-12)


def test_nothing_in_the_network_changes_by_running_it() -> None:
    made = network()
    before = {key: value.clone() for key, value in made.state_dict().items()}
    made(torch.rand(1, 1, 16, 16, 24))
    assert all(torch.equal(value, before[key]) for key, value in made.state_dict().items())


def test_air_alone_gives_numbers() -> None:
    assert torch.isfinite(network()(torch.zeros(1, 1, 16, 16, 16))).all()
