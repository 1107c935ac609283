"""Prove the anatomical checks: `python benchmarks/checks.py OUT.json [--markdown TABLE.md] [--n 24]`.

Each rule's error is made on purpose in clean labels of phantoms: recall is the share of errors that its rule finds in
the structure that has it. False alarms are findings in the labels as they were, against the structures that the rule
looked at. Half of the phantoms are whole trunks, half end somewhere; all grids are anisotropic, some oblique.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import ctatlas
from ctatlas.anatomy_rules.checks import Check, Given, check_masks, check_table
from ctatlas.anatomy_rules.checks.registry import EVERY
from ctatlas.inference.skin import body_inside_skin
from ctatlas.synthesis import mistakes as made
from ctatlas.synthesis.cases import draw_case, make_case
from ctatlas.synthesis.labelled import LabelledScan, axis_along, ball, cropped, depth_mm, mirrored, somewhere_in
from ctatlas.synthesis.mistakes import Mistake
from ctatlas.synthesis.numbered import numbered_bones
from ctatlas.volume import Grid, Segmentation

SEED = 70_001
# left-right, front-back and from slice to slice; shape so that a whole trunk fits
SPACINGS_MM = ((3.9, 3.6, 4.0), (3.6, 3.6, 3.0), (4.1, 3.8, 5.0))
TRUNK_MM = (-330.0, 270.0)  # from L1
TURNS_DEG = (0.0, 0.0, 7.0)  # of the grid about the long axis, and half as much about the others

SOLID = ("liver", "spleen", "kidney_left", "kidney_right")
PAIRED = (
    "kidney_left",
    "kidney_right",
    "adrenal_gland_left",
    "hip_left",
    "femur_right",
    "lung_right",
    "iliopsoas_left",
)
RIBS = tuple(f"rib_{side}_{number}" for side in ("left", "right") for number in range(2, 9))
Found = list[tuple[str, str]]
STRUCTURES_EACH = 3  # of a trial on one phantom
LUMBAR = ("vertebrae_T10", "vertebrae_T12", "vertebrae_L2", "vertebrae_L3")


@dataclass(frozen=True, slots=True)
class Trial:
    """A mistake that a rule must find, made in each of some structures in turn."""

    rule: str
    what: str
    mistake: Mistake
    structures: tuple[str, ...]
    anywhere: bool = False  # the finding may be of any structure


def _next_rib(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Exchange a rib with the next one below."""
    stem, _, number = name.rpartition("_")
    other = f"{stem}_{int(number) + 1}"
    if not (scan.has(name, 3.0) and scan.has(other, 3.0)) or scan.is_cut(name) or scan.is_cut(other):
        return None
    return made.exchanged_with(other)(scan, name, rng)


