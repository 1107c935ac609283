"""An atlas in which every kind of file is there, quick: masks are boxes on a tiny grid."""

from __future__ import annotations

import atexit
from functools import cache
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import mkdtemp

from ctatlas.atlas import Atlas
from ctatlas.atlas.assemble import assemble_tasks
from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.records import (
    AttentionRecord,
    FindingRecord,
    FindingsRecord,
    HotSpot,
    HotSpotsRecord,
    write_record,
)
from ctatlas.atlas.revise.store import store_revision
from ctatlas.execution import perform, result_folder
from tests.atlas.by_hand import add_original, add_prediction, box, new_atlas, new_case


def filled_atlas(folder: Path, *cases: str, **config: object) -> Atlas:
    """Make an atlas whose cases, `one` and `two` or as named, have all there is, and an index of it."""
    atlas = new_atlas(folder, **config)
    for number, case in enumerate(cases or ("one", "two")):
        copytree(_made(case, number), atlas.place.case(case).folder)
    atlas.synchronise()
    return atlas


@cache
def _made(case: str, number: int) -> Path:
    """Make a case once in a test run: much of the work is waiting for the disk."""
    folder = Path(mkdtemp(prefix="ctatlas-test-"))
    atexit.register(rmtree, folder)
    return fill(new_atlas(folder / "atlas"), case, number).folder


def fill(atlas: Atlas, case: str, number: int = 0) -> CasePlace:
    """Add a case with an original liver, a predicted and revised spleen, attention, a finding and what is assembled."""
    place = new_case(atlas, case)
    add_original(place, {"liver": box((0, 6))}, annotated=["aorta"])
    add_prediction(place, "ctatlas/base", {"liver": box((0, 7)), "spleen": box((7, 10), (0, 4))})
    spleen = {"spleen": box((7, 9), (0, 4))}
    before = {"spleen": box((7, 10), (0, 4))}
    store_revision(
        place, spleen, author="ann", minutes=2.5, tool="hand", reason="", before=before, created="2026-01-01T00:00:00Z"
    )
    add_attention(place, {"spleen": 3.0 + number, "pancreas": 1.0})
    add_finding(place)
    for task in assemble_tasks(atlas, [place]):
        perform(task)
    return place


def add_attention(place: CasePlace, scores: dict[str, float]) -> None:
    spots = [
        HotSpot(structure=name, lo=(0, 0, 0), hi=(2, 2, 2), center_mm=(0, 0, 0), ml=1, score=1, reason="", minutes=1.5)
        for name, score in scores.items()
        if score
    ]
    found = {name: AttentionRecord(ml=2 * score, score=score) for name, score in scores.items()}
    with result_folder(place.attention, _run(place, "attend")) as folder:
        record = HotSpotsRecord(preset="default", members=("m",), structures=found, hotspots=tuple(spots))
        write_record(record, folder / "hotspots.json")


def add_finding(place: CasePlace, rule: str = "too many parts") -> None:
    found = FindingRecord(structure="spleen", rule=rule, severity="warning", message="3 parts", value=3, limit=1)
    with result_folder(place.checks, _run(place, "check")) as folder:
        write_record(FindingsRecord(checked="assembled", findings=(found,)), folder / "findings.json")


def _run(place: CasePlace, step: str) -> dict[str, object]:
    return {"case": place.case, "key": f"key of {step}", "step": step, "step_version": 1, "ctatlas": "0"}
