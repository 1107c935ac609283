"""The report as one HTML file that needs nothing but itself, and its figures as SVG and PNG beside it."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any

from ctatlas import __version__
from ctatlas.benchmark.analysis import Analysis
from ctatlas.benchmark.figures.gallery import Picture, other_metrics, pictures, shown_metrics
from ctatlas.benchmark.figures.style import as_png, as_svg, laid_out, spoken
from ctatlas.benchmark.flags import Flag
from ctatlas.benchmark.published import Published
from ctatlas.benchmark.report import tables, words
from ctatlas.benchmark.scores import AVERAGE
from ctatlas.errors import OutputError
from ctatlas.progress import SILENT, Progress
from ctatlas.results import NOTICE
from ctatlas.volume import whole_file

REPORT, FIGURES = "report.html", "figures"
_TABLES_OF_STRUCTURES = 2  # metrics; the others are in summary.csv


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure as the page holds it: its SVG in base64."""

    name: str
    alt: str
    caption: str
    svg: str


@dataclass
class _Numbers:
    """Count tables and figures in the order in which the page shows them."""

    tables: count[int] = field(default_factory=lambda: count(1))
    figures: count[int] = field(default_factory=lambda: count(1))

    def table(self) -> int:
        return next(self.tables)

    def figure(self) -> int:
        return next(self.figures)


def write_report(
    analysis: Analysis,
    folder: Path,
    *,
    command: str,
    published: Sequence[Published] = (),
    progress: Progress = SILENT,
) -> list[str]:
    """Write the page and its figures into an existing folder, and return their names.

    Parameters
    ----------
    command : str
        The words that make it again.
    published : sequence of Published, optional
        Tables of others to stand beside what was measured.

    Raises
    ------
    OutputError
        When the folder can't be written to.
    """
    try:
        (folder / FIGURES).mkdir(exist_ok=True)
    except OSError as fault:
        raise OutputError(f"{folder / FIGURES}: can't be made ({fault.strerror or fault})") from None
    shown = list(pictures(analysis))
    progress.stage("figures", len(shown))
    drawn: dict[str, list[Drawn]] = defaultdict(list)
    names: list[str] = []
    for picture in shown:
        saved = _saved(picture, folder / FIGURES)
        if picture.is_shown:
            drawn[picture.section].append(saved)
        names += [f"{FIGURES}/{picture.name}.svg", f"{FIGURES}/{picture.name}.png"]
        progress.advance()
    _write(folder / REPORT, page(analysis, drawn, command=command, published=published).encode())
    return [REPORT, *names]


def page(
    analysis: Analysis, drawn: dict[str, list[Drawn]], *, command: str, published: Sequence[Published] = ()
) -> str:
    """Return the page as text."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = files("ctatlas.benchmark.report").joinpath("page.html").read_text(encoding="utf-8")
    figures = defaultdict(list, drawn)
    content = _content(analysis, published)
    return environment.from_string(template).render(
        **content,
        figures=figures,
        numbers=_Numbers(),
        where=_where,
        command=command,
        version=__version__,
        notice=NOTICE,
    )


def _content(analysis: Analysis, published: Sequence[Published]) -> dict[str, Any]:
    results = analysis.results
    shown = shown_metrics(analysis)
    models, cases = words.counted(len(results.models), "model"), words.counted(len(results.cases), "case")
    structures = words.counted(len(results.structures), "structure")
    several = len(results.models) > 1
    overall = [" ".join(words.overall(analysis, scores)) for scores in shown]
    of_severity = {
        severity: tables.flags_by_kind([flag for flag in analysis.flags if flag.severity == severity])
        for severity in ("error", "warning", "note")
    }
    sections = [
        ("summary", "Summary"), ("methods", "Methods"), ("overall", "All structures"),
        *([("ranking", "Ranks"), ("pairs", "Pairs")] if several else []), ("structures", "By structure"),
        *([("subgroups", "Sub-groups")] if analysis.groupings else []), ("cases", "Case by case"),
        *([("published", "Published figures")] if published else []), ("files", "Files"),
    ]  # fmt: skip
    return {
        "title": f"{models} on {cases}, {structures}",
        "facts": f"{words.listed([s.metric.title for s in results.scores], 12)} · ctatlas {__version__}",
        "sections": sections,
        "several": several,
        "summary": [" ".join(words.in_short(analysis, scores) for scores in shown), _stated(analysis)],
        "others": words.listed([scores.metric.title for scores in other_metrics(analysis)], 24),
        "has_others": bool(other_metrics(analysis)),
        "flags": of_severity,
        "methods": words.methods(analysis),
        "data_card": tables.data_card(analysis),
        "groups_card": tables.groups_card(analysis),
        "overall": overall,
        "leaderboard": tables.leaderboard(analysis),
        "stability": [text for scores in shown if (text := words.stability(analysis, scores))],
        "pairs": [table for scores in shown if (table := tables.first_against_others(analysis, scores))],
        "by_structure": [tables.by_structure(analysis, scores) for scores in shown[:_TABLES_OF_STRUCTURES]],
        "subgroups": [text for scores in shown for text in words.differences_of_groups(analysis, scores)],
        "hardest": [table for scores in shown[:1] if (table := tables.hardest_cases(analysis, scores))],
        "published": [tables.beside_published(analysis, table) for table in published],
    }


def _where(flag: Flag) -> str:
    """Say what a flag is about, before its message."""
    structure = spoken(flag.structure) if flag.structure not in ("", AVERAGE) else ""
    place = ", ".join(filter(None, (flag.model, flag.metric.upper(), structure, flag.case)))
    return f"{place}: " if place else ""


def _stated(analysis: Analysis) -> str:
    """Say how much there is to know before the figures are used."""
    n = sum(flag.severity == "warning" for flag in analysis.flags)
    if not n:
        return "No sign was found that these figures mislead."
    return (
        f"{words.counted(n, 'thing')} to know before these figures are quoted {'stands' if n == 1 else 'stand'} below."
    )


def _saved(picture: Picture, folder: Path) -> Drawn:
    figure = laid_out(picture.draw())
    svg = as_svg(figure)
    _write(folder / f"{picture.name}.svg", svg)
    _write(folder / f"{picture.name}.png", as_png(figure))
    return Drawn(picture.name, picture.alt, picture.caption, base64.b64encode(svg).decode())


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as file:
        file.write(content)
