"""Doubts about licences are told, and only where there are some."""

from __future__ import annotations

import pytest

from ctatlas.atlas.release.licences import licence_called, licence_doubts


@pytest.mark.parametrize("spelling", ["CC BY-NC-SA 4.0", "cc-by-nc-sa-4.0", "CC-BY-NC-SA-4.0", "cc by nc sa 4.0"])
def test_usual_spellings_are_known(spelling: str) -> None:
    found = licence_called(spelling)
    assert found is not None
    assert (found.identifier, found.asks) == ("cc-by-nc-sa-4.0", {"non_commercial", "share_alike"})


@pytest.mark.parametrize(
    ("ours", "theirs", "doubts"),
    [
        ("CC BY 4.0", "CC BY 4.0", []),
        ("CC BY-NC-SA 4.0", "CC BY-NC 4.0", []),
        ("CC BY 4.0", "CC BY-NC 4.0", ["no commercial use"]),
        ("CC BY 4.0", "CC BY-NC-ND 4.0", ["nothing made of it passed on", "no commercial use"]),
        ("", "CC BY 4.0", ["not stated"]),
        ("CC BY 4.0", "", ["not known"]),
        ("CC BY 4.0", "Data use agreement", ["a person must compare: Data use agreement"]),
    ],
)
def test_what_a_person_must_settle(ours: str, theirs: str, doubts: list[str]) -> None:
    found = list(licence_doubts(ours, {"set": theirs}))
    assert len(found) == len(doubts)
    assert all(doubt in line for doubt, line in zip(doubts, found, strict=True))
