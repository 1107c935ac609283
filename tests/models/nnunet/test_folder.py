from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from ctatlas.errors import ModelError
from ctatlas.models import load
from ctatlas.models.install import import_model
from ctatlas.models.nnunet import load_networks, open_folder
from tests.support.nnunet_folders import Folder, write_folder

FINAL = "checkpoint_final.pth"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return write_folder(tmp_path, Folder())


def _change(path: Path, change: Callable[[Any], object]) -> None:
    table = json.loads(path.read_text(encoding="utf-8"))
    change(table)
    path.write_text(json.dumps(table), encoding="utf-8")


def _save(place: Path, changes: Mapping[str, object]) -> None:
    path = place / "fold_0" / FINAL
    torch.save(torch.load(path, weights_only=False) | changes, path)


def test_an_aborted_training_is_named_with_what_is_there(place: Path) -> None:
    (place / "fold_0" / FINAL).rename(place / "fold_0" / "checkpoint_best.pth")

    with pytest.raises(
        ModelError, match=r"no fold has a checkpoint_final.pth; there are fold_0/checkpoint_best.pth \(the best"
    ):
        open_folder(place).folds()

    assert load_networks(open_folder(place), [0], "checkpoint_best.pth").folds == (0,)


def test_a_fold_that_is_not_there_is_named(place: Path) -> None:
    with pytest.raises(ModelError, match=r"fold 3 has no checkpoint_final.pth; there are fold_0/checkpoint_final.pth"):
        load_networks(open_folder(place), [3])


def test_the_fold_of_all_cases_counts_only_when_it_is_alone(tmp_path: Path) -> None:
    alone = open_folder(write_folder(tmp_path / "a", Folder(folds=("all",))))
    among = open_folder(write_folder(tmp_path / "b", Folder(folds=("all", 2, 0))))

    assert alone.folds() == ("all",)
    assert among.folds() == (0, 2)


def test_code_in_a_checkpoint_is_not_run(place: Path, tmp_path: Path) -> None:
    _save(place, {"logging": _Harmful(tmp_path / "ran")})

    with pytest.raises(ModelError, match=r"holds code \(.*\), not weights alone; it was not run"):
        load_networks(open_folder(place))

    assert not (tmp_path / "ran").exists()


class _Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_prefixes_of_wrappers_are_taken_off(place: Path) -> None:
    weights = torch.load(place / "fold_0" / FINAL, weights_only=False)["network_weights"]
    _save(place, {"network_weights": {f"module._orig_mod.{key}": value for key, value in weights.items()}})

    assert load_networks(open_folder(place)).n_classes == 4


def test_weights_of_another_network_are_refused_with_their_trainer(place: Path) -> None:
    weights = torch.load(place / "fold_0" / FINAL, weights_only=False)["network_weights"]
    _save(
        place, {"network_weights": weights | {"decoder.attention.weight": torch.ones(1)}, "trainer_name": "Attentive"}
    )

    with pytest.raises(ModelError, match=r"1 unexpected: decoder.attention.weight \(trained by Attentive\)"):
        load_networks(open_folder(place))


def test_labels_of_another_number_are_refused(place: Path) -> None:
    _change(place / "dataset.json", lambda table: table["labels"].update({"one more": 4}))

    with pytest.raises(ModelError, match=r"gives 4 classes, the labels of dataset.json need 5"):
        load_networks(open_folder(place))


def test_batch_norm_shows_in_the_weights_alone(place: Path) -> None:
    weights = torch.load(place / "fold_0" / FINAL, weights_only=False)["network_weights"]
    norms = [key.removesuffix(".weight") for key in weights if key.endswith(("norm.weight", "all_modules.1.weight"))]
    for key in norms:
        n = len(weights[f"{key}.weight"])
        weights |= {f"{key}.running_mean": torch.zeros(n), f"{key}.running_var": torch.ones(n)}
        weights[f"{key}.num_batches_tracked"] = torch.tensor(7)
    _save(place, {"network_weights": weights})

    (network,) = load_networks(open_folder(place)).networks

    norm = network.network.encoder.stages[0][0].convs[0].norm  # type: ignore[attr-defined]
    assert isinstance(norm, torch.nn.BatchNorm3d)
    assert not norm.training


@pytest.mark.parametrize("axes", [(0, 3), "01", (1.5,)])
def test_mirroring_along_what_is_no_axis_is_refused(axes: object, place: Path) -> None:
    _save(place, {"inference_allowed_mirroring_axes": axes})

    with pytest.raises(ModelError, match="allows mirroring along"):
        load_networks(open_folder(place))


def test_old_checkpoints_say_nothing_of_mirroring(place: Path) -> None:
    path = place / "fold_0" / FINAL
    held = torch.load(path, weights_only=False)
    del held["inference_allowed_mirroring_axes"]
    torch.save(held, path)

    assert load_networks(open_folder(place)).mirroring_axes == ()


def test_a_folder_without_plans_is_none(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model folder of nnU-Net: expected plans.json and dataset.json"):
        open_folder(tmp_path)


@pytest.mark.parametrize("below", ["", "Dataset321_Toy/"], ids=["bare", "with its dataset"])
def test_a_zip_is_imported_with_or_without_its_dataset_and_keeps_its_note(
    below: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTATLAS_HOME", str(tmp_path / "home"))
    (place / "ctatlas.toml").write_text('orientation = "RAS"', encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for file in place.rglob("*.*"):
            archive.write(file, f"{below}{place.name}/{file.relative_to(place)}")

    import_model(tmp_path / "model.zip", name="toy")

    found = load("toy")
    assert found.card.input.orientation == "RAS"
    assert found.card.foreground == {1: "liver", 2: "spleen", 3: "pancreas"}
