"""Evaluate one case: read both sides, bring them onto one grid, match their structures, measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from typing import Any

import numpy as np

from ctatlas.benchmark.evaluate.geometry import GeometryError, on_one_grid
from ctatlas.benchmark.evaluate.layouts import CaseMasks
from ctatlas.benchmark.evaluate.lesions import lesion_case_of, lesions_in, wanted_lesions
from ctatlas.benchmark.evaluate.matching import matched, put_together
from ctatlas.benchmark.evaluate.notes import Note
from ctatlas.benchmark.evaluate.reading import IGNORED, Masks, read_masks
from ctatlas.benchmark.evaluate.sides import mirrored, swapped_sides
from ctatlas.benchmark.evaluate.volumes import ASKED_BY, VolumePair, volumes_of
from ctatlas.errors import CtatlasError, ScanError
from ctatlas.hashing import sha256_file, sha256_json
from ctatlas.measure.case import measure_case
from ctatlas.measure.detection import LesionCase, LesionRule
from ctatlas.measure.presets import preset_called
from ctatlas.measure.records import Measurement, Status
from ctatlas.measure.tolerances import ToleranceSet
from ctatlas.progress import Progress
from ctatlas.volume import Grid, Segmentation, files_of, segmentation_kind

_OF_A_ROW = ("structure", "metric", "tolerance_mm", "value", "implementation", "status")  # as `Measurement` takes them
_OF_PARTS = ("notes", "lesions", "volumes")
_THICK = 2.0  # times the shortest edge of a voxel
_TIES, _MANY_TIES = "tie_share", 0.001  # Source of the limit: a thousandth of a score is its last digit
_POOR = 0.5  # DSC, below which it is worth looking whether sides are swapped; as a mean, whether all is flipped
_HERE, _ELSEWHERE = (Grid((n, 1, 1), np.eye(4)) for n in (1, 2))  # to ask for rows without values


@dataclass(frozen=True, slots=True)
class CasePair:
    """One case: where its reference lies and where its prediction, if there is one."""

    case: str
    gt: CaseMasks
    pred: CaseMasks | None


@dataclass(frozen=True, slots=True)
class Measuring:
    """What is measured and how; all of it decides the numbers.

    Attributes
    ----------
    metrics : tuple of str
    tolerances : ToleranceSet
    preset : str
    structures : tuple of str
        Only these; all by default.
    gt_label_set, pred_label_set : str or None
        Whose names or numbers the masks have, where they do not say.
    resample : bool
        Whether a prediction on another grid is brought onto the reference's.
    lesions : tuple of str
        Structures whose lesions are listed; "all" for every one that the table of structures calls a lesion.
    lesion_rule : LesionRule
    """

    metrics: tuple[str, ...]
    tolerances: ToleranceSet
    preset: str
    structures: tuple[str, ...] = ()
    gt_label_set: str | None = None
    pred_label_set: str | None = None
    resample: bool = False
    lesions: tuple[str, ...] = ()
    lesion_rule: LesionRule = field(default_factory=LesionRule)

    def record(self) -> dict[str, object]:
        """Say it in words of JSON."""
        return {**asdict(self), "tolerances": self.tolerances.record()}


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What one case gave.

    Attributes
    ----------
    state : str
        "measured"; or "geometry_mismatch" or "missing_prediction", which `reason` explains.
    rows : tuple of Measurement
    lesions : tuple of LesionCase
    volumes : tuple of VolumePair
        Where they were asked for.
    gt_sha256, pred_sha256 : str
        Of the files of both sides; empty where there are none.
    told : tuple of str
        All structures that the prediction tells about.
    supposed : tuple of str
        Numbers without names that only the prediction has: whether the references know them shows in other cases.
    untold, not_annotated : tuple of str
        Structures that only the reference or only the prediction tells about.
    """

    case: str
    state: str = "measured"
    reason: str = ""
    rows: tuple[Measurement, ...] = ()
    told: tuple[str, ...] = ()
    supposed: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()
    not_annotated: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    gt_sha256: str = ""
    pred_sha256: str = ""
    lesions: tuple[LesionCase, ...] = ()
    volumes: tuple[VolumePair, ...] = ()

    def record(self) -> dict[str, object]:
        """Say it in words of JSON; of a thousand cases, so that rows are lists without what all have in common."""
        words = {each.name: getattr(self, each.name) for each in fields(self)}
        rows = [[getattr(row, name) for name in _OF_A_ROW] for row in self.rows]
        return {**words, "rows": rows, **{name: [asdict(one) for one in words[name]] for name in _OF_PARTS}}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> CaseResult:
        """Return what a record says; the way back of `record`."""
        words = dict(record)
        words["rows"] = tuple(Measurement(words["case"], *row) for row in words["rows"])
        words["notes"] = tuple(Note(**note) for note in words["notes"])
        words["volumes"] = tuple(VolumePair(**pair) for pair in words["volumes"])
        words["lesions"] = tuple(lesion_case_of(listed) for listed in words["lesions"])
        for name in ("told", "supposed", "untold", "not_annotated"):
            words[name] = tuple(words[name])
        return cls(**words)


