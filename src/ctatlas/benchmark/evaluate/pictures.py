"""Pictures of the worst results, drawn in the same processes as the cases were measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast

from ctatlas.benchmark.evaluate.case import CasePair, Measuring
from ctatlas.benchmark.evaluate.pairing import Pairing
from ctatlas.benchmark.evaluate.picture import draw, read_shown
from ctatlas.benchmark.evaluate.worst import Worst
from ctatlas.execution import Task, perform_all, perform_in_place
from ctatlas.measure.records import Measurement
from ctatlas.progress import Progress


def pictures_of(
    shown: Sequence[Worst], pairing: Pairing, measuring: Measuring, workers: int, progress: Progress
) -> dict[str, bytes]:
    """Draw the worst results; one that can't be drawn has no picture."""
    pairs = {pair.case: pair for pair in pairing.pairs}
    tasks = [
        Task(each.picture, Path(), partial(_draw, pairs[each.result.case], each.result, measuring), "picture", 1)
        for each in shown
    ]
    drawn = perform_all(tasks, workers=min(workers, len(tasks)), progress=progress, do=perform_in_place)
    return {each.case: cast("bytes", each.summary["picture"]) for each in drawn if each.state != "failed"}


def _draw(
    pair: CasePair,
    result: Measurement,
    measuring: Measuring,
    folder: Path,  # noqa: ARG001 - every work's
    progress: Progress,
) -> Mapping[str, object]:
    progress.stage("picture", 1)
    at = "" if result.tolerance_mm is None else f" at {result.tolerance_mm:g} mm"
    value = "none" if result.value is None else f"{result.value:.3f}"
    told = {"pred_absent": " (missed)", "gt_absent": " (not there)"}.get(result.status, "")
    title = f"{pair.case}: {result.structure}, {result.metric.upper()}{at} {value}{told}"
    return {"picture": draw(read_shown(pair, result.structure, measuring), title)}
