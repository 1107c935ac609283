"""Numbers of released cases: given once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctatlas.atlas.layout import AtlasPlace
from ctatlas.atlas.release.ids import numbers, released_id, remember
from ctatlas.errors import AtlasError


def test_cases_are_counted_in_the_order_of_their_ids(tmp_path: Path) -> None:
    assert numbers(AtlasPlace(tmp_path), "BDMAP", {"b": "x", "a": "y"}) == {"a": 1, "b": 2}


def test_a_case_of_a_published_release_keeps_its_number_where_that_is_free(tmp_path: Path) -> None:
    place = AtlasPlace(tmp_path)
    names = {"a": "BDMAP_00000012", "b": "BDMAP_00000012", "c": "BDMAP_00000000", "d": "OTHER_00000003"}
    assert numbers(place, "BDMAP", names) == {"a": 12, "b": 13, "c": 14, "d": 15}


def test_numbers_are_never_given_again(tmp_path: Path) -> None:
    place = AtlasPlace(tmp_path)
    remember(place, {"gone": 7, "a": 2})
    assert numbers(place, "BDMAP", {"a": "", "b": ""}) == {"gone": 7, "a": 2, "b": 8}


BROKEN = ["", "x\n", "number,case\n1\n", "number,case\n1,a\n1,b\n", "number,case\n0,a\n", "number,case\nx,a\n"]


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_register_is_refused_rather_than_begun_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases/ids.csv").write_text(text)
    with pytest.raises(AtlasError, match="is no register of ids"):
        numbers(AtlasPlace(tmp_path), "BDMAP", {"a": ""})


def test_ids_have_eight_digits() -> None:
    assert released_id("BDMAP", 99_999_999) == "BDMAP_99999999"
    with pytest.raises(AtlasError, match="no id of 8 digits left"):
        released_id("BDMAP", 10**8)
