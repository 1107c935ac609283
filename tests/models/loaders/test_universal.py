from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ctatlas.errors import ModelError
from ctatlas.models import load
from ctatlas.models.loaders.universal import open_checkpoint
from tests.models.loaders.checkpoints import carded, drawn, saved

State = dict[str, torch.Tensor]
KINDS = ["universal/swin-unetr", "class-heads/swin-unetr", "swin-unetr", "segresnet"]
WINDOW = np.random.default_rng(0).random((2, 1, 32, 64, 32), np.float32)


def as_it_is(state: State) -> object:
    return state


def wrapped_under_net(state: State) -> object:
    """Lay it out as SuPreM does: data-parallel names under `net`, beside the optimiser."""
    return {"net": {f"module.{key}": value for key, value in state.items()}, "optimizer": {"state": {}}, "epoch": 3}


def flat_trunk(state: State) -> object:
    """Lay it out as the first Universal Swin UNETR is: no `backbone.` before the trunk."""
    return {"net": {f"module.{key.removeprefix('backbone.')}": value for key, value in state.items()}}


def trunk_prefixed(state: State) -> object:
    return {"state_dict": {f"module.backbone.{key.removeprefix('backbone.')}": value for key, value in state.items()}}


def with_notes_of_numpy(state: State) -> object:
    return {"model": state, "best": np.float64(0.9), "loss": np.float32(1)}


def with_what_no_network_reads(state: State) -> object:
    name = "backbone.swinViT.layers1.0.blocks.0.attn.relative_position_index"
    return state | {name: torch.zeros(343, 343, dtype=torch.int64), "bn1.running_mean": torch.zeros(4)}


def in_another_order(state: State) -> object:
    return dict(reversed(state.items()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_gives_its_networks_logits_without_being_told_which_it_is(tmp_path: Path, kind: str) -> None:
    network = drawn(kind)
    opened = open_checkpoint(saved(tmp_path / "weights.pth", wrapped_under_net(network.state_dict())))
    assert opened.layout.kind == kind
    assert (opened.backend.n_channels, opened.backend.n_classes) == (1, 4)
    assert set(opened.account.matched) == set(network.state_dict())
    assert opened.account.faults == ""
    with torch.inference_mode():
        expected = network(torch.from_numpy(WINDOW)).numpy()
    np.testing.assert_allclose(opened.backend.logits(WINDOW), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "layout",
    [as_it_is, wrapped_under_net, flat_trunk, with_notes_of_numpy, with_what_no_network_reads, in_another_order],
)
def test_every_published_layout_gives_the_same_weights(tmp_path: Path, layout: Callable[[State], object]) -> None:
    network = drawn("universal/swin-unetr")
    opened = open_checkpoint(saved(tmp_path / "weights.pth", layout(network.state_dict())))
    found = opened.backend.network.state_dict()
    assert all(torch.equal(found[key], value) for key, value in network.state_dict().items())


@pytest.mark.parametrize("layout", [as_it_is, wrapped_under_net, trunk_prefixed])
def test_a_plain_network_may_have_the_prefix_of_a_trunk(tmp_path: Path, layout: Callable[[State], object]) -> None:
    network = drawn("segresnet")
    opened = open_checkpoint(saved(tmp_path / "weights.pth", layout(network.state_dict())))
    assert set(opened.account.matched) == set(network.state_dict())


def test_axes_of_length_one_may_differ_and_are_accounted_for(tmp_path: Path) -> None:
    state = drawn("universal/swin-unetr").state_dict()
    state["controller.weight"] = state["controller.weight"].flatten(1)
    state["bn1.running_mean"] = torch.zeros(4)
    opened = open_checkpoint(saved(tmp_path / "weights.pth", state))
    assert opened.account.reshaped == ("controller.weight",)
    assert opened.account.unread == ("bn1.running_mean",)


def test_weights_in_half_precision_run_in_single(tmp_path: Path) -> None:
    network = drawn("segresnet").half()
    opened = open_checkpoint(saved(tmp_path / "weights.pth", network.state_dict()))
    assert {value.dtype for value in opened.backend.network.state_dict().values()} == {torch.float32}


def test_the_family_was_trained_with_the_old_patch_merging(tmp_path: Path) -> None:
    opened = open_checkpoint(saved(tmp_path / "weights.pth", drawn("universal/swin-unetr").state_dict()))
    assert opened.layout.options["patch_merging"] == "monai<1.5"


def test_a_card_and_its_checkpoint_make_a_model(tmp_path: Path) -> None:
    weights = saved(tmp_path / "file.pth", wrapped_under_net(drawn("universal/swin-unetr").state_dict()))
    network = '[network]\nkind = "universal/swin-unetr"\noptions = {patch_merging = "monai<1.5"}'
    model = load(carded(tmp_path / "model", weights, loader="universal", network=network))
    assert model.logits(WINDOW).shape == (2, 4, 32, 64, 32)


@pytest.mark.parametrize(
    ("network", "card", "said"),
    [
        ('[network]\nkind = "universal/unet"', {}, "network: segresnet in the file, universal/unet on the card"),
        ("", {"names": ("liver", "spleen")}, "classes: 4 in the file, 2 on the card"),
        ("", {"channels": "[{clip = [0, 1]}, {clip = [0, 1]}]"}, "channels: 1 in the file, 2 on the card"),
        ("", {"window": [32, 30, 32]}, r"multiples of 4, the card says \(32, 30, 32\)"),
        (
            '[network]\nkind = "segresnet"\noptions = {width = 9}',
            {},
            "options that a segresnet .*: width; it takes groups",
        ),
        ('[network]\nkind = "segresnet"\noptions = {groups = 3}', {}, "no segresnet can be made"),
    ],
)
def test_a_file_that_does_not_fit_its_card_is_refused(
    tmp_path: Path, network: str, card: dict[str, object], said: str
) -> None:
    weights = saved(tmp_path / "file.pth", drawn("segresnet").state_dict())
    with pytest.raises(ModelError, match=rf"weights\.pth: .*{said}"):
        load(carded(tmp_path / "model", weights, loader="universal", network=network, **card))


def test_missing_unexpected_and_misshapen_entries_are_all_named(tmp_path: Path) -> None:
    state = drawn("segresnet").state_dict()
    del state["conv_final.0.bias"]
    state["extra.weight"] = torch.zeros(3)
    state["conv_final.0.weight"] = torch.zeros(7)
    with pytest.raises(ModelError) as refused:
        open_checkpoint(saved(tmp_path / "weights.pth", state))
    assert "1 missing: conv_final.0.bias; 1 unexpected: extra.weight" in str(refused.value)
    assert "1 of another shape: conv_final.0.weight (7,), expected (8,)" in str(refused.value)


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    state = drawn("segresnet").state_dict()
    state["conv_final.0.bias"][2] = torch.nan
    with pytest.raises(ModelError, match=r"not finite: conv_final\.0\.bias; the file is damaged"):
        open_checkpoint(saved(tmp_path / "weights.pth", state))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("convInit.conv.weight", r"holds none of the networks known here \(unet, .*; its first entry is down_layers"),
        ("conv_final.2.conv.weight", r"has no conv_final\.2\.conv\.weight"),
    ],
)
def test_another_network_is_said_to_be_unknown(tmp_path: Path, key: str, said: str) -> None:
    state = drawn("segresnet").state_dict()
    state["foreign.weight"] = state.pop(key)
    with pytest.raises(ModelError, match=said):
        open_checkpoint(saved(tmp_path / "weights.pth", state))
