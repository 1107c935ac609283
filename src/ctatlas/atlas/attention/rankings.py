"""Which case first, which structure first: lists for people, and the list in the published format."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ctatlas.atlas.attention.published import PublishedMaps, published_rules
from ctatlas.atlas.records import AttentionRecord, HotSpotsRecord


@dataclass(frozen=True, slots=True)
class Ranked:
    """One place of a list.

    Attributes
    ----------
    name : str
        A case or a structure.
    score : float
        Sum of the scores of its structures or cases.
    ml : float
        Volume that needs eyes.
    minutes : float
        Expected time to work off its hot spots.
    n : int
        How many structures or cases count into it.
    """

    name: str
    score: float
    ml: float
    minutes: float
    n: int


def ranked_cases(cases: Mapping[str, HotSpotsRecord]) -> list[Ranked]:
    """Rank cases by expected gain, the highest first; ties by name."""
    return _sorted(
        Ranked(
            case,
            sum(structure.score for structure in found.structures.values()),
            sum(structure.ml for structure in found.structures.values()),
            sum(spot.minutes for spot in found.hotspots),
            sum(structure.score > 0 for structure in found.structures.values()),
        )
        for case, found in cases.items()
    )


def ranked_structures(cases: Mapping[str, HotSpotsRecord]) -> list[Ranked]:
    """Rank structures over all cases by expected gain, the highest first; ties by name."""
    names = sorted({name for found in cases.values() for name in found.structures})
    return _sorted(
        Ranked(
            name,
            sum(record.score for record in _records(name, cases)),
            sum(record.ml for record in _records(name, cases)),
            sum(spot.minutes for found in cases.values() for spot in found.hotspots if spot.structure == name),
            sum(record.score > 0 for record in _records(name, cases)),
        )
        for name in names
    )


def ranking_csv(ranked: Iterable[Ranked]) -> str:
    """Write a list with a header and scores."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["rank", "name", "score", "ml", "minutes", "n"])
    for rank, row in enumerate(ranked, start=1):
        lines.writerow([rank, row.name, f"{row.score:.6g}", f"{row.ml:.3f}", f"{row.minutes:.2f}", row.n])
    return text.getvalue()


def published_order(cases: Mapping[str, HotSpotsRecord]) -> dict[str, dict[str, tuple[float, float]]]:
    """Return what `published_csv` sorts by: the published sums, or of the default attention its scores."""
    return {
        case: {
            name: (each.score, each.heat if found.preset == "abdomenatlas" else each.score)
            for name, each in found.structures.items()
        }
        for case, found in cases.items()
    }


def published_csv(cases: Mapping[str, Mapping[str, tuple[float, float]]]) -> str:
    """Write the priority list as AbdomenAtlas publishes it: no header, no scores.

    Parameters
    ----------
    cases : mapping of str to mapping of str to (float, float)
        Case -> structure -> `PublishedMaps.size` and `.heat`, or what `published_order` puts in their place; structures
        in the order of the published table.

    Returns
    -------
    str
        A line a case, most attention first: its id, then its structures in the published spelling (ours where it has
        none), most heat first, those without heat left out. Ties keep the order given (the original's is random).
    """
    rules = published_rules()
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    for case, sizes in sorted(cases.items(), key=lambda each: -sum(size for size, _ in each[1].values())):
        hot = sorted((name for name, (_, heat) in sizes.items() if heat), key=lambda name: -sizes[name][1])
        lines.writerow([case, *(rules.native_name(name) for name in hot)])
    return text.getvalue()


def published_sizes(maps: Mapping[str, PublishedMaps]) -> dict[str, tuple[int, int]]:
    """Return what `published_csv` needs of a case."""
    return {name: (found.size, found.heat) for name, found in maps.items()}


def _records(name: str, cases: Mapping[str, HotSpotsRecord]) -> list[AttentionRecord]:
    return [found.structures[name] for found in cases.values() if name in found.structures]


def _sorted(rows: Iterable[Ranked]) -> list[Ranked]:
    return sorted(rows, key=lambda row: (-row.score, row.name))