def evaluate_case(pair: CasePair, measuring: Measuring, progress: Progress) -> CaseResult:
    """Measure one case.

    Raises
    ------
    ScanError, ModelError
        When the reference can't be read. A prediction that can't be is missing, and the result says why.
    """
    found = _evaluated(pair, measuring, progress)
    return replace(found, gt_sha256=_content(pair.gt), pred_sha256=_content(pair.pred) if pair.pred else "")


def _evaluated(pair: CasePair, measuring: Measuring, progress: Progress) -> CaseResult:
    progress.stage("read the reference", 1)
    gt = read_reference(pair, measuring)
    wanted = measuring.structures
    annotated = tuple(name for name in gt.told if not wanted or name in wanted)
    if pair.pred is None:
        return CaseResult(pair.case, "missing_prediction", "has no prediction", untold=annotated, notes=gt.notes)
    progress.stage("read the prediction", 1)
    try:
        pred = read_masks(pair.pred, measuring.pred_label_set, gt.segmentation.grid)
    except CtatlasError as error:
        return CaseResult(pair.case, "missing_prediction", str(error), untold=annotated, notes=gt.notes)
    progress.stage("measure", 1)
    return _compared(pair.case, gt, pred, measuring)


def read_reference(pair: CasePair, measuring: Measuring) -> Masks:
    """Read the reference; contours without their scan are filled on the voxels of the prediction."""
    is_drawn = pair.gt.ct is None and not pair.gt.fault and segmentation_kind(pair.gt.path) == "rtstruct"
    if not is_drawn:
        return read_masks(pair.gt, measuring.gt_label_set)
    try:
        beside = read_masks(pair.pred, measuring.pred_label_set) if pair.pred else None
    except CtatlasError:
        beside = None
    if beside is None:
        raise ScanError(f"{pair.gt.path.name}: contours have no voxels of their own; give the scans: --images.")
    return read_masks(pair.gt, measuring.gt_label_set, beside.segmentation.grid)


def rows_without_values(case: str, names: Sequence[str], measuring: Measuring, status: Status) -> list[Measurement]:
    """Return the rows of structures of which there is nothing to measure."""
    gt = Segmentation.from_masks(_HERE, {name: np.zeros(_HERE.shape, bool) for name in names})
    pred = Segmentation(_HERE if status == "missing_prediction" else _ELSEWHERE)
    return _measured(case, gt, pred, names, measuring)


def _content(masks: CaseMasks) -> str:
    """Hash the files of one side: their names and bytes."""
    files = [] if masks.fault else files_of(masks.path)
    return sha256_json([[file.name, sha256_file(file)] for file in files])


def _compared(case: str, gt: Masks, pred: Masks, measuring: Measuring) -> CaseResult:
    notes = (*gt.notes, *pred.notes, *_thick(gt.segmentation.grid, measuring))
    supposed: tuple[str, ...] = ()
    if gt.is_numbered and pred.is_numbered:  # without names, a number that is not there is known to be absent
        supposed = tuple(name for name in pred.told if name not in gt.told)
        gt, pred = _with_empty(gt, pred.told), _with_empty(pred, gt.told)
    match = matched(gt.told, pred.told, measuring.structures)
    known = partial(
        CaseResult, case, told=pred.told, supposed=supposed, untold=match.untold, not_annotated=match.not_annotated
    )
    try:
        placed = on_one_grid(
            gt.segmentation, pred.segmentation, has_part=gt.has_part or pred.has_part, resample=measuring.resample
        )
    except GeometryError as error:
        rows = rows_without_values(case, match.names, measuring, "geometry_mismatch")
        return known("geometry_mismatch", str(error), tuple(rows), notes=notes)
    reference = put_together(placed.gt, match.gt_parts)
    predicted = put_together(_without_ignored(placed.pred, placed.gt), match.pred_parts)
    rows = _measured(case, reference, predicted, match.names, _with_ties(measuring))
    ties = list(_told_ties(rows))
    rows = [row for row in rows if row.metric in measuring.metrics]
    seen = _sides(rows, reference, predicted, match.names)
    listed = wanted_lesions(measuring.lesions, match.names)
    lesions = lesions_in(case, reference, predicted, listed, measuring.lesion_rule)
    sizes = volumes_of(case, reference, predicted, match.names) if ASKED_BY in measuring.metrics else ()
    told = (*notes, *placed.notes, *match.notes, *_background(rows), *ties, *seen)
    return known(rows=tuple(rows), notes=told, lesions=lesions, volumes=sizes)


