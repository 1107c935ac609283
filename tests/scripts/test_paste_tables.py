"""Tables of the manual are replaced by what benchmarks wrote, and only they."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scripts.paste_tables import main

if TYPE_CHECKING:
    import pytest

PAGE = "Before.\n\n<!-- table: one -->\nold\n<!-- /table -->\n\n<!-- table: two -->\nkept\n<!-- /table -->\nAfter.\n"


def test_a_table_is_replaced_and_one_without_a_file_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    (tmp_path / "one.md").write_text("| a |\n")
    main(page, tmp_path)
    main(page, tmp_path)  # once more changes nothing
    assert page.read_text() == PAGE.replace("old\n", "\n| a |\n\n")
    assert "two.md is not there" in capsys.readouterr().err
