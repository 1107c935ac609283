"""From results to everything that a report says: read, summarise, test, rank, split, and flag what misleads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctatlas.benchmark.flags import Flag, in_order
from ctatlas.benchmark.groups import Grouping, groupings
from ctatlas.benchmark.misleading import about_cases, about_metadata, about_pairs, about_winners
from ctatlas.benchmark.pairwise import Comparison, Effect, Family, compare, corrected, effects
from ctatlas.benchmark.ranks import Ranking, over_everything, rankings
from ctatlas.benchmark.reading import Metadata, read_metadata, read_results
from ctatlas.benchmark.reading.metadata import no_metadata
from ctatlas.benchmark.resampling import Resampling
from ctatlas.benchmark.scores import Results
from ctatlas.benchmark.signed_rank import Zeros
from ctatlas.benchmark.subgroups import Plan, SubgroupRow, subgroups
from ctatlas.benchmark.summary import SummaryRow, summarise
from ctatlas.errors import TableError
from ctatlas.progress import SILENT, Progress


@dataclass(frozen=True, slots=True)
class Choices:
    """How to analyse.

    Attributes
    ----------
    metrics : tuple of str
        Only these; empty: all that the results hold.
    by : tuple of str
        Columns of the metadata for sub-groups; empty: all that fall into 2 to 30 groups.
    resamples : int
        Bootstrap draws of patients.
    seed : int
    alpha : float
    family : str
        What p-values are corrected together: "map", "metric" or "all".
    zeros : str
        What the signed-rank test does with equal scores: "wilcox", "pratt" or "zsplit".
    at_least : int
        Fewer cases are flagged, and groups of fewer not tested.
    """

    metrics: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    resamples: int = 2000
    seed: int = 0
    alpha: float = 0.05
    family: Family = "map"
    zeros: Zeros = "wilcox"
    at_least: int = 10


@dataclass(frozen=True)
class Analysis:
    """Everything that was found; the files and the report are made of it.

    Attributes
    ----------
    flags : tuple of Flag
        Errors first.
    """

    choices: Choices
    results: Results
    metadata: Metadata
    groupings: tuple[Grouping, ...]
    summary: tuple[SummaryRow, ...]
    comparisons: tuple[Comparison, ...]
    effects: tuple[Effect, ...]
    rankings: tuple[Ranking, ...]
    subgroups: tuple[SubgroupRow, ...]
    flags: tuple[Flag, ...]

    def resampling(self) -> Resampling:
        """Return the bootstrap draws that all intervals are from."""
        rng = np.random.default_rng(self.choices.seed)
        return Resampling.draw(self.metadata.patients, self.choices.resamples, rng)

    @property
    def failed(self) -> tuple[Flag, ...]:
        """Return what was left out because it could not be used."""
        return tuple(flag for flag in self.flags if flag.severity == "error")


def analyse(
    folder: Path, metadata: Path | None = None, choices: Choices | None = None, *, progress: Progress = SILENT
) -> Analysis:
    """Analyse the results of one or many models.

    Parameters
    ----------
    folder : Path
        See `ctatlas.benchmark.reading.read_results`.
    metadata : Path, optional
        A table of facts about the cases, for sub-groups and for patients with several cases.

    Raises
    ------
    TableError
        When there is nothing to analyse.
    """
    choices = choices or Choices()
    progress.stage("reading", 1)
    results, flags = read_results(folder, choices.metrics)
    if not results.scores:
        raise TableError(f"{folder}: no value of any metric; {flags[0].message if flags else 'all cells are empty'}")
    known, faults = read_metadata(metadata, results.cases) if metadata else (no_metadata(results.cases), [])
    columns, remarks = groupings(known, choices.by)
    flags += [*faults, *remarks, *about_cases(results, choices.at_least), *about_metadata(known)]
    rng = np.random.default_rng(choices.seed)
    resampling = Resampling.draw(known.patients, choices.resamples, rng)
    progress.stage("statistics", 4 * len(results.scores))
    summary: list[SummaryRow] = []
    tested: list[Comparison] = []
    found: list[Effect] = []
    split: list[SubgroupRow] = []
    for scores in results.scores:
        summary += summarise(scores, resampling)
        progress.advance()
        tested += compare(scores, choices.zeros)
        found += effects(scores, resampling)
        progress.advance()
        split += subgroups(scores, columns, resampling, Plan(choices.alpha, choices.at_least))
        progress.advance()
    comparisons = corrected(tested, choices.family, choices.alpha)
    ranks: list[Ranking] = []
    for scores in results.scores:
        ranks += rankings(scores, resampling, comparisons)
        progress.advance()
    ranks += over_everything(ranks)
    flags += [*about_winners(summary, ranks, results.scores), *about_pairs(results, comparisons, found)]
    return Analysis(
        choices, results, known, tuple(columns), tuple(summary), tuple(comparisons), tuple(found), tuple(ranks),
        tuple(split), in_order(flags),
    )  # fmt: skip


def left_out(flags: Sequence[Flag]) -> list[tuple[str, str, str]]:
    """Return the rows of `failures.csv`: case, stage, reason."""
    return [
        (flag.case or flag.model, "read", f"{flag.where}: {flag.message}") for flag in flags if flag.severity == "error"
    ]