def _with_empty(masks: Masks, names: Sequence[str]) -> Masks:
    """Add what is not there, in the order of the numbers."""
    missing = [name for name in names if name not in masks.told]
    nothing = np.zeros(masks.segmentation.grid.shape, bool)
    told = sorted((*masks.told, *missing), key=lambda name: (len(name), name))
    return replace(
        masks, segmentation=masks.segmentation.with_masks((name, nothing) for name in missing), told=tuple(told)
    )


def _without_ignored(pred: Segmentation, gt: Segmentation) -> Segmentation:
    """Leave out what is predicted where nobody said what is there. Source: nnU-Net v2, "ignore" label."""
    if IGNORED not in gt.names or not (ignored := gt.mask(IGNORED)).any():
        return pred
    layers = tuple(np.where(ignored, np.uint8(0), layer) for layer in pred.layers)
    return Segmentation(pred.grid, tuple(map(np.asfortranarray, layers)), pred.places)


def _measured(
    case: str, gt: Segmentation, pred: Segmentation, names: Sequence[str], measuring: Measuring
) -> list[Measurement]:
    return measure_case(
        gt,
        pred,
        case=case,
        structures=names,
        metrics=measuring.metrics,
        tolerances={name: measuring.tolerances.of(name) for name in names},
        preset=measuring.preset,
    )


def _background(rows: Sequence[Measurement]) -> Iterator[Note]:
    """Tell when a side has no voxel at all in what is compared."""
    status = {row.structure: row.status for row in rows}
    for side, absent in (("reference", "gt_absent"), ("prediction", "pred_absent")):
        if status and set(status.values()) <= {absent, "both_absent"}:
            yield Note("all_background", f"the {side} has no voxel of the {len(status)} structures that are compared")


def _with_ties(measuring: Measuring) -> Measuring:
    """Measure along, where NSD is measured, how much of it is for rounding to decide; it costs nothing."""
    known = preset_called(measuring.preset).measurable
    asks = "nsd" in measuring.metrics and _TIES in known and _TIES not in measuring.metrics
    return replace(measuring, metrics=(*measuring.metrics, _TIES)) if asks else measuring


def _told_ties(rows: Sequence[Measurement]) -> Iterator[Note]:
    """Tell, once for each tolerance, where rounding decides on more than a last digit."""
    tied: dict[float, dict[str, float]] = {}
    for row in rows:
        if row.metric == _TIES and row.tolerance_mm is not None and (row.value or 0.0) > _MANY_TIES:
            tied.setdefault(row.tolerance_mm, {})[row.structure] = row.value or 0.0
    for mm, shares in tied.items():
        most = max(shares, key=lambda name: shares[name])
        others = f" and {len(shares) - 1} more" if len(shares) > 1 else ""
        text = (
            f"at {mm:g} mm rounding decides on {100 * shares[most]:.1f} % of the surfaces of {most}{others}, whose "
            "distance is the tolerance itself; choose another tolerance, or --preset surfel-inclusive"
        )
        yield Note("ties_at_tolerance", text)


def _thick(grid: Grid, measuring: Measuring) -> Iterator[Note]:
    """Tell when centre lines are sought on voxels that are no cubes: thinning knows no spacing."""
    longest, shortest = max(grid.spacing_mm), min(grid.spacing_mm)
    if "cldice" in measuring.metrics and longest > _THICK * shortest:
        text = f"clDice on voxels of {shortest:.2g} to {longest:.2g} mm: lines run in steps; resample to cubes first"
        yield Note("thick_slices", text)


def _sides(rows: Sequence[Measurement], gt: Segmentation, pred: Segmentation, names: Sequence[str]) -> Iterator[Note]:
    """Look for swapped sides and flips where the overlap is poor; a good one needs no look."""
    there = [row for row in rows if row.metric in ("dsc", "iou") and row.status in ("ok", "pred_absent")]
    overlaps = {row.structure: row.value for row in there if row.value is not None}
    yield from swapped_sides(gt, pred, [name for name in names if overlaps.get(name, 0.0) < _POOR])
    if not overlaps or sum(overlaps.values()) / len(overlaps) < _POOR:
        yield from mirrored(gt, pred, names)
