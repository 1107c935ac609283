from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from ctatlas.anatomy import label_set
from ctatlas.errors import ModelError
from ctatlas.models import card, model_names
from ctatlas.models.states import list_models
from ctatlas.models.tasks import Task, task_called, task_folder, tasks

NUMBERS = {
    "skeleton": 106,
    "vertebrae": 108,
    "ribs": 998,
    "upper-limb": 113,
    "hip": 114,
    "lower-limb": 112,
    "organs": 999,
}


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return nnU-Net's folder of results, empty."""
    monkeypatch.setenv("CTATLAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "results"))
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


def put(results: Path, task: Task, *, number: int | None = None, labels: Mapping[str, int] | None = None) -> Path:
    """Put the two files by which a model folder is known."""
    names = labels or {name: number for number, name in label_set(task.label_set).native_names.items()}
    place = results / f"Dataset{number or task.number}_Anything" / f"{task.trainer}__{task.plans}__{task.configuration}"
    place.mkdir(parents=True)
    dataset = {"channel_names": {"0": "CT"}, "labels": {"background": 0, **names}, "file_ending": ".nii.gz"}
    (place / "dataset.json").write_text(json.dumps(dataset))
    (place / "plans.json").write_text("{}")
    return place


def test_all_seven_tasks_are_known_by_their_numbers() -> None:
    assert {name.removeprefix("autoorgan/"): task.number for name, task in tasks().items()} == NUMBERS
    assert [name for name, task in tasks().items() if task.repairs_ribs] == ["autoorgan/ribs"]


@pytest.mark.parametrize("name", NUMBERS)
def test_every_task_has_its_label_set_and_a_source(name: str) -> None:
    task = tasks()[f"autoorgan/{name}"]
    assert label_set(task.label_set).labels
    assert task.source
    assert task.license


def test_a_task_goes_by_its_name_its_number_and_with_a_remark_by_another() -> None:
    assert task_called("autoorgan/ribs").task is task_called("998").task is task_called("888").task
    assert task_called("998").remark == ""
    assert "998" in task_called("888").remark
    with pytest.raises(ModelError, match=r"no task is called 'knees'; there are autoorgan/skeleton \(106\)"):
        task_called("knees")


@pytest.mark.parametrize("name", NUMBERS)
def test_a_folder_is_found_in_the_results_by_number_and_labels(results: Path, name: str) -> None:
    task = tasks()[f"autoorgan/{name}"]
    place = put(results, task)
    assert task_folder(task) == place
    assert task.name in model_names()


def test_the_other_number_of_ribs_is_found(results: Path) -> None:
    task = tasks()["autoorgan/ribs"]
    assert task_folder(task) is None
    place = put(results, task, number=888)
    assert task_folder(task) == place


def test_a_number_alone_is_not_enough(results: Path) -> None:
    task = tasks()["autoorgan/upper-limb"]
    put(results, task, labels={"lower_jawbone": 1, "upper_jawbone": 2})
    with pytest.raises(ModelError, match="has its number but not its labels"):
        task_folder(task)
    assert task.name not in model_names()
    assert {row.name: row.state for row in list_models()}[task.name] == "broken"


def test_exchanged_labels_are_another_model(results: Path) -> None:
    task = tasks()["autoorgan/hip"]
    put(results, task, labels={"hip_right": 1, "hip_left": 2, "sacrum": 3})
    with pytest.raises(ModelError, match="not its labels"):
        task_folder(task)


@pytest.mark.usefixtures("results")
def test_what_is_not_here_is_listed_with_how_to_get_it() -> None:
    rows = {row.name: row for row in list_models()}
    assert all(rows[f"autoorgan/{name}"].state == "not installed" for name in NUMBERS)
    assert rows["autoorgan/ribs"].commercial_use == "no"
    with pytest.raises(ModelError, match=r"autoorgan/ribs: not installed: .*Dataset998_TotalRib"):
        card("autoorgan/ribs")


def test_the_card_bears_the_name_and_terms_of_the_task(results: Path) -> None:
    pytest.importorskip("torch")
    from tests.support.nnunet_folders import Folder, write_folder

    names = label_set("autoorgan-hip").native_names
    labels = {"background": 0, **{name: number for number, name in names.items()}}
    write_folder(results, Folder(labels=labels, dataset="Dataset114_Pelvis"))
    found = card("autoorgan/hip")
    assert found.name == "autoorgan/hip"
    assert "research" in found.license
    assert list(found.structures) == ["hip_left", "hip_right", "sacrum"]
    assert {row.name: row.state for row in list_models()}["autoorgan/hip"] == "installed"
