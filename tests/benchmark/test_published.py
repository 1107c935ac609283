from __future__ import annotations

import json
from pathlib import Path

import pytest

from ctatlas.benchmark.published import chosen, published
from ctatlas.errors import TableError


@pytest.fixture(scope="module")
def cited(shared_data: Path) -> dict[str, object]:
    stored = json.loads(
        (shared_data.parent / "reference" / "vectors" / "touchstone_cited.json").read_text(encoding="utf-8")
    )
    assert isinstance(stored, dict)
    return stored


def figures(name: str) -> dict[tuple[str, str, str], tuple[float, float | None]]:
    return {(f.model, f.structure, f.metric): (f.mean, f.sd) for f in published()[name].figures}


def test_every_table_says_what_it_is_and_where_it_is_from() -> None:
    for table in published().values():
        assert all((table.title, table.test_set, table.kind, table.remark, table.source, table.figures))


def test_the_leaderboard_is_the_cited_one(cited) -> None:
    ours = figures("touchstone-jhh")
    averages = {model: mean for (model, structure, _), (mean, _) in ours.items() if structure == "average"}
    assert averages == cited["leaderboard_dsc_percent"]["average"]
    assert len(ours) == 17 * 10
    assert ours["MedNeXt", "pancreas", "dsc"] == (83.3, None)


def test_means_on_totalsegmentator_are_the_cited_ones(cited) -> None:
    ours = figures("touchstone-totalsegmentator")
    for model, row in cited["totalsegmentator"].items():
        assert ours[model, "average", "dsc"][0] == pytest.approx(100 * row["dsc_organ_mean"], abs=0.01)
        assert ours[model, "liver", "nsd"][0] == pytest.approx(100 * row["nsd_mean"]["liver"], abs=0.01)
    assert len(ours) == 19 * 20


def test_the_poster_holds_four_networks_trained_twice(cited) -> None:
    ours = figures("abdomenatlas-8k-poster")
    assert len(ours) == 4 * 2 * 2
    assert ours["UNETR, trained on AbdomenAtlas-8K", "average", "nsd"] == (59.5, 10.4)
    assert ours["Swin UNETR, trained on JHH", "average", "dsc"] == tuple(cited["poster"]["SwinUNETR"]["jhh_trained"][0])


def test_tables_are_chosen_by_name() -> None:
    assert [table.name for table in chosen(["touchstone-jhh", "touchstone-jhh"])] == ["touchstone-jhh"]
    assert len(chosen(["all"])) == len(published()) == 3
    with pytest.raises(TableError, match="no published figures 'msd'; there are touchstone-jhh"):
        chosen(["msd"])
