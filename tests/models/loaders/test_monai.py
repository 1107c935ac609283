from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from ctatlas.errors import ModelError
from ctatlas.models import load
from tests.models.loaders.checkpoints import carded, drawn, saved

WINDOW = np.random.default_rng(0).random((1, 1, 32, 64, 32), np.float32)
SWIN = '[network]\nkind = "swin-unetr"\noptions = {patch_merging = "monai<1.5"}'
NETWORK = {"swin-unetr": SWIN, "unetr": '[network]\nkind = "unetr"', "segresnet": ""}


def bundle(path: Path, weights: Path, *, inside: str = "spleen/models/model.pt") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("spleen/configs/metadata.json", json.dumps({"monai_version": "1.4.0"}))
        archive.writestr("spleen/docs/README.md", "text")
        archive.write(weights, inside)
    return path


@pytest.mark.parametrize("kind", NETWORK)
@pytest.mark.parametrize("packed", [False, True])
def test_a_checkpoint_or_a_bundle_makes_a_model(tmp_path: Path, kind: str, *, packed: bool) -> None:
    network = drawn(kind)
    weights = saved(tmp_path / "model.pt", network.state_dict())
    given = bundle(tmp_path / "bundle.zip", weights) if packed else weights
    model = load(carded(tmp_path / "model", given, loader="monai", network=NETWORK[kind]))
    with torch.inference_mode():
        expected = network(torch.from_numpy(WINDOW)).numpy()
    np.testing.assert_allclose(model.logits(WINDOW), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("options", ["", 'options = {patch_merging = "latest"}'])
def test_a_swin_unetr_is_refused_unless_its_card_tells_the_patch_merging(tmp_path: Path, options: str) -> None:
    weights = saved(tmp_path / "model.pt", drawn("swin-unetr").state_dict())
    network = f'[network]\nkind = "swin-unetr"\n{options}'
    with pytest.raises(ModelError, match=r"expected network\.options\.patch_merging in its card, one of monai<1\.5"):
        load(carded(tmp_path / "model", weights, loader="monai", network=network))


def test_another_patch_merging_gives_other_logits(tmp_path: Path) -> None:
    weights = saved(tmp_path / "model.pt", drawn("swin-unetr").state_dict())
    old = load(carded(tmp_path / "old", weights, loader="monai", network=SWIN))
    new = load(carded(tmp_path / "new", weights, loader="monai", network=SWIN.replace("<1.5", ">=1.5")))
    assert np.abs(old.logits(WINDOW) - new.logits(WINDOW)).max() > 0.01


def test_a_unetr_for_windows_of_another_shape_is_refused(tmp_path: Path) -> None:
    weights = saved(tmp_path / "model.pt", drawn("unetr").state_dict())
    with pytest.raises(ModelError, match=r"1 of another shape: vit\.patch_embedding\.position_embeddings"):
        load(carded(tmp_path / "model", weights, loader="monai", window=[32, 32, 32]))


def test_a_bundle_without_weights_is_refused(tmp_path: Path) -> None:
    weights = saved(tmp_path / "model.pt", {"a": torch.zeros(2)})
    packed = bundle(tmp_path / "bundle.zip", weights, inside="spleen/elsewhere.pt")
    with pytest.raises(ModelError, match=r"a MONAI bundle without models/model\.pt"):
        load(carded(tmp_path / "model", packed, loader="monai"))
