"""The report in a real browser, as a reader opens it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctatlas.benchmark.analysis import Choices, analyse
from ctatlas.benchmark.published import chosen
from ctatlas.benchmark.report.page import write_report
from tests.support.browser import BROWSER, see
from tests.support.results_tables import generate

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium; scripts/install_oracles.sh installs it")


def report_of(folder: Path, n_models: int, n_cases: int, n_short: int) -> Path:
    made = generate(folder, n_models, n_cases, short=(2,), n_short=n_short)
    analysis = analyse(made.folder, made.metadata, Choices(metrics=("dsc",) if n_models < 19 else ()))
    write_report(analysis, folder, command="ctatlas benchmark results --out report", published=chosen(["all"]))
    return folder / "report.html"


def check(report: Path, scratch: Path, n_pictures: int) -> None:
    seen = see(report, scratch)
    assert seen.errors == []
    assert seen.asked == []
    assert len(seen.pictures) == n_pictures == len(list((report.parent / "figures").glob("*.png")))
    assert all(width > 300 and height > 100 and alt for width, height, alt in seen.pictures)
    assert (seen.overflows, seen.broken_links) == (False, 0)


def test_a_report_opens_whole_and_asks_for_nothing(tmp_path: Path) -> None:
    check(report_of(tmp_path, 4, 60, 10), tmp_path, 11)


def test_a_narrow_window_is_wide_enough(tmp_path: Path) -> None:
    assert not see(report_of(tmp_path, 3, 40, 0), tmp_path, width=500).overflows


@pytest.mark.slow
def test_a_report_of_19_models_on_743_cases_opens_whole_and_asks_for_nothing(tmp_path: Path) -> None:
    check(report_of(tmp_path, 19, 743, 87), tmp_path, 23)


def test_a_page_that_is_not_whole_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        '<!DOCTYPE html><html><head></head><body><img src="http://example.invalid/a.png"><script>null.x</script>'
        '<a href="#nowhere">a</a><div style="width: 5000px">b</div></body></html>'
    )
    seen = see(page, tmp_path)
    assert any("null" in error for error in seen.errors)
    assert any("not loaded: http://example.invalid" in error for error in seen.errors)
    assert "http://example.invalid/a.png" in seen.asked
    assert seen.pictures[0][0] == 0
    assert (seen.overflows, seen.broken_links) == (True, 1)
