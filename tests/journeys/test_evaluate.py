"""Predictions against references, as a person would call it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctatlas.errors import CtatlasError
from tests.benchmark.evaluate.bodies import body, case_folder
from tests.support_command import Terminal


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Write references a and b, and predictions a and c."""
    for folder, cases in (("gt", "ab"), ("pred", "ac")):
        for case in cases:
            case_folder(tmp_path / folder, case, body())
    return tmp_path / "gt", tmp_path / "pred", tmp_path / "out"


def test_a_table_and_what_has_no_partner(ctatlas: Terminal, places: tuple[Path, Path, Path]) -> None:
    gt, pred, out = places
    done = ctatlas("evaluate", gt, pred, "--out", out, "-m", "dsc", "--quiet")
    assert (done.code, done.out) == (3, "")
    assert "ctatlas: b: prediction: has no prediction" in done.err
    assert "ctatlas: predictions without a reference: c" in done.err
    done = ctatlas("evaluate", gt, pred, "--out", out, "-m", "dsc")
    line = next(line.split() for line in done.out.splitlines() if line.startswith("spleen"))
    assert line == ["spleen", "1", "1.000", "1.000", "1"]


def test_json_says_the_same(ctatlas: Terminal, places: tuple[Path, Path, Path]) -> None:
    gt, pred, out = places
    found = ctatlas("evaluate", gt, pred, "--out", out, "-m", "dsc,volume_error_ml", "--json").json
    spleen = next(each for each in found["structures"] if each["structure"] == "spleen")
    assert [middle["metric"] for middle in spleen["middles"]] == ["dsc", "volume_error_ml"]
    assert [each["case"] for each in found["failures"]] == ["b"]
    assert [each["kind"] for each in found["warnings"]] == ["surplus_prediction"]


def test_a_dry_run_writes_nothing(ctatlas: Terminal, places: tuple[Path, Path, Path]) -> None:
    gt, pred, out = places
    done = ctatlas("evaluate", gt, pred, "--out", out, "--dry-run", "--json")
    assert [(case["case"], case["would"]) for case in done.json["cases"]] == [("a", "evaluate"), ("b", "evaluate")]
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--tolerance", "1", "--tolerances", "flare22"], "not both"),
        (["--metrics", "dice"], "no metric 'dice'"),
        (["--label-set", "amso"], "no label set is called 'amso'; near: amos"),
    ],
)
def test_a_wrong_call_is_one_line(
    ctatlas: Terminal, places: tuple[Path, Path, Path], words: list[str], complaint: str
) -> None:
    done = ctatlas("evaluate", *places[:2], "--out", places[2], *words)
    assert done.code == CtatlasError.exit_code
    assert complaint in done.complaint


def test_empty_folders_are_refused(ctatlas: Terminal, tmp_path: Path) -> None:
    for name in ("gt", "pred"):
        (tmp_path / name).mkdir()
    done = ctatlas("evaluate", tmp_path / "gt", tmp_path / "pred", "--out", tmp_path / "out")
    assert done.code == CtatlasError.exit_code
    assert "holds no masks" in done.complaint


def test_lesions_in_the_terminal_and_in_json(ctatlas: Terminal, tmp_path: Path) -> None:
    for folder in ("gt", "pred"):
        for case in "ab":
            names = {1: "liver", 2: "liver_tumor"}
            case_folder(
                tmp_path / folder, case, body((1, 0, 0) if (folder, case) == ("pred", "b") else (0, 0, 0), names)
            )
    words = ("evaluate", tmp_path / "gt", tmp_path / "pred", "--out", tmp_path / "out", "-m", "dsc")
    done = ctatlas(*words, "--lesions", "liver_tumor", "--lesion-rule", "one_to_one:0.5")
    line = next(line.split() for line in done.out.splitlines() if "one_to_one" in line)
    assert line == ["liver_tumor", "all", "one_to_one", "0.5", "2", "2", "1.000", "0.342-1.000", "0.00"]
    found = ctatlas(*words, "--lesions", "all", "--json").json
    assert found["lesions"][0]["n_found"] == 2
    assert (found["patients"][0]["n_positive"], found["patients"][0]["n_negative"]) == (2, 0)
    assert "is no number" in ctatlas(*words, "--lesions", "all", "--lesion-rule", "overlap:half").err
