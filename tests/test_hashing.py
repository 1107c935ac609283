from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.hashing import sha256_file, sha256_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("size", [0, 1, 300_001])
def test_a_file_hashes_like_its_bytes(tmp_path, size):
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    (tmp_path / "file").write_bytes(content)
    assert sha256_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()


@given(st.dictionaries(st.text(), JSON, min_size=2))
def test_the_order_of_keys_does_not_matter(facts):
    assert sha256_json(facts) == sha256_json(dict(reversed(facts.items())))


@pytest.mark.parametrize("other", [{"a": 1, "b": 3}, {"a": 1}, {"a": "1", "b": 2}, [1, 2], {"a": {"b": 2}}])
def test_other_facts_hash_otherwise(other):
    assert sha256_json({"a": 1, "b": 2}) != sha256_json(other)


def test_the_hash_of_known_facts_stays_what_it_is():
    expected = hashlib.sha256('{"size":[1,2.5],"structure":"Nïere"}'.encode()).hexdigest()
    assert sha256_json({"structure": "Nïere", "size": (1, 2.5)}) == expected


@pytest.mark.parametrize("facts", [float("nan"), {"a": float("inf")}])
def test_what_json_cannot_say_is_refused(facts):
    with pytest.raises(ValueError, match="JSON"):
        sha256_json(facts)
