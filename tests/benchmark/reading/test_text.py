from __future__ import annotations

from pathlib import Path

import pytest

from ctatlas.benchmark.reading import text
from ctatlas.benchmark.reading.text import read_text_table
from ctatlas.errors import TableError


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_delimiter_encoding_and_line_end(tmp_path: Path, delimiter: str, encoding: str, end: str) -> None:
    rows = [["name", "größe", "site"], ["s1", '"1 x 2"', "A"], ["s2", "", "B"]]
    content = end.join(delimiter.join(row) for row in rows) + end
    (tmp_path / "table.csv").write_bytes(content.encode(encoding))
    table = read_text_table(tmp_path / "table.csv")
    assert table.header == ("name", "größe", "site")
    assert table.rows == (("s1", "1 x 2", "A"), ("s2", "", "B"))


def test_short_rows_are_filled_long_ones_named_empty_ones_passed_over(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b,\n1\n\n,,\n1,2,,9\n")
    table = read_text_table(tmp_path / "table.csv")
    assert table.rows == (("1", ""), ("1", "2"))
    assert table.too_long == (5,)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "is empty"), (b"\n \n", "is empty"), (b'"\n', "is empty"), (b"a,b\0c\n", "is not text")],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(TableError, match=complaint):
        read_text_table(tmp_path / "table.csv")


def test_a_table_that_is_not_there_or_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TableError, match="can't be read"):
        read_text_table(tmp_path / "table.csv")
    monkeypatch.setattr(text, "AT_MOST_BYTES", 3)
    (tmp_path / "table.csv").write_text("a,b,c\n")
    with pytest.raises(TableError, match="expected a table of at most"):
        read_text_table(tmp_path / "table.csv")
