"""Make the pictures of the page on benchmarks: figures and the top of a report of generated results.

Run it from the root of the repository:  PYTHONPATH=. python scripts/make_docs_benchmark.py
19 models and 743 cases that never were (`tests/support/results_tables.py`); the page is drawn by Chromium.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from ctatlas.benchmark.analysis import analyse
from ctatlas.benchmark.report.page import write_report
from tests.support.browser import screenshot
from tests.support.results_tables import generate

TARGET = Path("docs/pictures")
FIGURES = {"significance_dsc": "benchmark-map", "places_nsd": "benchmark-places", "groups_dsc": "benchmark-groups"}
COMMAND = "ctatlas benchmark results --metadata metadata.csv --out report"
COLOURS = 64  # of a palette: flat figures lose nothing by it


def main() -> None:
    """Make them all."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        made = generate(folder, n_short=87)
        write_report(analyse(made.folder, made.metadata), folder, command=COMMAND)
        for figure, name in FIGURES.items():
            _save(folder / "figures" / f"{figure}.png", name)
        screenshot(folder / "report.html", folder, folder / "page.png", width=1100, height=2350)
        _save(folder / "page.png", "benchmark-report")


def _save(picture: Path, name: str) -> None:
    with Image.open(picture) as image:
        image.convert("RGB").quantize(COLOURS).save(TARGET / f"{name}.png", optimize=True)
        print(TARGET / f"{name}.png", image.size, (TARGET / f"{name}.png").stat().st_size)


if __name__ == "__main__":
    main()
