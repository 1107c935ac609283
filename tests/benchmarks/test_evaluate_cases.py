"""Evaluation of many cases: what the parent does alone is little, so that more cores help."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.evaluate_cases import main


def summary_of(path: Path) -> dict[int, dict[str, float]]:
    return {row["workers"]: row for row in json.loads(path.read_text())["summary"]}


def test_the_script_measures_what_it_says(tmp_path: Path) -> None:
    main(tmp_path / "found.json", cases=4, workers=[1, 2])
    found = summary_of(tmp_path / "found.json")
    assert set(found) == {1, 2}
    assert all(row["cpu_a_case_ms"] >= row["parent_cpu_a_case_ms"] > 0 for row in found.values())
    runs = json.loads((tmp_path / "found.json").read_text())["runs"]
    assert {run["rows"] for run in runs} == {4 * 12 * 4}


@pytest.mark.soak
def test_a_thousand_cases_go_nearly_linearly_over_cores(tmp_path: Path) -> None:
    """Processor time is what is judged; it, too, grows where others use the same cores, so run it at rest."""
    main(tmp_path / "found.json", cases=1000, workers=[1, 2])
    found = summary_of(tmp_path / "found.json")
    assert found[2]["cpu_a_case_ms"] < 1.25 * found[1]["cpu_a_case_ms"]
    assert found[2]["parent_cpu_a_case_ms"] < 0.15 * found[1]["cpu_a_case_ms"]
