from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ctatlas.anatomy import label_set
from ctatlas.models.tasks import tasks
from ctatlas.volume import Grid, Volume, write_volume
from tests.support_command import Terminal

pytest.importorskip("torch")


@pytest.fixture
def ctatlas(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Write a small scan with a body in it."""
    rng = np.random.default_rng(1)
    i, j, k = np.ogrid[:30, :26, :28]
    body = ((i - 15) / 13) ** 2 + ((j - 13) / 11) ** 2 < 1 + 0 * k
    hu = np.where(body, rng.normal(60, 120, body.shape), -1000).astype(np.int16)
    affine = np.diag([-6.1, -6.0, 6.2, 1.0])
    write_volume(Volume(np.asfortranarray(hu), Grid(hu.shape, affine)), tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return nnU-Net's results with a model of random weights for each of the seven tasks."""
    from tests.support.nnunet_folders import Folder, write_folder

    monkeypatch.setenv("CTATLAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "results"))
    for task in tasks().values():
        names = label_set(task.label_set).native_names
        labels = {"background": 0, **{name: number for number, name in names.items()}}
        dataset = task.dataset or f"Dataset{task.number}_Any"
        write_folder(
            tmp_path / "results",
            Folder(labels=labels, dataset=dataset, spacing=(6.0, 6.0, 6.0), patch=(32, 28, 32), seed=task.number),
        )
    return tmp_path / "results"


@pytest.mark.usefixtures("results")
def test_several_tasks_in_one_call_give_all_their_structures_and_the_repair_reports(
    ctatlas: Terminal, scan: Path, tmp_path: Path
) -> None:
    done = ctatlas(
        "segment", scan, tmp_path / "out", "--task", "888", "--task", "autoorgan/vertebrae", "--without", "gaps"
    )
    assert done.code == 0, done.err
    assert "888 is taken for autoorgan/ribs" in done.err
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    masks = {path.name.removesuffix(".nii.gz") for path in (tmp_path / "out" / "segmentations").glob("*")}
    assert {"rib_left_1", "rib_right_12", "vertebrae_C1", "vertebrae_L5"} <= masks
    assert len(masks) == 48
    repair = run["summary"]["rib_repair"]
    assert repair["steps"]["gaps"]["on"] is False
    assert repair["steps"]["joints"]["on"] is True
    assert repair["numbering"] == "uncertain"


@pytest.mark.usefixtures("results")
def test_every_task_runs(ctatlas: Terminal, scan: Path, tmp_path: Path) -> None:
    words = [word for name in tasks() if name != "autoorgan/skeleton" for word in ("--task", name)]
    done = ctatlas("segment", scan, tmp_path / "out", *words, "--combined")
    assert done.code == 0, done.err
    masks = {path.name.removesuffix(".nii.gz") for path in (tmp_path / "out" / "segmentations").glob("*")}
    assert len(masks) == 105


@pytest.mark.usefixtures("scan")
def test_a_task_without_a_model_says_how_to_get_it(
    ctatlas: Terminal, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTATLAS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("nnUNet_results", raising=False)
    done = ctatlas("segment", scan, tmp_path / "out", "--task", "autoorgan/ribs")
    assert done.code == 2
    assert "autoorgan/ribs: not installed: " in done.err