def _next_vertebra(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Exchange a vertebra with its neighbour, or lose its number to the neighbour."""
    order = (
        "vertebrae_T9",
        "vertebrae_T10",
        "vertebrae_T11",
        "vertebrae_T12",
        *(f"vertebrae_L{n}" for n in range(1, 6)),
    )
    other = order[order.index(name) + 1]
    if not (scan.has(name, 8.0) and scan.has(other, 8.0)) or scan.is_cut(name) or scan.is_cut(other):
        return None
    if rng.random() < 0.5:
        return made.exchanged_with(other)(scan, name, rng)
    above = order[order.index(name) - 1]
    if not scan.has(above, 8.0):
        return None
    return scan.holding(**{name: np.zeros_like(scan.masks[name]), above: scan.masks[above] | scan.masks[name]})


def _without(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Lose one structure, not its partner."""
    del rng
    stem, _, number = name.rpartition("_")
    neighbours = [f"{stem}_{int(number) + step}" for step in (-1, 1)]
    if not scan.has(name, 3.0) or not all(scan.has(each, 1.0) for each in neighbours):
        return None
    return scan.holding(**{name: np.zeros_like(scan.masks[name])})


def _torn_off(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """Lose the 35 to 45 mm of a rib next to the spine."""
    if not scan.has(name, 6.0) or scan.is_cut(name):
        return None
    from scipy import ndimage

    way_mm = ndimage.distance_transform_edt(~scan.masks["vertebrae"], sampling=scan.grid.spacing_mm)
    rest = scan.masks[name] & (way_mm > rng.uniform(35, 45))
    return scan.holding(**{name: rest}) if np.count_nonzero(rest) * scan.grid.voxel_ml > 4 else None


def _bladder_in_the_chest(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    """End the scan above the pelvis, with a bladder in it."""
    if not scan.has("liver", 200.0) or not scan.has(name) or axis_along(scan.grid) != 2:
        return None
    low = int(np.mean(np.nonzero(scan.masks["liver"])[2]))
    upper = cropped(scan, (slice(None), slice(None), slice(low, None)))
    return made.stray_at("liver")(upper.holding(**{name: ball(upper.grid, _amid(upper), 15.0)}), name, rng)


def _amid(scan: LabelledScan) -> np.ndarray:
    return scan.grid.world(np.array(scan.grid.shape) / 2)


def _mirror(scan: LabelledScan, name: str, rng: np.random.Generator) -> LabelledScan | None:
    del rng
    return mirrored(scan) if scan.has(name, 60.0) else None


TRIALS = (
    Trial(
        "missing", "lost but for crumbs, pairs both", made.emptied,
                ("liver", "spleen", "stomach", "pancreas", "kidney_left", "aorta", "inferior_vena_cava", "heart",
            "colon", "small_bowel", "vertebrae", "urinary_bladder", "lung_left"),
    ),
    Trial(
        "volume", "shrunk or grown beyond the limits", made.scaled,
        ("spleen", "kidney_left", "gallbladder", "pancreas", "heart", "sacrum", "stomach"),
    ),
    Trial(
        "pieces", "twelve balls of 5 to 8 mm strewn", made.scattered,
        (*SOLID, "pancreas", "gallbladder", "aorta", "colon", "urinary_bladder"),
    ),
    Trial("holes", "a ball of 7 to 9 mm left out", made.hollowed, (*SOLID, "heart", "stomach", "urinary_bladder")),
    Trial("side_swapped", "names of a pair exchanged", made.exchanged_with("partner"), PAIRED),
    Trial(
        "asymmetric_pair", "one shrunk to 4 to 13 %", made.shrunk,
        ("kidney_left", "kidney_right", "hip_left", "gluteus_maximus_left"),
    ),
    Trial(
        "outside_region", "12 to 18 mm of it in the chest", made.stray_at("heart"),
        ("kidney_left", "spleen", "urinary_bladder", "pancreas", "gallbladder"),
    ),
    Trial(
        "outside_region", "12 to 18 mm of it in the pelvis", made.stray_at("urinary_bladder"),
        ("heart", "kidney_right", "liver", "lung_left"),
    ),
    Trial(
        "outside_region", "12 to 18 mm of it far to one side", made.stray_at("aside"),
        ("aorta", "inferior_vena_cava", "vertebrae"),
    ),
    Trial("outside_parent", "moved by 70 to 100 mm", made.moved, ("liver_tumor", "kidney_cyst_left")),
    Trial(
        "overlap", "takes 2 to 6 mL of a neighbour", made.grown_into("stomach"),
        ("liver", "spleen", "pancreas", "colon"), anywhere=True,
    ),
    Trial(
        "overlap", "takes 2 to 6 mL of a neighbour", made.grown_into("kidney_left"),
        ("spleen", "colon", "iliopsoas_left"), anywhere=True,
    ),
    Trial(
        "kidneys_overlap", "takes some of the other kidney", made.grown_into("kidney_right", 0.3),
        ("kidney_left",),
    ),
    Trial(
        "kidneys_fused", "joined by a rod, or both under one name", made.bridged,
        ("kidney_left", "kidney_right"), anywhere=True,
    ),
    Trial(
        "duplicate", "a copy of another", made.copied_from("liver"),
        ("spleen", "stomach", "pancreas"), anywhere=True,
    ),
    Trial(
        "leak", "seeped out, half as large again", made.leaked,
        (*SOLID, "stomach", "gallbladder", "urinary_bladder", "heart"),
    ),
    Trial("leak", "a ball of 48 to 55 mm on a tube", made.swollen, ("aorta", "inferior_vena_cava")),
    Trial(
        "flat_cut", "cut off at a plane", made.cut_flat,
        (*SOLID, "stomach", "heart", "gallbladder", "urinary_bladder"),
    ),
    Trial("cut_by_scan", "the scan ends amid it", made.cropped_through, (*SOLID, "stomach", "heart", "pancreas")),
    Trial(
        "discontinuous_tube", "20 to 30 mm lost", made.interrupted,
        ("aorta", "inferior_vena_cava", "vertebrae", "spinal_cord"),
    ),
    Trial("vertebra_order", "exchanged with the next, or left out", _next_vertebra, LUMBAR, anywhere=True),
    Trial("rib_count", "left out", _without, RIBS),
    Trial("rib_order", "exchanged with the next", _next_rib, RIBS, anywhere=True),
    Trial("rib_attachment", "35 to 45 mm lost at the spine", _torn_off, RIBS),
    Trial("gas_in_solid_organ", "gas of 11 to 14 mm in it", made.filled_with_gas, (*SOLID, "heart")),
    Trial(
        "hu_implausible", "an intercept of 1024 HU forgotten", made.rescaled_wrong,
        (*SOLID, "aorta", "vertebrae", "lung_left"),
    ),
    Trial("hu_implausible", "lies in a lung instead", made.put_on("lung_right"), (*SOLID, "pancreas", "aorta")),
    Trial("liver_spleen_swapped", "names exchanged", made.exchanged_with("spleen"), ("liver",)),
    Trial("situs", "a person of mirrored organs", _mirror, ("liver", "spleen")),
    Trial("outside_body", "a ball of 12 to 16 mm beside the body", made.on_the_table, (*SOLID, "colon", "stomach")),
    Trial(
        "step_between_slices", "the upper part shifted by 18 to 25 mm", made.stepped,
        (*SOLID, "stomach", "heart", "aorta"),
    ),
    Trial("field_mismatch", "slice spacing wrong by 2.2 to 3", made.slices_misplaced, ("liver",), anywhere=True),
    Trial("field_mismatch", "a bladder without a pelvis", _bladder_in_the_chest, ("urinary_bladder",)),
    Trial("combined_differs", "1 to 50 voxels changed", made.emptied, ("liver", "spleen", "aorta")),
    Trial("aorta_protocol", "annotated from or to amid the liver", made.cut_beside("liver"), ("aorta",)),
    Trial("empty_stomach_regions", "lumen left out", made.lumen_left_out, ("stomach",)),
    Trial("empty_stomach_regions", "gas left out", made.gas_left_out, ("stomach",)),
    Trial("blurry_vena_cava", "ragged by noise of 9 mm", made.blurred, ("inferior_vena_cava",)),
)  # fmt: skip


def clean_scan(number: int, *, coarser: float = 1.0) -> LabelledScan:
    """Make the labels of a phantom, with numbered bones, a tumor of the liver and a cyst of the left kidney.

    Parameters
    ----------
    number : int
        Every second one is a whole trunk, the others end somewhere.
    coarser : float
        Factor on the spacing.
    """
    rng = np.random.default_rng([SEED, number])
    spacing = tuple(coarser * mm for mm in SPACINGS_MM[number % len(SPACINGS_MM)])
    low, high = TRUNK_MM
    if number % 2:
        low, high = sorted(rng.uniform(low, high, 2))
        low, high = (low, high) if high - low > 220 else (low - 110, low + 110)
    drawn = draw_case(SEED, number, conditions=())
    girth_mm = 2 * (185 + drawn.phantom.subject.fat_mm) * drawn.phantom.scale
    extent = (min(girth_mm, 470.0), min(0.75 * girth_mm, 380.0), high - low)
    shape = tuple(int(mm / step) | 1 for mm, step in zip(extent, spacing, strict=True))  # odd
    middle = (rng.normal(0, 6), rng.normal(-12, 8), (low + high) / 2)
    first = tuple(m - s * (n - 1) / 2 for m, s, n in zip(middle, spacing, shape, strict=True))
    plan = replace(
        drawn,
        spacing_mm=(spacing[0], spacing[1], spacing[2]),
        shape=(shape[0], shape[1], shape[2]),
        first_voxel_mm=(float(first[0]), float(first[1]), float(first[2])),
    )
    case = make_case(plan)
    masks = dict(case.truth.items()) | numbered_bones(case)
    body = body_inside_skin(case.volume.array.astype(np.float32), case.truth.grid.spacing_mm)
    body = np.logical_or.reduce([body, *masks.values()])  # phantoms paint a few organs through the skin
    scan = LabelledScan(case.truth.grid, case.volume.array, masks, body)
    return _turned(_with_lesions(scan, rng), TURNS_DEG[number % len(TURNS_DEG)])


def _with_lesions(scan: LabelledScan, rng: np.random.Generator) -> LabelledScan:
    """Add a tumor in the liver and a cyst on the left kidney, where these are."""
    masks = {}
    for lesion, organ in (("liver_tumor", "liver"), ("kidney_cyst_left", "kidney_left")):
        deep = depth_mm(scan, organ)
        mask = np.zeros(scan.grid.shape, dtype=bool, order="F")
        if deep.max() > 15:
            mask = ball(scan.grid, somewhere_in(deep > 10, scan.grid, rng), rng.uniform(7, 12)) & scan.body
        masks[lesion] = mask
    return scan.holding(**masks)


def _turned(scan: LabelledScan, degrees: float) -> LabelledScan:
    """Lay the same voxels askew in the world, as a tilted patient lies."""
    one, two = np.deg2rad(degrees), np.deg2rad(degrees / 2)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(one), -np.sin(one)], [np.sin(one), np.cos(one)]]
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(two), -np.sin(two)], [np.sin(two), np.cos(two)]]
    return replace(scan, grid=Grid(scan.grid.shape, turn @ tilt @ scan.grid.affine))


