"""The table of networks that are trained."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

pytest.importorskip("torch")

from ctatlas.errors import ModelError
from ctatlas.models import card
from ctatlas.training.base import named
from ctatlas.training.loop import with_settings
from ctatlas.training.members import member, members


def test_the_bundled_network_has_two_smaller_ones_beside_it_that_differ() -> None:
    base, *others = (runs[0] for runs in members().values())
    assert next(iter(members())) == "base"
    assert len(others) == 2
    assert len({config.seed for config in (base, *others)}) == 3
    assert all(sum(config.widths) < sum(base.widths) for config in others)


def test_the_runs_of_a_network_can_follow_each_other() -> None:
    for runs in members().values():
        assert len({(config.seed, config.widths, config.without) for config in runs}) == 1


def test_one_network_never_sees_the_labelled_scan_that_figures_are_told_of() -> None:
    assert [name for name, (run, *_) in members().items() if "ts-example" in run.without] == ["base-c"]


@pytest.mark.parametrize("name", ["base", "base-b", "base-c"])
def test_what_the_package_brings_was_trained_as_the_table_says(name: str) -> None:
    told, (*earlier, last) = card(f"ctatlas/{name}").training, member(name)
    assert (told["steps"], told["seed"]) == (last.steps, last.seed)
    assert told["widths"] == list(last.widths)
    assert (told.get("grid_mm", 4.0), told.get("large_patch", 64)) == (last.grid_mm, last.large_patch)
    assert told["without"] == list(last.without)
    begun_from = str(told.get("begun_from", ""))
    assert re.findall(r"\((\d+) steps, seed (\d+),", begun_from) == [
        (str(run.steps), str(run.seed)) for run in reversed(earlier)
    ]


def test_three_networks_find_the_same_structures_by_different_weights() -> None:
    cards = [card(f"ctatlas/{name}") for name in members()]
    assert len({tuple(each.name for each in one.classes) for one in cards}) == 1
    assert len({one.weights.sha256 for one in cards}) == len(cards)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"grid": "3"}, "no setting 'grid' of a run; known: seed, steps"),
        ({"large_patch": "many"}, "large_patch=many: input should be a valid integer"),
    ],
)
def test_what_is_no_setting_of_a_run_is_refused(settings: dict[str, str], why: str) -> None:
    with pytest.raises(ModelError, match=why):
        with_settings(member("base")[0], settings)


def test_a_person_sets_what_a_run_is_like() -> None:
    (config, *_) = member("base-c")
    otherwise = with_settings(config, named(["grid_mm=3", "large_patch=80"]))
    assert otherwise == replace(config, grid_mm=3.0, large_patch=80)
    with pytest.raises(ModelError, match="--set grid_mm: expected NAME=VALUE"):
        named(["grid_mm"])


def test_an_unknown_network_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"no network 'base-d' is trained; known: base, base-b, base-c"):
        member("base-d")
