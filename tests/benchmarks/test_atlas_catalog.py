"""The benchmark of the index, in small: what it writes are records, and every question has an answer."""

import json

from benchmarks import atlas_catalog
from ctatlas.atlas import Atlas
from ctatlas.atlas.catalog import questions


def test_the_records_it_writes_are_sound(tmp_path):
    out = tmp_path / "out.json"
    atlas_catalog.main(out, folder=tmp_path / "atlas", cases=3, catalog="", repeats=1)
    told = json.loads(out.read_text())
    assert told["cases"] == 3
    assert all(times["s"] > 0 for times in (told["rebuild"], told["status"]))
    with Atlas.open(tmp_path / "atlas").catalog() as catalog, catalog.session() as session:
        counts = questions.label_counts(session)
        assert len(counts) == 25
        assert {name: n["pseudo"] for name, n in counts.items()} == dict.fromkeys(counts, 3)
        assert len(questions.cases_by_attention(session)) == 3
