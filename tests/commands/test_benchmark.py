"""`ctatlas benchmark`, as a person calls it: the files are what the manual says."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.support.results_tables import STRUCTURES, Generated, generate
from tests.support_command import Terminal

COLUMNS = {
    "summary.csv": "model structure metric cohort mean_kind n mean sd ddof median ci_low ci_high",
    "pairwise.csv": "structure metric better worse n p p_holm significant",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    return generate(tmp_path_factory.mktemp("results"), 3, 60, short=(2,), n_short=10)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_writes_tables_with_the_stated_columns_in_percent(ctatlas: Terminal, made: Generated, tmp_path: Path) -> None:
    done = ctatlas("benchmark", made.folder, "--metadata", made.metadata, "--out", tmp_path / "out", "--resamples", 200)
    assert done.code == 0
    assert "net-a" in done.out
    for name, columns in COLUMNS.items():
        assert (tmp_path / "out" / name).read_text().splitlines()[0] == columns.replace(" ", ",")
    names = {"summary.csv", "pairwise.csv", "ranks.csv", "subgroups.csv", "warnings.csv", "effects.csv"}
    assert names <= {path.name for path in (tmp_path / "out").iterdir()}
    (row,) = [
        row
        for row in rows(tmp_path / "out" / "summary.csv")
        if (row["model"], row["structure"], row["metric"], row["cohort"], row["ddof"])
        == ("net-a", "liver", "dsc", "own", "1")
    ]
    written = np.round(made.values["dsc"][0, :, STRUCTURES.index("liver")], 4)
    assert float(row["mean"]) == pytest.approx(100 * np.nanmean(written), rel=1e-14)
    assert float(row["sd"]) == pytest.approx(100 * np.nanstd(written, ddof=1), rel=1e-12)
    assert {row["significant"] for row in rows(tmp_path / "out" / "pairwise.csv")} <= {"true", "false"}


def test_a_second_run_gives_the_same_bytes(ctatlas: Terminal, made: Generated, tmp_path: Path) -> None:
    for name in ("one", "two"):
        words = ["--out", tmp_path / name, "--resamples", 100, "--metrics", "dsc"]
        assert ctatlas("benchmark", made.folder, "--metadata", made.metadata, *words).code == 0
    for path in (path for path in (tmp_path / "one").rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def test_what_cannot_be_read_is_named_and_the_rest_evaluated(ctatlas: Terminal, tmp_path: Path) -> None:
    again = generate(tmp_path, 2, 30)
    (again.folder / "broken").mkdir()
    words = ["benchmark", again.folder, "--out", tmp_path / "out", "--resamples", 100, "--metrics", "dsc"]
    done = ctatlas(*words)
    assert done.code == 3
    assert "ctatlas: broken: an empty folder; expected" in done.err
    assert [(row["case"], row["stage"]) for row in rows(tmp_path / "out" / "failures.csv")] == [("broken", "read")]
    (again.folder / "broken").rmdir()
    assert ctatlas(*words).code == 0
    assert not (tmp_path / "out" / "failures.csv").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--metadata", "nowhere.csv"], "nowhere.csv: can't be read"),
        (["--by", "scanner"], "no column 'scanner' in the metadata"),
        (["--metrics", "dsc,dice"], "no metric 'dice'"),
    ],
)
def test_a_wrong_call_is_one_line(
    ctatlas: Terminal, made: Generated, tmp_path: Path, words: list[str], complaint: str
) -> None:
    done = ctatlas("benchmark", made.folder, "--out", tmp_path / "out", *words)
    assert (done.code, done.out) == (2, "")
    assert complaint in done.complaint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", [".", "report"])
def test_a_report_among_the_models_is_refused(ctatlas: Terminal, made: Generated, place: str) -> None:
    done = ctatlas("benchmark", made.folder, "--out", made.folder / place)
    assert (done.code, done.out) == (2, "")
    assert "where each folder is a model" in done.complaint


def test_an_empty_folder_is_one_line(ctatlas: Terminal, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    done = ctatlas("benchmark", tmp_path / "results", "--out", tmp_path / "out")
    assert done.code == 2
    assert done.err.count("\n") == 1


def test_strict_refuses_what_would_be_flagged(ctatlas: Terminal, made: Generated, tmp_path: Path) -> None:
    done = ctatlas("benchmark", made.folder, "--out", tmp_path / "out", "--resamples", 100, "--strict")
    assert (done.code, done.out) == (2, "")
    assert "net-c: was evaluated on 50 of 60 cases" in done.complaint
    assert not (tmp_path / "out").exists()


def test_json_says_the_same(ctatlas: Terminal, made: Generated, tmp_path: Path) -> None:
    done = ctatlas("benchmark", made.folder, "--out", tmp_path / "out", "--resamples", 100, "-m", "nsd", "--json")
    assert done.json["models"] == list(made.models)
    assert done.json["metrics"] == ["nsd"]
    assert all(Path(name).is_file() for name in done.json["files"])


def test_one_model_is_summarised_and_compared_with_nothing(ctatlas: Terminal, tmp_path: Path) -> None:
    made = generate(tmp_path, 1, 30)
    assert ctatlas("benchmark", made.folder, "--metadata", made.metadata, "--out", tmp_path / "out").code == 0
    assert rows(tmp_path / "out" / "pairwise.csv") == []
    assert len(rows(tmp_path / "out" / "summary.csv")) == 2 * 2 * 2 * (len(STRUCTURES) + 2)
