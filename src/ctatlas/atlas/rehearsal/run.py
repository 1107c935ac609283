"""Go once through the loop: init → add → predict → attend → check → revise → assemble → release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from ctatlas.atlas import Atlas, AtlasConfig
from ctatlas.atlas.add import Ask, Wish, add_cases, known_to, listed, plan, write_datasets
from ctatlas.atlas.assemble import SEGMENTATIONS, assemble_tasks
from ctatlas.atlas.attend import attend_tasks
from ctatlas.atlas.catalog import questions
from ctatlas.atlas.check import check_tasks
from ctatlas.atlas.layout import MASK, CasePlace
from ctatlas.atlas.members import members_called
from ctatlas.atlas.predict import predict_tasks
from ctatlas.atlas.rehearsal.annotator import Worked, correct
from ctatlas.atlas.rehearsal.bodies import coarse_phantom
from ctatlas.atlas.rehearsal.gain import CaseGain, dice_of
from ctatlas.atlas.rehearsal.picture import Pictured, picture
from ctatlas.atlas.release import ReleaseChoices, make_release, plan_release, release_faults
from ctatlas.atlas.revise.export import export_tasks
from ctatlas.atlas.revise.take_back import Work, import_tasks
from ctatlas.errors import AtlasError
from ctatlas.execution import Outcome, Performer, Task, perform, perform_all, perform_in_place
from ctatlas.progress import SILENT, Progress
from ctatlas.volume import Segmentation, read, read_labels, read_segmentation, whole_file, write_volume
from ctatlas.volume.deidentify import Key

N_PHANTOMS = 4
N_REVISED = 2  # cases that go to the annotator
MINUTES = 15.0  # that the annotator spends on each. Source: AbdomenAtlas-8K's 15 minutes a volume
ANNOTATOR = "simulated annotator"
VERSION = "1.0"
PICTURE = "before-after.png"


@dataclass(frozen=True, slots=True)
class Sample:
    """A real scan to take along, and what must be said about it."""

    scan: Path
    licence: str
    citation: str


@dataclass(frozen=True, slots=True)
class Told:
    """What a step did, in words."""

    step: str
    did: str


@dataclass(slots=True)
class Rehearsal:
    """The loop while it goes, and what it gave.

    Attributes
    ----------
    out : Path
        Holds `scans`, `atlas`, `packages` and the picture.
    members : tuple of str
    truths : mapping of str to Segmentation
        Of the phantoms, by case.
    worked : mapping of str to Worked
        What the annotator did, by case.
    gains : list of CaseGain
    release : Path
    """

    out: Path
    members: tuple[str, ...]
    sample: Sample | None = None
    n_phantoms: int = N_PHANTOMS
    workers: int = 1
    progress: Progress = SILENT
    truths: dict[str, Segmentation] = field(default_factory=dict)
    worked: dict[str, Worked] = field(default_factory=dict)
    gains: list[CaseGain] = field(default_factory=list)
    release: Path = Path()

    @property
    def atlas(self) -> Atlas:
        """The atlas that is made."""
        return Atlas.open(self.out / "atlas")

    @property
    def packages(self) -> Path:
        """What goes to the annotator."""
        return self.out / "packages"

    @property
    def picture(self) -> Path:
        """Before and after."""
        return self.out / PICTURE


def rehearse(loop: Rehearsal) -> Iterator[Told]:
    """Go through the loop, and tell of each step when it is done.

    Raises
    ------
    AtlasError
        When the folder is not new or empty, or a step fails.
    """
    if loop.out.exists() and (not loop.out.is_dir() or any(loop.out.iterdir())):
        raise AtlasError(f"{loop.out}: is there already and not empty; choose a new folder")
    for step, does in STEPS.items():
        yield Told(step, does(loop))


def _init(loop: Rehearsal) -> str:
    config = AtlasConfig(name="Rehearsal", members=loop.members, licence="CC BY 4.0", description="A rehearsal.")
    loop.out.mkdir(parents=True, exist_ok=True)
    Atlas.create(loop.out / "atlas", config)
    return f"an atlas of {len(config.structures)} structures ({config.label_set}), members {', '.join(loop.members)}"


def _add(loop: Rehearsal) -> str:
    scans = loop.out / "scans"
    (scans / "phantoms").mkdir(parents=True)
    loop.progress.stage("draw phantoms", loop.n_phantoms)
    drawn = {}
    for number in range(1, loop.n_phantoms + 1):
        phantom = coarse_phantom(number)
        drawn[f"phantom_{number}"] = phantom.truth
        write_volume(phantom.volume, scans / "phantoms" / f"phantom_{number}.nii.gz")
        loop.progress.advance()
    added = _added(loop, scans / "phantoms", Wish(licence="CC0-1.0", citation="phantoms of ctatlas"))
    loop.truths = {added[name]: truth for name, truth in drawn.items()}
    if loop.sample is None:
        return f"{len(added)} phantoms"
    _added(loop, loop.sample.scan, Wish(licence=loop.sample.licence, citation=loop.sample.citation))
    return f"{len(added)} phantoms, and a real CT"


def _added(loop: Rehearsal, source: Path, wish: Wish) -> dict[str, str]:
    """Add a source, and return the ids of its cases by their names."""
    atlas, key = loop.atlas, Key(bytes(32))  # nobody's name is in these scans
    with atlas.writing():
        known = known_to(atlas)
        planned = plan(atlas, listed(source.resolve(), Ask(label_set="none")), known, key)
        added = list(add_cases(atlas, planned, known, key, wish=wish, progress=loop.progress))
        if failed := [one for one in added if one.state != "added"]:
            raise AtlasError(f"{source}: {failed[0].name}: {failed[0].reason or failed[0].state}")
        write_datasets(atlas, planned, added, wish)
        _synchronise(atlas, [atlas.place.case(one.case) for one in added])
    return {one.name: one.case for one in added}


def _predict(loop: Rehearsal) -> str:
    tasks_of = partial(predict_tasks, members=members_called(loop.members))
    found = _step(loop, tasks_of)
    masks = [cast("Mapping[str, Mapping[str, int]]", each["masks"]) for each in found]
    n_found = sum(mask["n_voxels"] > 0 for each in masks for mask in each.values())
    return f"{n_found} structures found in {len(found)} predictions"


def _attend(loop: Rehearsal) -> str:
    found = _step(loop, attend_tasks)
    n, minutes, draw = (
        sum(cast("float", each[what]) for each in found) for what in ("hot_spots", "minutes", "draw_minutes")
    )
    return f"{n:.0f} hot spots, {minutes:.0f} minutes to correct them all, {draw:.0f} of them to draw what is missing"


def _check(loop: Rehearsal) -> str:
    found = _step(loop, check_tasks)
    errors, warnings = (sum(cast("int", each[what]) for each in found) for what in ("errors", "warnings"))
    return f"{errors} errors, {warnings} warnings in the masks of {found[0]['checked']}"


def _export(loop: Rehearsal) -> str:
    with loop.atlas.catalog() as catalog, catalog.session() as session:
        ranked = [case for case, *_ in questions.cases_by_attention(session) if case in loop.truths]
    cases = loop.atlas.cases(ranked[:N_REVISED])
    _done(export_tasks(loop.atlas, cases, loop.packages), loop, perform_in_place)
    return f"packages of {_named(place.case for place in cases)}, first in the ranking by attention"


def _correct(loop: Rehearsal) -> str:
    for folder in sorted(loop.packages.iterdir()):
        loop.worked[folder.name] = correct(folder, loop.truths[folder.name], MINUTES)
    n = sum(len(worked.spots) for worked in loop.worked.values())
    minutes = sum(worked.minutes for worked in loop.worked.values())
    return f"the simulated annotator corrects {n} hot spots, in their boxes alone: {minutes:.0f} minutes"


def _import(loop: Rehearsal) -> str:
    atlas = loop.atlas
    with atlas.writing():
        work = {case: Work(ANNOTATOR, worked.minutes, "ctatlas") for case, worked in loop.worked.items()}
        tasks = [task for case, by in work.items() for task in import_tasks(atlas, loop.packages / case, by)]
        found = _done(tasks, loop, perform_in_place)
        _synchronise(atlas, atlas.cases(list(work)))
    added, removed = (sum(cast("float", each[what]) for each in found) for what in ("added_ml", "removed_ml"))
    n = sum(len(cast("list[str]", each["changed"])) for each in found)
    return f"{len(found)} revisions of {n} masks: {added:.0f} mL added, {removed:.0f} mL removed"


def _assemble(loop: Rehearsal) -> str:
    found = _step(loop, assemble_tasks)
    kinds: Counter[str] = Counter()
    for each in found:
        kinds.update(cast("dict[str, int]", each["from"]))
    loop.gains = [_gain(loop, loop.atlas.place.case(case)) for case in loop.worked]
    _draw(loop)
    return f"{', '.join(f'{n} masks {kind}' for kind, n in kinds.items())}"


def _release(loop: Rehearsal) -> str:
    atlas = loop.atlas
    with atlas.writing():
        planned = plan_release(atlas, VERSION, ReleaseChoices())
        loop.release = make_release(planned, progress=loop.progress)
    faults = list(release_faults(loop.release, progress=loop.progress))
    if faults:
        raise AtlasError(f"{loop.release}: {faults[0]}")
    return f"{VERSION}, {len(planned.cases)} cases, proved sound: {loop.release}"


STEPS: Mapping[str, Callable[[Rehearsal], str]] = {
    "init": _init,
    "add": _add,
    "predict": _predict,
    "attend": _attend,
    "check": _check,
    "revise export": _export,
    "(annotator)": _correct,
    "revise import": _import,
    "assemble": _assemble,
    "check again": _check,
    "release": _release,
}


def _step(loop: Rehearsal, tasks_of: Callable[[Atlas, list[CasePlace]], Sequence[Task]]) -> list[dict[str, Any]]:
    """Do a step on all cases, and bring the index up to date."""
    atlas = loop.atlas
    with atlas.writing():
        cases = atlas.cases()
        found = _done(tasks_of(atlas, cases), loop)
        _synchronise(atlas, cases)
    return found


def _done(tasks: Sequence[Task], loop: Rehearsal, do: Performer = perform) -> list[dict[str, Any]]:
    """Do tasks, and return their summaries.

    Raises
    ------
    AtlasError
        When one fails.
    """
    outcomes: list[Outcome] = list(perform_all(tasks, workers=loop.workers, progress=loop.progress, do=do))
    if failed := [outcome for outcome in outcomes if outcome.state == "failed"]:
        raise AtlasError(f"{failed[0].case}: {failed[0].stage}: {failed[0].reason}")
    return [dict(outcome.summary) for outcome in outcomes]


def _synchronise(atlas: Atlas, cases: Sequence[CasePlace]) -> None:
    with atlas.catalog() as catalog:
        if faults := list(catalog.synchronise(cases)):
            raise AtlasError(faults[0])


def _gain(loop: Rehearsal, place: CasePlace) -> CaseGain:
    truth, worked = loop.truths[place.case], loop.worked[place.case]
    before = dice_of(loop.packages / place.case / SEGMENTATIONS, truth)
    after = dice_of(place.assembled / SEGMENTATIONS, truth)
    return CaseGain(place.case, before, after, worked.minutes, len(worked.spots))


def _draw(loop: Rehearsal) -> None:
    """Draw the case that gained most."""
    gain = max(loop.gains, key=lambda each: each.mean_after - each.mean_before)
    place = loop.atlas.place.case(gain.case)
    names = list(dict.fromkeys(spot.structure for spot in loop.worked[gain.case].spots))
    scan = read(place.ct)
    heat = np.zeros(scan.grid.shape, np.uint8, order="F")
    for name in names:
        np.maximum(heat, read_labels(place.attention / f"{name}{MASK}").labels, out=heat)
    title = f"{gain.case}: mean Dice {gain.mean_before:.3f} before, {gain.mean_after:.3f} after; dashed: the truth"
    before, after = (
        read_segmentation(folder / SEGMENTATIONS) for folder in (loop.packages / gain.case, place.assembled)
    )
    shown = Pictured(title, scan, names, before, after, loop.truths[gain.case], heat)
    with whole_file(loop.picture) as file:
        file.write(picture(shown))


def _named(cases: Iterator[str]) -> str:
    return " and ".join(cases)
