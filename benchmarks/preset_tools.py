"""Presets against the tools themselves, on generated masks; run where the tools are installed.

    pip install monai medpy nnunetv2 panoptica seg-metrics surface-distance
    python benchmarks/preset_tools.py --pairs 40

Prints, as a table of Markdown, the largest difference of every metric that a preset shares with its tool. A tool that
is not installed is left out, and that is said.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np

from ctatlas.measure.counts import Counts
from ctatlas.measure.detection import LesionRule, detections, lesions_of_pair
from ctatlas.measure.metrics import chosen_metrics
from ctatlas.measure.pair import Masks, Pair
from ctatlas.measure.presets import preset_called

TOLERANCES = (0.8, 1.0, 2.4, 3.0)
Said = dict[tuple[str, float | None], float]
Tool = Callable[[np.ndarray, np.ndarray, tuple[float, ...]], Said]


def drawn(n: int) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[float, ...]]]:
    """Draw pairs of noisy ellipsoids with specks, some empty, some flat, on odd anisotropic grids."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(13)
    for k in range(n):
        shape = tuple(int(each) for each in rng.integers(17, 48, 2 if k % 5 == 4 else 3))
        spacing = tuple(float(each) for each in rng.choice([0.7, 0.8, 1.1, 1.25, 2.5, 5.0], len(shape)))
        middle = np.array(shape) / 2
        places = np.stack(np.indices(shape), axis=-1)
        sides = []
        for empty in (k % 11 == 3, k % 13 == 5):
            far = np.linalg.norm((places - middle - rng.normal(0, 2, len(shape))) / (middle * 0.7), axis=-1)
            mask = far + gaussian_filter(rng.normal(0, 1.5, shape), 1.5) < 0.8
            mask[tuple(rng.integers(0, shape, (3, len(shape))).T)] = True
            sides.append(mask & (not empty))
        yield sides[0], sides[1], spacing


def monai(gt: np.ndarray, pred: np.ndarray, spacing: tuple[float, ...]) -> Said:
    """Ask MONAI's functions with their defaults, and `symmetric=True` for the ASSD."""
    torch, metrics = import_module("torch"), import_module("monai.metrics")
    one, other = (torch.as_tensor(mask[None, None].astype(np.float32)) for mask in (pred, gt))
    spaced = {"spacing": spacing, "include_background": True}
    said = {
        ("dsc", None): metrics.compute_dice(one, other, include_background=True),
        ("iou", None): metrics.compute_iou(one, other, include_background=True),
        ("hd", None): metrics.compute_hausdorff_distance(one, other, **spaced),
        ("hd95", None): metrics.compute_hausdorff_distance(one, other, percentile=95, **spaced),
        ("assd", None): metrics.compute_average_surface_distance(one, other, symmetric=True, **spaced),
        ("asd_pred_to_gt", None): metrics.compute_average_surface_distance(one, other, **spaced),
    }
    said |= {
        ("nsd", tolerance): metrics.compute_surface_dice(one, other, [tolerance], **spaced) for tolerance in TOLERANCES
    }
    return {key: float(value) for key, value in said.items()}


def monai_subvoxel(gt: np.ndarray, pred: np.ndarray, spacing: tuple[float, ...]) -> Said:
    """Ask MONAI's surface Dice of surface elements."""
    torch, metrics = import_module("torch"), import_module("monai.metrics")
    one, other = (torch.as_tensor(mask[None, None].astype(np.float32)) for mask in (pred, gt))
    spaced = {"spacing": spacing, "include_background": True, "use_subvoxels": True}
    return {
        ("nsd", tolerance): float(metrics.compute_surface_dice(one, other, [tolerance], **spaced))
        for tolerance in TOLERANCES
    }