def segmentation_of(scan: LabelledScan) -> Segmentation:
    """Return the masks and the body as a segmentation."""
    return Segmentation.from_masks(scan.grid, {**scan.masks, "body": scan.body})


def ids_of(segmentation: Segmentation) -> dict[str, int]:
    """Give numbers to the structures, but not to the body, for a combined label map."""
    return {name: number for number, name in enumerate((n for n in segmentation.names if n != "body"), start=1)}


def found(segmentation: Segmentation, hu: np.ndarray, checks: list[Check], combined: np.ndarray | None = None) -> Found:
    """Return (rule, structure) of all findings."""
    findings = check_masks(segmentation, Given(hu=hu, combined=combined, ids=ids_of(segmentation)), checks)
    return [(finding.rule, finding.structure) for finding in findings]


def rows_of(rule: str) -> list[Check]:
    """Return the rows of the tables for a rule."""
    return [check for check in check_table() if check.rule == rule]


def tried(trial: Trial, scan: LabelledScan, clean: Segmentation, name: str, number: int) -> bool | None:
    """Tell whether a rule finds its mistake in a scan whose `clean` masks are those of the scan; None: not possible."""
    rng = np.random.default_rng([SEED, number, sum(map(ord, trial.rule + trial.what + name))])
    if name not in scan.masks:
        return None
    if trial.rule == "combined_differs":
        return _found_in_combined(scan, clean, name, rng)
    if trial.rule == "missing" and not is_whole(scan):
        return None
    wrong = trial.mistake(scan, name, rng)
    if wrong is None:
        return None
    changed = {each: mask for each, mask in wrong.masks.items() if mask is not scan.masks[each]}
    same_grid = wrong.grid is scan.grid and len(changed) < len(scan.masks)
    masks = clean.replace(changed) if same_grid else segmentation_of(wrong)
    findings = found(masks, wrong.hu, rows_of(trial.rule))
    return any(trial.anywhere or structure == name for _, structure in findings)


