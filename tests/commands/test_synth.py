from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.support_command import Terminal


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw coarse phantoms, which take a fraction of a second."""
    from ctatlas.synthesis import cases

    draw = cases.draw_case
    monkeypatch.setattr(
        cases,
        "draw_case",
        lambda seed, number, conditions: draw(seed, number, shape=(40, 36, 24), conditions=conditions, exact=False),
    )


def test_phantoms_have_scan_truth_and_record(ctatlas: Terminal, tmp_path: Path) -> None:
    done = ctatlas("synth", "phantom", "-n", 2, "--seed", 3, tmp_path / "out", "--json")
    assert done.code == 0
    assert {case["case"] for case in done.json["cases"]} == {"phantom_3_0001", "phantom_3_0002"}
    case = tmp_path / "out" / "phantom_3_0001"
    assert {path.name for path in case.iterdir()} == {
        "combined_labels.nii.gz",
        "ct.nii.gz",
        "labels.json",
        "numbered_bones.json",
        "numbered_bones.nii.gz",
        "phantom.json",
        "run.json",
    }
    ct, labels = nib.load(case / "ct.nii.gz"), nib.load(case / "combined_labels.nii.gz")
    np.testing.assert_array_equal(ct.affine, labels.affine)
    present = set(np.unique(np.asarray(labels.dataobj))) - {0}
    assert present <= {int(number) for number in json.loads((case / "labels.json").read_text())}
    assert json.loads((case / "phantom.json").read_text())["seed"] == 3


def test_a_condition_is_everybodys(ctatlas: Terminal, tmp_path: Path) -> None:
    done = ctatlas("synth", "phantom", "-n", 2, "--condition", "splenectomy", tmp_path / "out")
    assert done.code == 0
    for file in (tmp_path / "out").glob("*/phantom.json"):
        assert json.loads(file.read_text())["phantom"]["subject"]["conditions"] == ["splenectomy"]


def test_an_unknown_condition_is_named_before_anything_is_made(ctatlas: Terminal, tmp_path: Path) -> None:
    done = ctatlas("synth", "phantom", "--condition", "gout", tmp_path / "out")
    assert done.code == 2
    assert "no condition gout; known: child, obese" in done.err
    assert not (tmp_path / "out").exists()


def test_the_same_seed_gives_the_same_phantoms_however_many(ctatlas: Terminal, tmp_path: Path) -> None:
    for n in (1, 2):
        ctatlas("synth", "phantom", "-n", n, "--seed", 5, tmp_path / str(n))
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / n / "phantom_5_0001").iterdir()} for n in ("1", "2")
    )
    assert one == two


def test_a_second_run_makes_only_what_is_missing(ctatlas: Terminal, tmp_path: Path) -> None:
    ctatlas("synth", "phantom", "-n", 1, tmp_path / "out")
    done = ctatlas("synth", "phantom", "-n", 2, tmp_path / "out", "--json")
    assert [case["state"] for case in done.json["cases"]] == ["there", "done"]


def test_a_dry_run_writes_nothing(ctatlas: Terminal, tmp_path: Path) -> None:
    done = ctatlas("synth", "phantom", "-n", 2, tmp_path / "out", "--dry-run")
    assert done.code == 0
    assert "phantom_0_0002" in done.out
    assert not (tmp_path / "out").exists()