def medpy(gt: np.ndarray, pred: np.ndarray, spacing: tuple[float, ...]) -> Said:
    """Ask MedPy; an error is undefined."""
    binary = import_module("medpy.metric.binary")
    asked: dict[str, Callable[[], float]] = {
        "dsc": lambda: binary.dc(pred, gt),
        "iou": lambda: binary.jc(pred, gt),
        "sensitivity": lambda: binary.recall(pred, gt),
        "precision": lambda: binary.precision(pred, gt),
        "volume_error": lambda: binary.ravd(pred, gt),
        "hd": lambda: binary.hd(pred, gt, spacing),
        "hd95": lambda: binary.hd95(pred, gt, spacing),
        "assd": lambda: binary.assd(pred, gt, spacing),
        "asd_pred_to_gt": lambda: binary.asd(pred, gt, spacing),
        "asd_gt_to_pred": lambda: binary.asd(gt, pred, spacing),
    }
    said = {}
    for name, ask in asked.items():
        try:
            said[name, None] = float(ask())
        except RuntimeError:
            said[name, None] = math.nan
    return said


def nnunet(gt: np.ndarray, pred: np.ndarray, _spacing: tuple[float, ...]) -> Said:
    """Ask nnU-Net for its counts, and follow its two lines of formulas."""
    module = import_module("nnunetv2.evaluation.evaluate_predictions")
    tp, fp, fn, _ = module.compute_tp_fp_fn_tn(gt, pred)
    if tp + fp + fn == 0:
        return {("dsc", None): math.nan, ("iou", None): math.nan}
    return {("dsc", None): float(2 * tp / (2 * tp + fp + fn)), ("iou", None): float(tp / (tp + fp + fn))}


def seg_metrics(gt: np.ndarray, pred: np.ndarray, spacing: tuple[float, ...]) -> Said:
    """Ask seg-metrics for its overlaps."""
    module = import_module("seg_metrics.seg_metrics")
    words = {"dice": "dsc", "jaccard": "iou", "recall": "sensitivity", "precision": "precision"}
    one, other = (mask.astype(int) for mask in (gt, pred))
    if not (one.any() or other.any()):
        return {}  # it takes labels from the pictures and has none to measure
    (said,) = module.write_metrics(
        labels=[1], gdth_img=one, pred_img=other, metrics=list(words), spacing=list(spacing), verbose=False
    )
    return {(ours, None): float(said[theirs][0]) for theirs, ours in words.items()}


def surface_distance(gt: np.ndarray, pred: np.ndarray, spacing: tuple[float, ...]) -> Said:
    """Ask surface-distance; its release needs a name that NumPy 2 dropped."""
    vars(np)["Inf"] = np.inf
    module = import_module("surface_distance")
    found = module.compute_surface_distances(gt, pred, spacing)
    to_pred, to_gt = module.compute_average_surface_distance(found)
    said = {
        ("dsc", None): module.compute_dice_coefficient(gt, pred),
        ("hd", None): module.compute_robust_hausdorff(found, 100),
        ("hd95", None): module.compute_robust_hausdorff(found, 95),
        ("asd_gt_to_pred", None): to_pred,
        ("asd_pred_to_gt", None): to_gt,
    }
    for tolerance in TOLERANCES:
        overlaps = module.compute_surface_overlap_at_tolerance(found, tolerance)
        said["nsd", tolerance] = module.compute_surface_dice_at_tolerance(found, tolerance)
        said["surface_overlap_gt", tolerance], said["surface_overlap_pred", tolerance] = overlaps
    return {key: float(value) for key, value in said.items()}


TOOLS: dict[str, tuple[str, Tool]] = {
    "surface-distance": ("surface-distance", surface_distance),
    "monai": ("monai", monai),
    "monai-subvoxel": ("monai", monai_subvoxel),
    "medpy": ("medpy", medpy),
    "nnunet": ("nnunetv2", nnunet),
    "seg-metrics": ("seg_metrics", seg_metrics),
}