def is_whole(scan: LabelledScan) -> bool:
    """Tell whether a scan shows a whole trunk."""
    return scan.grid.shape[2] * scan.grid.spacing_mm[2] > 0.95 * (TRUNK_MM[1] - TRUNK_MM[0])


def _found_in_combined(scan: LabelledScan, clean: Segmentation, name: str, rng: np.random.Generator) -> bool | None:
    if not scan.has(name, 5.0):
        return None
    mask = scan.masks[name].copy()
    voxels = np.argwhere(mask)
    mask[tuple(voxels[rng.integers(len(voxels), size=int(rng.integers(1, 50)))].T)] = False
    labels = clean.replace({name: mask}).combined(ids_of(clean))
    findings = found(clean, scan.hu, rows_of("combined_differs"), labels)
    return ("combined_differs", name) in findings


def looked_at(scan: LabelledScan, rule: str) -> Iterator[str]:
    """Yield the structures that a rule looks at, but for those that truly are cut by the end of the scan."""
    names = {name for check in rows_of(rule) for name in check.limits}
    for name in scan.masks if EVERY in names else names & scan.masks.keys():
        is_looked_for = rule in ("missing", "rib_count") or scan.has(name)
        if is_looked_for and not (rule == "cut_by_scan" and scan.is_cut(name)):
            yield name


