"""What was asked for: which metrics at which tolerances, how masks are found and read, and how the work is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ctatlas.anatomy import structure_called
from ctatlas.benchmark.evaluate.case import Measuring
from ctatlas.benchmark.evaluate.lesions import ALL
from ctatlas.benchmark.evaluate.reading import label_set_of
from ctatlas.errors import ModelError
from ctatlas.measure.detection import LesionRule
from ctatlas.measure.metrics import chosen_metrics
from ctatlas.measure.presets import DEFAULT_PRESET, preset_called
from ctatlas.measure.tolerances import ToleranceSet, same_for_all, tolerance_set, tolerances_from

_AT_MOST_TABLE_BYTES = 2**20

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


AS_USUAL = Options()


def measuring_of(
    metrics: Sequence[str], tolerance: Tolerance | None, structures: Sequence[str], options: Options
) -> Measuring:
    """Look up all that was asked for by name.

    Raises
    ------
    ModelError
        When a metric, preset, tolerance, rule or label set is not known.
    """
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
