"""Evaluate predictions against references: list, match, measure case by case, gather, write."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import ctatlas
from ctatlas.anatomy.label_files import names_a_file
from ctatlas.benchmark.evaluate.asked import AS_USUAL, Options, Tolerance, measuring_of
from ctatlas.benchmark.evaluate.case import CasePair, Measuring, evaluate_case
from ctatlas.benchmark.evaluate.evaluation import Evaluation
from ctatlas.benchmark.evaluate.gathering import gathered
from ctatlas.benchmark.evaluate.layouts import CaseMasks, masks_in
from ctatlas.benchmark.evaluate.pairing import Pairing, paired
from ctatlas.benchmark.evaluate.patients import known_of_cases
from ctatlas.benchmark.evaluate.pictures import pictures_of
from ctatlas.benchmark.evaluate.worst import worst_results
from ctatlas.benchmark.evaluate.writing import open_output, write_evaluation
from ctatlas.errors import ScanError
from ctatlas.execution import Outcome, Task, perform, perform_all, perform_in_place
from ctatlas.measure.presets import preset_called
from ctatlas.progress import SILENT, Progress
from ctatlas.results import NOTICE
from ctatlas.volume import files_of, opened
from ctatlas.volume.names import unique_names

# Raised whenever the same masks and the same measuring would give other numbers than before.
STEP_VERSION = 3
CASES = "cases"
_ONE_SIDED = ("not_predicted", "not_annotated")
_NAMED = 6  # structures that a refusal lists
_VERSIONS_OF = ("numpy", "scipy", "numba", "pandas", "pyarrow")


def evaluate(
    gt: Path | str,
    pred: Path | str,
    out: Path | str | None = None,
    *,
    metrics: Sequence[str] = (),
    tolerance: Tolerance | None = None,
    structures: Sequence[str] = (),
    options: Options = AS_USUAL,
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
    measuring = measuring_of(metrics, tolerance, structures, options)
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
            pictures = pictures_of(shown, pairing, measuring, options.workers, progress)
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
    options: Options = AS_USUAL,
) -> list[Task]:
    """Return what `evaluate` would do, a task a case; read no voxel, write nothing."""
    measuring = measuring_of(metrics, tolerance, structures, options)
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


def _in_order(tasks: Sequence[Task], outcomes: Iterable[Outcome]) -> list[Outcome]:
    found = {outcome.folder: outcome for outcome in outcomes}
    return [found[task.folder] for task in tasks]


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