def prove(scan: LabelledScan, number: int, trials: tuple[Trial, ...] = TRIALS) -> Counter[tuple[str, str]]:
    """Count for each rule: errors made and found, clean structures looked at, false alarms."""
    counts: Counter[tuple[str, str]] = Counter()
    clean = segmentation_of(scan)
    for rule, structure in found(clean, scan.hu, list(check_table()), clean.combined(ids_of(clean))):
        is_alarm = rule != "cut_by_scan" or not scan.is_cut(structure)
        counts[rule, "alarms"] += is_alarm
        if is_alarm:
            typer.echo(f"phantom {number}: false alarm of {rule}: {structure}", err=True)
    for rule in dict.fromkeys(trial.rule for trial in trials):
        counts[rule, "clean"] += len(list(looked_at(scan, rule)))
    for trial in trials:
        for name in in_turn(trial.structures, number):
            answer = tried(trial, scan, clean, name, number)
            counts[trial.rule, "made"] += answer is not None
            counts[trial.rule, "found"] += answer is True
            if answer is False:
                typer.echo(f"phantom {number}: passed over by {trial.rule}: {name} {trial.what}", err=True)
    return counts


def in_turn(names: tuple[str, ...], number: int) -> list[str]:
    """Return a few of some structures, others for the next phantom."""
    start = STRUCTURES_EACH * number
    return [names[(start + at) % len(names)] for at in range(min(STRUCTURES_EACH, len(names)))]


def markdown(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Return the table for the manual."""
    lines = [
        "| rule | error made on purpose | made | found | recall | clean structures | false alarms |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for rule, each in counts.items():
        what = "; ".join(dict.fromkeys(trial.what for trial in TRIALS if trial.rule == rule))
        recall, alarms = each["found"] / max(each["made"], 1), each["alarms"] / max(each["clean"], 1)
        numbers = f"{each['made']} | {each['found']} | {recall:.3f} | {each['clean']} | {each['alarms']} ({alarms:.1%})"
        lines.append(f"| `{rule}` | {what} | {numbers} |")
    return "\n".join(lines) + "\n"


def main(
    out: Path,
    *,
    n: Annotated[int, typer.Option(help="Phantoms.")] = 24,
    first: Annotated[int, typer.Option(help="Number of the first phantom.")] = 0,
    rule: Annotated[list[str] | None, typer.Option(help="Only this rule; may be given several times.")] = None,
    table: Annotated[Path | None, typer.Option("--markdown", help="Where to write the table of the manual.")] = None,
) -> None:
    """Measure recall and false alarms of every rule."""
    start = time.perf_counter()
    total: Counter[tuple[str, str]] = Counter()
    trials = tuple(trial for trial in TRIALS if not rule or trial.rule in rule)
    rules = dict.fromkeys(trial.rule for trial in trials)
    for number in range(first, first + n):
        total += prove(clean_scan(number), number, trials)
        counts = {rule: {what: total[rule, what] for what in ("made", "found", "clean", "alarms")} for rule in rules}
        record = {
            "ctatlas": ctatlas.__version__,
            "seed": SEED,
            "first": first,
            "n_phantoms": number + 1 - first,
            "rules": counts,
        }
        seconds = time.perf_counter() - start
        out.write_text(json.dumps(record | {"seconds": round(seconds)}, indent=1) + "\n")
        if table:
            table.write_text(markdown(counts))
    typer.echo(markdown(counts))


if __name__ == "__main__":
    typer.run(main)
