"""Put tables that benchmarks wrote into a page of the manual: `python scripts/paste_tables.py docs/PAGE.md [FOLDER]`.

What stands between `<!-- table: NAME -->` and `<!-- /table -->` is replaced by FOLDER/NAME.md; a table whose file is
not there stays as it is, and is named.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

MARKED = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- /table -->)", re.DOTALL)


def pasted(page: str, folder: Path) -> str:
    """Return a page with its tables as they lie in a folder."""

    def fresh(found: re.Match[str]) -> str:
        file = folder / f"{found[2]}.md"
        if not file.is_file():
            print(f"{file} is not there: its table stays as it is", file=sys.stderr)
            return found[0]
        return f"{found[1]}\n{file.read_text(encoding='utf-8')}\n{found[3]}"

    return MARKED.sub(fresh, page)


def main(page: Path, folder: Path) -> None:
    """Paste the tables into a page."""
    page.write_text(pasted(page.read_text(encoding="utf-8"), folder), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "build"))
