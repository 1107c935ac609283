"""Questions and answers as files of an atlas, and what `status` makes of them."""

from pathlib import Path

import numpy as np
import pytest

from ctatlas.atlas import Atlas, AtlasConfig
from ctatlas.atlas.queries import PLACES, STRATEGIES, Budget, ask, places_record, queries_of, remaining_in
from ctatlas.atlas.records import CaseRecord, GridRecord, RevisedMask, RevisionRecord, write_record
from ctatlas.errors import AtlasError
from ctatlas.execution import result_folder
from ctatlas.volume import Grid
from tests.atlas.queries.drawn import candidate
from tests.support_command import Terminal

GRID = GridRecord.of(Grid((9, 8, 7), np.diag([2.0, 2, 3, 1])))


@pytest.fixture
def atlas(tmp_path):
    atlas = Atlas.create(tmp_path / "atlas", AtlasConfig(name="asked"))
    rng = np.random.default_rng(4)
    for number in range(12):
        place = atlas.place.case(f"case-{number:02d}")
        place.attention.mkdir(parents=True)
        record = CaseRecord(
            case=place.case, dataset="d", dataset_case=place.case, grid=GRID, ct_sha256="", voxels_sha256=""
        )
        write_record(record, place.record)
        tiles = [
            candidate(rng, row, case=place.case, structure=name) for row in range(4) for name in ("liver", "aorta")
        ]
        write_record(places_record(tiles), place.attention / PLACES)
    return atlas


def answer(atlas, item, changed_ml):
    place = atlas.place.case(item.case)
    number = len(place.revisions()) + 1
    mask = RevisedMask(sha256="", volume_ml=1, n_voxels=1, added_ml=changed_ml, removed_ml=0)
    with result_folder(place.revision(number), {}) as folder:
        record = RevisionRecord(number=number, author="a", created="", masks={item.structure: mask})
        write_record(record, folder / "revision.json")


def test_questions_are_numbered_and_kept(atlas):
    first, second = ask(atlas, Budget(30)), ask(atlas, Budget(30), strategy="random")
    assert [record.number for record in queries_of(atlas)] == [1, 2]
    assert queries_of(atlas) == [first, second]
    assert (first.strategy, second.strategy) == ("default", "random")


def test_what_was_looked_at_is_not_asked_for_again(atlas):
    asked = ask(atlas, Budget(1000)).items
    answered = next(item for item in asked if not item.is_random)
    answer(atlas, answered, 1.0)
    again = [item for item in ask(atlas, Budget(1000)).items if not item.is_random]
    assert (answered.case, answered.structure) not in {(item.case, item.structure) for item in again}
    assert len(again) > 40


def test_status_tells_what_is_still_wrong(atlas, capsys):
    assert remaining_in(atlas) is None
    audit = [item for item in ask(atlas, Budget(60)).items if item.is_random]
    assert remaining_in(atlas) is None
    for item in audit:
        answer(atlas, item, 3.0)
    found = remaining_in(atlas)
    assert found.n_answered == len(audit) == 6
    assert found.wrong_ml.value == pytest.approx(sum(3 * (1 / item.inclusion - 1) for item in audit))
    status = Terminal(capsys)
    told = status("status", atlas.place.root, "--json").json["remaining_error"]
    assert told["wrong_ml"]["value"] == pytest.approx(found.wrong_ml.value)
    assert "Still wrong, by 6 of 6 structures drawn at random" in status("status", atlas.place.root).out


def test_an_atlas_without_attention_is_said(tmp_path):
    with pytest.raises(AtlasError, match="run 'ctatlas attend'"):
        ask(Atlas.create(tmp_path / "atlas", AtlasConfig(name="empty")), Budget(10))


def test_the_strategy_of_the_atlas_is_one_there_is():
    assert AtlasConfig(name="any").queries.strategy in STRATEGIES


def test_the_command_writes_a_query_and_shows_it(atlas, capsys):
    revise = Terminal(capsys)
    told = revise("revise", "ask", atlas.place.root, 30, "--strategy", "entropy", "--seed", 3, "--json").json
    assert told == queries_of(atlas)[0].model_dump(mode="json")
    shown = revise("revise", "ask", atlas.place.root, 30).out
    assert shown.startswith("Query 2 by 'default'")
    assert "at random, chance 0." in shown
    refused = revise("revise", "ask", atlas.place.root, 30, "--strategy", "entropie")
    assert (refused.code, "foreground-random" in refused.complaint) == (2, True)
    assert len(queries_of(atlas)) == 2


def test_the_command_asks_for_a_number_of_places(atlas, capsys):
    revise = Terminal(capsys)
    told = revise("revise", "ask", atlas.place.root, "--places", 15, "--json").json
    assert (len(told["items"]), told["budget_places"], told["budget_minutes"]) == (15, 15, None)
    both = revise("revise", "ask", atlas.place.root, 5, "-n", 15, "--json").json
    assert len(both["items"]) < 15
    assert sum(item["minutes"] for item in both["items"]) <= 5
    neither = revise("revise", "ask", atlas.place.root)
    assert (neither.code, "--places" in neither.complaint) == (2, True)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_is_in_the_manual(name):
    page = (Path(__file__).parents[3] / "docs" / "atlas-attention.md").read_text(encoding="utf-8")
    assert f"| `{name}` | {STRATEGIES[name].about} | {STRATEGIES[name].source} |" in page
