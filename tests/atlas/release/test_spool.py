"""What lies in a temporary file is found as in a dictionary, in the order of a list."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.atlas.release.spool import Hashes, Lines
from ctatlas.atlas.release.sums import files_in
from ctatlas.errors import OutputError

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@given(st.lists(st.tuples(NAMES, st.text("0123456789abcdef", max_size=4))))
def test_hashes_are_those_of_a_dictionary_sorted(pairs: list[tuple[str, str]]) -> None:
    hashes = Hashes()
    for name, sha256 in pairs:
        hashes[name] = sha256
    assert list(hashes.items()) == sorted(dict(pairs).items())
    assert list(hashes) == sorted(dict(pairs))
    assert len(hashes) == len(dict(pairs))
    assert all(hashes.get(name) == sha256 for name, sha256 in dict(pairs).items())
    assert hashes.get("none has this name") is None


def test_lines_keep_their_order_and_are_found_by_their_first_key() -> None:
    lines = Lines()
    for one, other, content in (
        ("b", "x", 1.1),
        ("a", "x", [2]),
        ("b", "y", "\0"),
        ("b", "x", float("inf")),
        ("", "", 10**30),
    ):
        lines.add(one, other, content)
    assert list(lines) == [1.1, [2], "\0", float("inf"), 10**30]
    assert list(lines.of("b")) == [1.1, "\0", float("inf")]
    assert list(lines.of("c")) == []
    assert list(lines.repeated()) == [("b", "x", 2)]
    assert len(lines) == 5


def test_a_full_disk_is_one_line() -> None:
    hashes = Hashes()
    hashes._spool._database.execute("PRAGMA max_page_count = 3")

    def fill() -> None:
        for number in range(10_000):
            hashes[f"file {number}"] = "0" * 64

    with pytest.raises(OutputError, match=r"can't hold temporary files \(database or disk is full\); make room"):
        fill()


def test_files_are_walked_in_the_order_of_their_paths(tmp_path: Path) -> None:
    names = ["a/z", "a-b/x", "a.b", "a0", "a/b/c", "ä/ö", "A", "a-/y", "a b/c"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "to nothing").symlink_to(tmp_path / "nothing")
    assert list(files_in(tmp_path)) == sorted([*names, "to nothing"])
