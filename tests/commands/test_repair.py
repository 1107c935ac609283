from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ctatlas.anatomy import label_set
from ctatlas.synthesis.rib_cages import RibCage, draw_rib_cage, make_rib_cage
from ctatlas.synthesis.rib_mistakes import cut_at_spine, sides_swapped
from ctatlas.volume import Volume, read_labels, write_labels, write_volume
from tests.support_command import Terminal

TOTAL = label_set("totalsegmentator-v2")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a scan and the label map of ribs that end before the spine, in somebody's numbers."""
    folder = tmp_path_factory.mktemp("given")
    cage = make_rib_cage(draw_rib_cage(41, 6, spacing_mm=(3.2, 3.1, 3.4)))
    wrong = sides_swapped(cut_at_spine(25.0)(cage, np.random.default_rng(1)), np.random.default_rng(2), count=2)
    write_labels(numbered(wrong), cage.grid, folder / "labels.nii.gz")
    write_labels(numbered(cage), cage.grid, folder / "truth.nii.gz")
    write_volume(Volume(cage.hu, cage.grid), folder / "ct.nii.gz")
    return folder


def numbered(cage: RibCage) -> np.ndarray:
    return cage.segmentation.combined({name: TOTAL.id_of(name) for name in cage.names})


def values(path: Path) -> np.ndarray:
    return read_labels(path).labels


def call(given: Path, out: Path) -> list[object]:
    return ["repair", given / "labels.nii.gz", out, "--label-set", TOTAL.name, "--ct", given / "ct.nii.gz"]


def test_a_label_map_is_repaired_in_its_own_numbers(ctatlas: Terminal, given: Path, tmp_path: Path) -> None:
    told = ctatlas(*call(given, tmp_path / "out.nii.gz"), "--json").json
    before, after, truth = (
        values(p) for p in (given / "labels.nii.gz", tmp_path / "out.nii.gz", given / "truth.nii.gz")
    )
    assert np.count_nonzero(after != truth) < 0.6 * np.count_nonzero(before != truth)
    assert {finding["rule"] for finding in told["findings"]} >= {"rib_joints", "rib_sides"}
    assert sum(rib["joined"] for rib in told["ribs"]) >= 20
    assert json.loads((tmp_path / "out.repair.json").read_text())["numbering"] == told["numbering"] == "sure"


def test_steps_left_out_change_nothing(ctatlas: Terminal, given: Path, tmp_path: Path) -> None:
    off = [word for step in ("vertebrae,sides,fragments", "numbers", "gaps,joints") for word in ("--without", step)]
    done = ctatlas(*call(given, tmp_path / "out.nii.gz"), *off)
    assert "Nothing to repair." in done.out
    assert (values(tmp_path / "out.nii.gz") == values(given / "labels.nii.gz")).all()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--without", "knees"], "no step of the repair is called 'knees'"),
        (["--repair-length", "joints.reach_mm"], "expected STEP.NAME=MM"),
        (["--repair-length", "joints.reach_mm=0"], "greater than 0"),
    ],
)
def test_a_wrong_call_is_one_line(ctatlas: Terminal, given: Path, tmp_path: Path, words: list[str], says: str) -> None:
    done = ctatlas(*call(given, tmp_path / "out.nii.gz"), *words)
    assert done.code == 2
    assert says in done.err
    assert not (tmp_path / "out.nii.gz").exists()


def test_masks_without_ribs_are_refused(ctatlas: Terminal, given: Path, tmp_path: Path) -> None:
    labels = values(given / "labels.nii.gz")
    grid = read_labels(given / "labels.nii.gz").grid
    write_labels((labels == 99).astype(np.uint8) * TOTAL.id_of("liver"), grid, tmp_path / "liver.nii.gz")
    done = ctatlas("repair", tmp_path / "liver.nii.gz", tmp_path / "out.nii.gz", "--label-set", "chaos-ct")
    assert done.code == 2


def test_what_stands_there_stays(ctatlas: Terminal, given: Path, tmp_path: Path) -> None:
    (tmp_path / "out.nii.gz").write_bytes(b"mine")
    done = ctatlas(*call(given, tmp_path / "out.nii.gz"))
    assert done.code == 2
    assert (tmp_path / "out.nii.gz").read_bytes() == b"mine"
