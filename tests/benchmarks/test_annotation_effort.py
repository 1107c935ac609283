"""The benchmark of annotation effort, in small: its bookkeeping is right, and it tells what it should."""

import json

import numpy as np
import pytest

from benchmarks import annotation_effort as effort
from ctatlas.atlas.queries import STRATEGIES


@pytest.fixture(scope="module")
def atlas():
    return effort.simulated_atlas(2, seed=1)


def test_tiles_hold_all_that_is_right_and_wrong(atlas):
    truth = effort.phantom_truth(0)
    units = [unit for unit, (case, _) in enumerate(atlas.units) if case == "case-0000"]
    for unit in units:
        own = atlas.unit == unit
        total = (atlas.truth.tp + atlas.truth.fn)[own].sum()
        assert total == truth[atlas.units[unit][1]].sum()


def test_correcting_everything_makes_it_right_and_never_worse(atlas):
    full = effort.whole_structures(atlas, [list(range(len(atlas.units)))])
    assert (full.dice[-1], full.nsd[-1]) == (pytest.approx(1), pytest.approx(1))
    assert full.dice[0] < 0.97
    for name in ("attention", "random"):
        curve = effort.by_strategy(atlas, name, full.minutes[-1], seed=0)
        assert (np.diff(curve.dice) >= -1e-9).all()
        assert (np.diff(curve.minutes) > 0).all()
        assert curve.dice[-1] > curve.dice[0]


def test_nothing_is_corrected_twice(atlas):
    annotator = effort.Annotator(atlas)
    every = np.arange(len(atlas.unit))
    first, second = annotator.correct(every), annotator.correct(every)
    assert first == pytest.approx(effort.minutes().correct * atlas.wrong_ml().sum())
    assert second == 0


def test_the_published_list_leaves_out_what_it_does_not_see(atlas):
    listed = [unit for case in atlas.published for unit in case]
    assert 0 < len(listed) == len(set(listed)) <= len(atlas.units)


def test_silent_faults_are_invisible_to_entropy_but_wrong(monkeypatch):
    silent = tuple(
        effort.Fault(fault.name, 1.0, fault.radius_mm, 1.0) for fault in effort.FAULTS if fault.name == "cut"
    )
    monkeypatch.setattr(effort, "FAULTS", silent)
    truth = effort.phantom_truth(0)
    told = effort.predicted({name: truth[name] for name in ("spleen", "liver")}, np.random.default_rng(0))
    spleen, members = truth["spleen"], told["spleen"]
    lowest = spleen & (np.arange(spleen.shape[2]) < np.flatnonzero(spleen.any(axis=(0, 1)))[0] + 2)
    assert max(values[lowest].max() for values in members) < 10


def test_the_same_seed_gives_the_same_atlas(atlas):
    again = effort.simulated_atlas(1, seed=1)
    first = atlas.candidates.case == "case-0000"
    assert again.candidates.gain.tolist() == atlas.candidates.gain[first].tolist()


def test_levels_that_are_not_reached_are_told_so():
    curve = effort.Curve([0, 10], [0.5, 0.9], [0.5, 0.6])
    full = effort.Curve([0, 20], [0.5, 1.0], [0.5, 1.0])
    found = effort.measures(curve, full)
    assert found["dice_minutes_to_95"] is None
    assert found["dice_area"] == pytest.approx((0.7 + 0.9) / 2, abs=1e-3)
    assert effort.summary([{"strategy": "a", "seed": 0, "curve": {}, **found}])[0]["dice_minutes_to_95"] is None


def test_it_runs_from_end_to_end(tmp_path):
    out, table, picture = (tmp_path / name for name in ("out.json", "out.md", "out.png"))
    effort.main(out, cases=1, seeds=1, table_file=table, plot_file=picture)
    told = json.loads(out.read_text())
    assert {row["strategy"] for row in told["summary"]} >= STRATEGIES.keys() | {"full review"}
    assert told["published_figures"]["revised_cases"] == 400
    assert "400 of 8448" in table.read_text()
    assert picture.read_bytes().startswith(b"\x89PNG")
