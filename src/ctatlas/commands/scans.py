"""From a call of `segment` or `demo` to one task a scan, and what is said of a scan that is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ctatlas.commands.cases import Foretold, state_of
from ctatlas.commands.console import say, say_table, tell
from ctatlas.errors import OutputError, ScanError
from ctatlas.execution import Outcome, Task
from ctatlas.hashing import sha256_file, sha256_json
from ctatlas.models.engines import backend_of
from ctatlas.pipeline import STEP_VERSION, Team, segment_to_folder
from ctatlas.results import NOTICE, Extras, expected_files, name_outputs, no_images
from ctatlas.volume import AS_IT_IS, Choices, files_of, scans_in
from ctatlas.volume.reading import ARCHIVES, kind_at

if TYPE_CHECKING:
    from ctatlas.models import ModelCard
    from ctatlas.results import Naming
    from ctatlas.volume import ScanSource


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for."""

    source: Path
    out: Path
    team: Team = field(default_factory=lambda: Team(("ctatlas/base",)))
    structures: Sequence[str] | None = None
    label_set: str | None = None
    extras: Extras = field(default_factory=Extras)
    choices: Choices = AS_IT_IS


def tasks_of(job: Job) -> list[Task]:
    """Turn a call into tasks, one a scan; what is wrong with the call itself is refused here, before any work."""
    refuse_output_within_input(job.source, job.out)
    cards = job.team.cards
    naming = name_outputs(job.team.card, job.structures, job.label_set)
    for remark in naming.remarks:
        tell(remark)
    sources = scans_in(job.source, job.choices)
    if len(sources) == 1:  # of many each is refused when its turn comes
        _refuse_objects_without_images(sources[0], job.extras)
    folders = [job.out if len(sources) == 1 else job.out / source.case for source in sources]
    return [
        _task(source, folder, job, cards=cards, naming=naming) for source, folder in zip(sources, folders, strict=True)
    ]


def foretold(job: Job) -> dict[str, Foretold]:
    """Tell from headers, by case, what reading will say of each scan, and which will be refused."""
    return {source.case: _foretold(source) for source in scans_in(job.source, job.choices)}


def refuse_output_within_input(source: Path, out: Path) -> None:
    """Refuse an output that would be read as input the next time.

    Raises
    ------
    OutputError
        When the output is the input folder or lies in it.
    """
    inner, outer = out.resolve(), source.resolve()
    if outer.is_dir() and (inner == outer or outer in inner.parents):
        raise OutputError(
            f"{out}: lies inside the input folder {source}, where results would be taken for scans; "
            "choose an output folder outside of it"
        )


def say_scans(outcomes: Sequence[Outcome]) -> None:
    """Say what was found: structure by structure in one scan, or how many in each of several."""
    say_remarks(outcomes)
    if len(outcomes) == 1 and outcomes[0].state != "failed":
        _say_one(outcomes[0])
    else:
        say_table(["case", "state", "found n", "looked for n", "folder"], [_line(outcome) for outcome in outcomes])
    say(NOTICE)


def say_remarks(outcomes: Sequence[Outcome]) -> None:
    """Say what reading had to decide or to repair."""
    for outcome in outcomes:
        prefix = f"{outcome.case}: " if len(outcomes) > 1 else ""
        for line in (*_lines(outcome, "repairs", "repaired: "), *_lines(outcome, "notes")):
            tell(f"{prefix}{line}")


def _refuse_objects_without_images(source: ScanSource, extras: Extras) -> None:
    """Refuse DICOM objects of a scan in another format; what an archive holds shows when it is read."""
    if extras.needs_images and kind_at(source.path) not in ("dicom", *ARCHIVES):
        raise ScanError(no_images(source.path.name))


def _foretold(source: ScanSource) -> Foretold:
    try:
        facts = source.look()
    except ScanError as refusal:
        return Foretold((str(refusal),), is_refused=True)
    if facts is None:
        return Foretold()
    return Foretold((*(f"would repair: {line}" for line in facts.repairs), *facts.notes))


def _task(source: ScanSource, folder: Path, job: Job, *, cards: Sequence[ModelCard], naming: Naming) -> Task:
    classes = [each.name for each in job.team.card.classes if each.is_structure]
    members = {each.name: naming.known_to(each.structures) for each in cards} if job.extras.members else {}
    makes = expected_files(naming, job.extras, classes, members)
    models = [_identity(each, job.team.backend) for each in cards]
    return Task(
        case=source.case,
        folder=folder,
        work=partial(
            segment_to_folder,
            source=source,
            team=job.team,
            naming=naming,
            extras=job.extras,
        ),
        step="segment",
        version=STEP_VERSION,
        inputs=files_of(source.path),
        parameters={
            **({"model": models[0]} if len(models) == 1 else {"models": models, "how": job.team.how}),
            "label_set": naming.label_set,
            "ids": dict(naming.ids),
            "structures": {naming.file_names[name]: list(parts) for name, parts in naming.parts.items()},
            "choices": source.choices.record(),
            "writes": list(makes),
            **({"rib_repair": job.team.steps.model_dump(mode="json")} if job.team.steps else {}),
            **({"seg_type": job.extras.seg_type} if job.extras.dicom_seg else {}),
            **({"embeddings_sha256": sha256_file(job.team.embeddings)} if job.team.embeddings else {}),
        },
        makes=makes,
    )


def _identity(found: ModelCard, backend: str | None) -> dict[str, str | None]:
    """Say all of a model that decides what it finds."""
    return {
        "name": found.name,
        "version": found.version,
        "weights_sha256": found.weights.sha256,
        "card_sha256": sha256_json(found.model_dump(mode="json")),
        "backend": backend_of(found, backend),
    }


def _say_one(outcome: Outcome) -> None:
    structures = _structures(outcome)
    removed = _why_removed(outcome)
    say_table(
        ["structure", "mL", "mean HU", "status"],
        [
            [name, _number(row["volume_ml"]), _number(row["mean_hu"]), _status(row) or removed.get(name, "absent")]
            for name, row in structures.items()
        ],
    )
    if not any(row["n_voxels"] for row in structures.values()):
        say(f"Nothing found: {outcome.summary.get('why_nothing') or 'none of these structures'}.")
    there = " (was there already, and whole)" if outcome.state == "there" else ""
    say(f"\n{outcome.folder}{there}")


def _line(outcome: Outcome) -> list[str]:
    if outcome.state == "failed":
        return [outcome.case, outcome.state, "", "", ""]
    structures = _structures(outcome)
    n_found = sum(bool(row["n_voxels"]) for row in structures.values())
    return [outcome.case, state_of(outcome), str(n_found), str(len(structures)), str(outcome.folder)]


def _lines(outcome: Outcome, key: str, before: str = "") -> list[str]:
    """Return what was said about reading a scan."""
    return [f"{before}{line}" for line in cast("Iterable[str]", outcome.summary.get(key, ()))]


def _structures(outcome: Outcome) -> Mapping[str, Mapping[str, object]]:
    return cast("Mapping[str, Mapping[str, object]]", outcome.summary.get("structures", {}))


def _status(row: Mapping[str, object]) -> str:
    sides = ", ".join(cast("Sequence[str]", row["cut_at"]))
    return f"cut at {sides}" if sides else "complete" if row["n_voxels"] else ""


def _why_removed(outcome: Outcome) -> dict[str, str]:
    """Say of structures from which a rule took voxels away what the last such rule saw."""
    findings = cast("Iterable[Mapping[str, object]]", outcome.summary.get("findings", ()))
    return {str(row["structure"]): f"absent ({row['why']})" for row in findings if row["removed_ml"]}


def _number(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else ""
