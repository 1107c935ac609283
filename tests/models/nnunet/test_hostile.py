"""Whatever stands in a folder's JSON files, one line says what is wrong with it, or it runs."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctatlas.errors import ModelError
from ctatlas.models import card
from tests.support.nnunet_folders import Folder, write_folder

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.sampled_from([10**12, -1e308, 1e400, 0.0, "", "a", "__", "\u202e", [], {}, [[]], [None], {"a": []}, [0, 0, 0]]),
)


def _places(table: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ()
    return [place for key, value in inner for place in ((*at, key), *_places(value, (*at, key)))]


def _put(table: Any, place: tuple[str | int, ...], value: object) -> Any:
    changed = copy.deepcopy(table)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("hostile"), Folder())


@pytest.mark.parametrize("name", ["plans.json", "dataset.json"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(data=st.data())
def test_odd_values_are_refused_in_a_line(name: str, place: Path, data: st.DataObject) -> None:
    path = place / name
    sound = path.read_text(encoding="utf-8")
    table = json.loads(sound)
    changed = _put(table, data.draw(st.sampled_from(_places(table))), data.draw(odd))
    path.write_text(json.dumps(changed), encoding="utf-8")
    try:
        with suppress(ModelError):
            card(place)
    finally:
        path.write_text(sound, encoding="utf-8")
