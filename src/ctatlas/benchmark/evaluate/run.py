"""Evaluate predictions against references: list, match, measure case by case, gather, write."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

import ctatlas
from ctatlas.anatomy import structure_called
from ctatlas.anatomy.label_files import names_a_file
from ctatlas.benchmark.evaluate.case import CasePair, Measuring, evaluate_case
from ctatlas.benchmark.evaluate.evaluation import Evaluation
from ctatlas.benchmark.evaluate.gathering import gathered
from ctatlas.benchmark.evaluate.layouts import CaseMasks, masks_in
from ctatlas.benchmark.evaluate.lesions import ALL
from ctatlas.benchmark.evaluate.pairing import Pairing, paired
from ctatlas.benchmark.evaluate.patients import known_of_cases
from ctatlas.benchmark.evaluate.picture import draw, read_shown
from ctatlas.benchmark.evaluate.reading import label_set_of
from ctatlas.benchmark.evaluate.worst import Worst, worst_results
from ctatlas.benchmark.evaluate.writing import open_output, write_evaluation
from ctatlas.errors import ModelError, ScanError
from ctatlas.execution import Outcome, Task, perform, perform_all, perform_in_place
from ctatlas.measure.detection import LesionRule
from ctatlas.measure.metrics import chosen_metrics
from ctatlas.measure.presets import DEFAULT_PRESET, preset_called
from ctatlas.measure.records import Measurement
from ctatlas.measure.tolerances import ToleranceSet, same_for_all, tolerance_set, tolerances_from
from ctatlas.progress import SILENT, Progress
from ctatlas.results import NOTICE
from ctatlas.volume import files_of, opened
from ctatlas.volume.names import unique_names

# Raised whenever the same masks and the same measuring would give other numbers than before.
STEP_VERSION = 2
CASES = "cases"
_AT_MOST_TABLE_BYTES = 2**20
_ONE_SIDED = ("not_predicted", "not_annotated")
_NAMED = 6  # structures that a refusal lists
_VERSIONS_OF = ("numpy", "scipy", "numba", "pandas", "pyarrow")

Tolerance = float | Sequence[float] | str | ToleranceSet


@dataclass(frozen=True, slots=True)
class Options:
    """How masks are found and read, and how the work is done.

    Attributes
    ----------
    preset : str
        Whose definitions of the metrics are followed.
    gt_label_set, pred_label_set : str or None
        Whose names or numbers masks have that do not say: a label set, or a `dataset.json` or `labels.json`.
    gt_of, pred_of : str
        Which masks of an atlas: "assembled", "original", or a model's name.
    resample : bool
        Whether a prediction on another grid is brought onto the reference's, nearest voxel.
    images : Path or None
        The scans, for pictures and for contours.
    worst : int
        How many of the worst results to draw; none where nothing is written.
    workers : int
        Cases at once, each in a process of its own.
    lesions : tuple of str
        Structures whose lesions are listed and counted, by any of their names; "all" for every one that the table of
        structures calls a lesion.
    lesion_rule : LesionRule
        What counts as a lesion and as found.
    metadata : Path or None
        A table with a row a case: its patient, so that scans of one are not taken for independent.
    scores : tuple of str
        Columns of it by which patients with and without a lesion are told apart, beside the predicted volume; a number
        behind a colon is the threshold from which on a patient is called ("probability:0.5", "volume:1").
    """

    preset: str = DEFAULT_PRESET
    gt_label_set: str | None = None
    pred_label_set: str | None = None
    gt_of: str = ""
    pred_of: str = ""
    resample: bool = False
    images: Path | None = None
    worst: int = 12
    workers: int = 1
    lesions: tuple[str, ...] = ()
    lesion_rule: LesionRule = field(default_factory=LesionRule)
    metadata: Path | None = None
    scores: tuple[str, ...] = ()


def evaluate(
    gt: Path | str,
    pred: Path | str,
    out: Path | str | None = None,
    *,
    metrics: Sequence[str] = (),
    tolerance: Tolerance | None = None,
    structures: Sequence[str] = (),
    options: Options = Options(),
    progress: Progress = SILENT,
) -> Evaluation:
    """Measure how well predictions meet their references.

    Parameters
    ----------
    gt, pred : Path or str
        Each a file of masks, a case's folder, a folder of many cases, nnU-Net's data or predictions, or an atlas; cases
        are matched by their ids.
    out : Path or str, optional
        A folder for tables and pictures. What was measured there before and has not changed is taken from it.
    metrics : sequence of str
        Names of `ctatlas.measure.metrics`; by default DSC, NSD, HD95 and ASSD as far as the preset has them.
    tolerance : float, sequence of float, str or ToleranceSet, optional
        In mm; or the name of a published set, or the path of a CSV, with a tolerance for each structure. By default
        the preset's, which is 1 mm unless its tool has others.
    structures : sequence of str
        Only these, by any of their names; one that predictions lack counts as missing.
    options : Options
    progress : Progress

    Returns
    -------
    Evaluation

    Raises
    ------
    ScanError
        When nothing can be evaluated: no masks, no two cases of one name, no reference that can be read.
    ModelError
        When a metric, preset, tolerance, rule or label set is not known.
    TableError
        When the metadata can't be read.
    OutputError
        When the folder can't be written to, or somebody else's files stand there.
    """
    measuring = _measuring(metrics, tolerance, structures, options)
    with _paired(Path(gt), Path(pred), options) as pairing:
        folder = Path(out) if out is not None else None
        if folder is not None:
            open_output(folder, (Path(gt), Path(pred)))
        known = known_of_cases([pair.case for pair in pairing.pairs], options.metadata, options.scores)
        tasks = tasks_of(pairing, measuring, folder)
        do = perform if folder is not None else perform_in_place
        outcomes = _in_order(tasks, perform_all(tasks, workers=options.workers, progress=progress, do=do))
        _refuse_nothing(outcomes)
        facts = _facts(measuring, options, outcomes)
        evaluation = gathered(outcomes, measuring, pairing.surplus, facts, known)
        _refuse_nothing_in_common(evaluation)
        if folder is not None:
            shown = worst_results(evaluation.measurements, options.worst)
            pictures = _pictures(shown, pairing, measuring, options.workers, progress)
            write_evaluation(evaluation, folder, shown, pictures)
    return evaluation


def planned(
    gt: Path | str,
    pred: Path | str,
    out: Path | str,
    *,
    metrics: Sequence[str] = (),
    tolerance: Tolerance | None = None,
    structures: Sequence[str] = (),
    options: Options = Options(),
) -> list[Task]:
    """Return what `evaluate` would do, a task a case; read no voxel, write nothing."""
    measuring = _measuring(metrics, tolerance, structures, options)
    with _paired(Path(gt), Path(pred), options) as pairing:
        return tasks_of(pairing, measuring, Path(out))


def tasks_of(pairing: Pairing, measuring: Measuring, out: Path | None) -> list[Task]:
    """Turn pairs into tasks, one a case, each with a folder of its own below the output."""
    folders = unique_names(pair.case for pair in pairing.pairs)
    root = (out or Path()) / CASES
    return [_task(pair, measuring, root / name) for pair, name in zip(pairing.pairs, folders, strict=True)]


def _task(pair: CasePair, measuring: Measuring, folder: Path) -> Task:
    named = [measuring.gt_label_set, measuring.pred_label_set, pair.gt.label_set, pair.pred and pair.pred.label_set]
    tables = dict.fromkeys(Path(name.partition("#")[0]) for name in named if name and names_a_file(name))
    gt, pred = _files(pair.gt), _files(pair.pred) if pair.pred else []
    return Task(
        case=pair.case,
        folder=folder,
        work=partial(_work, pair, measuring),
        step="evaluate",
        version=STEP_VERSION,
        inputs=[*gt, *pred, *tables],
        parameters={
            "case": pair.case,
            "measuring": measuring.record(),
            "preset": preset_called(measuring.preset).model_dump(mode="json"),
            "gt": _decides(pair.gt, len(gt)),
            "pred": _decides(pair.pred, len(pred)) if pair.pred else None,
        },
    )


def _work(pair: CasePair, measuring: Measuring, folder: Path, progress: Progress) -> Mapping[str, object]:  # noqa: ARG001 - every work's
    return evaluate_case(pair, measuring, progress).record()


def _files(masks: CaseMasks) -> list[Path]:
    return [] if masks.fault else files_of(masks.path)


def _decides(masks: CaseMasks, n_files: int) -> dict[str, object]:
    return {
        "n_files": n_files,
        "annotated": list(masks.annotated) if masks.annotated is not None else None,
        "fault": masks.fault,
    }


@contextmanager
def _paired(gt: Path, pred: Path, options: Options) -> Iterator[Pairing]:
    """Match the cases of two places; archives stay unpacked until the block ends."""
    with opened(gt) as references, opened(pred) as predictions:
        if references.resolve() == predictions.resolve() and options.gt_of == options.pred_of:
            raise ScanError(
                f"{gt}: is both reference and prediction; give two places, or two kinds of an atlas's masks."
            )
        yield paired(masks_in(references, options.gt_of), masks_in(predictions, options.pred_of), options.images)


def _measuring(
    metrics: Sequence[str], tolerance: Tolerance | None, structures: Sequence[str], options: Options
) -> Measuring:
    preset = preset_called(options.preset)
    wanted = tuple(metric.name for metric in chosen_metrics(metrics or preset.default_metrics))
    preset.refuse_others(wanted)
    options.lesion_rule.refuse_odd()
    for name in (options.gt_label_set, options.pred_label_set):
        if name:
            label_set_of(name)  # refused now rather than case by case
    return Measuring(
        metrics=wanted,
        tolerances=_tolerances(preset.tolerances if tolerance is None else tolerance),
        preset=preset.name,
        structures=tuple(dict.fromkeys(structure_called(name) or name for name in structures)),
        gt_label_set=options.gt_label_set,
        pred_label_set=options.pred_label_set,
        resample=options.resample,
        lesions=tuple(
            dict.fromkeys(name if name == ALL else structure_called(name) or name for name in options.lesions)
        ),
        lesion_rule=options.lesion_rule,
    )


def _tolerances(tolerance: Tolerance) -> ToleranceSet:
    if isinstance(tolerance, ToleranceSet):
        return tolerance
    if isinstance(tolerance, str):
        return _from_file(Path(tolerance)) if tolerance.lower().endswith(".csv") else tolerance_set(tolerance)
    return same_for_all([tolerance] if isinstance(tolerance, (int, float)) else tolerance)


def _from_file(path: Path) -> ToleranceSet:
    try:
        if path.stat().st_size > _AT_MOST_TABLE_BYTES:
            raise ModelError(f"{path}: is larger than {_AT_MOST_TABLE_BYTES >> 20} MB, which no table of tolerances is")
        return tolerances_from(path.read_text(encoding="utf-8-sig"), path.name)
    except UnicodeDecodeError:
        raise ModelError(f"{path}: is no text in UTF-8; save it as such") from None
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror})") from None


def _in_order(tasks: Sequence[Task], outcomes: Iterable[Outcome]) -> list[Outcome]:
    found = {outcome.folder: outcome for outcome in outcomes}
    return [found[task.folder] for task in tasks]


def _pictures(
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


def _refuse_nothing(outcomes: Sequence[Outcome]) -> None:
    if outcomes and all(outcome.state == "failed" for outcome in outcomes):
        more = f" (and so for all {len(outcomes)} cases)" if len(outcomes) > 1 else ""
        raise ScanError(f"{outcomes[0].case}: {outcomes[0].reason}{more}")


def _refuse_nothing_in_common(evaluation: Evaluation) -> None:
    if evaluation.measurements:
        return
    of = {kind: [note.structure for note in evaluation.notes if note.kind == kind] for kind in _ONE_SIDED}
    annotated, predicted = (", ".join(names[:_NAMED]) or "nothing" for names in of.values())
    raise ScanError(
        "no structure is annotated in a reference and told about by its prediction: references annotate "
        f"{annotated}; predictions are of {predicted}. Name whose numbers or names these are: --label-set."
    )


def _facts(measuring: Measuring, options: Options, outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Say how the numbers were made."""
    return {
        "notice": NOTICE,
        "ctatlas": ctatlas.__version__,
        "step_version": STEP_VERSION,
        "python": platform.python_version(),
        "packages": {name: found for name in _VERSIONS_OF if (found := _version(name))},
        "measuring": measuring.record(),
        "masks_of": {"gt": options.gt_of, "pred": options.pred_of},
        "cases": {outcome.case: _hashes(outcome) for outcome in outcomes if outcome.state != "failed"},
    }


def _hashes(outcome: Outcome) -> dict[str, object]:
    return {name: outcome.summary[name] for name in ("state", "gt_sha256", "pred_sha256")}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