def main() -> None:
    """Compare every preset with its tool."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pairs", type=int, default=40)
    options.add_argument("out", type=Path, nargs="?", help="where to write the rows, JSON")
    asked = options.parse_args()
    n, rows = asked.pairs, []
    warnings.simplefilter("ignore")
    logging.disable()
    print(f"NumPy {np.__version__}, {n} pairs of masks, largest relative difference (0 below 1e-15)\n")
    print(
        "| preset | tool | metric | values | undefined in both | largest difference |\n"
        "| --- | --- | --- | --- | --- | --- |"
    )
    for name, (package, ask) in TOOLS.items():
        try:
            release = version(package)
            for row in compared(name, ask, n):
                rows.append((name, package, release, *row))
                print(f"| `{name}` | {package} {release} | {' | '.join(row)} |")
        except ImportError as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
    rows += print_panoptica(n)
    if asked.out:
        asked.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def compared(name: str, ask: Tool, n: int) -> Iterator[tuple[str, ...]]:
    """Yield a row a metric."""
    differences: dict[str, list[float]] = {}
    undefined: dict[str, int] = {}
    for gt, pred, spacing in drawn(n):
        said = ask(gt, pred, spacing)
        wanted = chosen_metrics(dict.fromkeys(metric for metric, _ in said))
        found = preset_called(name).measure(pair_of(gt, pred, spacing), wanted, TOLERANCES)
        for key, theirs in said.items():
            ours = found[key]
            if ours is None or not math.isfinite(theirs):
                same = ours is None and not math.isfinite(theirs)
                undefined[key[0]] = undefined.get(key[0], 0) + same
                differences.setdefault(key[0], []).append(0.0 if same else math.inf)
            else:
                differences.setdefault(key[0], []).append(abs(ours - theirs) / max(abs(theirs), 1e-6))
    for metric, values in differences.items():
        largest = max(values)
        yield metric, str(len(values)), str(undefined.get(metric, 0)), f"{largest:.1e}" if largest > 1e-15 else "0"


def print_panoptica(n: int) -> list[tuple[str, ...]]:
    """Compare PQ, SQ and RQ of one partner each above an IoU of 0.5 with panoptica's."""
    try:
        panoptica = import_module("panoptica")
    except ImportError as error:
        print(f"panoptica: left out, {error}", file=sys.stderr)
        return []
    evaluator = panoptica.Panoptica_Evaluator(
        expected_input=panoptica.InputType.SEMANTIC,
        instance_approximator=panoptica.ConnectedComponentsInstanceApproximator(),
        instance_matcher=panoptica.NaiveThresholdMatching(),
        verbose=False,
    )
    largest, rule = 0.0, LesionRule(threshold=0.5, limits_mm=())
    for gt, pred, spacing in drawn(n):
        if gt.ndim == 3 and gt.any() and pred.any():
            result = evaluator.evaluate(pred.astype(np.uint8), gt.astype(np.uint8), verbose=False)["ungrouped"]
            case = lesions_of_pair(pair_of(gt, pred, spacing), np.eye(4), case="a", by=rule)
            ours = detections([case], rule, rng=np.random.default_rng(0))[0]
            for one, other in ((ours.sensitivity.count, result.tp), (ours.pq, result.pq), (ours.f1, result.rq)):
                largest = max(largest, abs(float(one or 0) - float(other)))
    release = version("panoptica")
    print(f"| one_to_one:0.5 | panoptica {release} | tp, pq, rq | | | {largest:.1e} |")
    return [("one_to_one:0.5", "panoptica", release, "tp, pq, rq", "", "", f"{largest:.1e}")]


def pair_of(gt: np.ndarray, pred: np.ndarray, spacing: tuple[float, ...]) -> Pair:
    """Pair two masks as they are."""
    counts = Counts(int(gt.sum()), int(pred.sum()), int((gt & pred).sum()), float(np.prod(spacing)) / 1000)
    return Pair("structure", spacing, counts, lambda: Masks(gt, pred, (0,) * gt.ndim))


if __name__ == "__main__":
    main()
