"""Case folders with a mask a structure: releases of AbdomenAtlas (`BDMAP_00000001/`), TotalSegmentator's (`s0000/`).

`ct.nii.gz`, `segmentations/<structure>.nii.gz` or `combined_labels.nii.gz`, whose numbers `labels.json` beside it may
tell, as in phantoms; TotalSegmentator's `meta.csv` has splits, and so has the manifest of a release made by ctatlas,
whose case folders may lie in `data/<split>/`. Masks of `ctatlas segment` are a model's, and stay that.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

from ctatlas.atlas.add.datasets import dataset_of
from ctatlas.atlas.add.found import Ask, Fault, Found, GivenPrediction, Listing, printable, scan_at
from ctatlas.atlas.add.layouts.reading import MANIFEST, folders_in, given_remarks, numbers_of, said, text_of
from ctatlas.atlas.layout import MASK
from ctatlas.atlas.records import Split
from ctatlas.errors import ScanError
from ctatlas.execution import whole_record
from ctatlas.volume import safe_name

_CASE = re.compile(r"BDMAP_\w+|s\d{4,}", re.IGNORECASE)
_CT, _MASKS, _COMBINED, _NAMES = "ct.nii.gz", "segmentations", "combined_labels.nii.gz", "labels.json"
_DATA = "data"
_SPLITS: dict[str, Split] = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


def fits(source: Path) -> bool:
    """Tell whether there is a folder of masks or combined labels in a case's folder."""
    return source.is_dir() and any(
        (folder / _MASKS).is_dir() or (folder / _COMBINED).is_file() or _CASE.fullmatch(folder.name)
        for folder in _folders(source)
    )


def listed(source: Path, ask: Ask) -> Listing:
    """List the cases; one that comes without its scan, as half of release 1.1 does, is a fault."""
    found: list[Found] = []
    faults: list[Fault] = []
    splits = _splits(source)
    dataset = ask.dataset or safe_name(source.resolve().name)
    wanted = said(ask.label_set) if ask.label_set is not None else ""
    for folder in _folders(source):
        masks, combined = folder / _MASKS, folder / _COMBINED
        name = printable(folder.name)
        if not (folder / _CT).is_file():
            if masks.is_dir() or combined.is_file():
                faults.append(Fault(name, "has masks but no ct.nii.gz; put the scan from its source dataset there"))
            continue
        labels, numbers = (masks, wanted or _spelling(source)) if masks.is_dir() else (None, None)
        left_out: tuple[int, ...] = ()
        if model := _segmented_by(folder):
            predicted = GivenPrediction(model, None, masks={path.name.removesuffix(MASK): path for path in _in(masks)})
            one = Found(name, dataset, name, scan_at(folder / _CT, ask), split=ask.split or splits.get(folder.name))
            found.append(replace(one, predictions=(predicted,) if predicted.masks else ()))
            continue
        if labels is None and combined.is_file():
            labels = combined
            numbers, left_out = _combined(combined, source, ask)
        labels, numbers = (labels, numbers) if wanted is not None and numbers is not None else (None, None)
        split = ask.split or splits.get(folder.name)
        found.append(Found(name, dataset, name, scan_at(folder / _CT, ask), labels, numbers, left_out, split))
    return Listing("abdomenatlas", tuple(found), tuple(faults), remarks=tuple(given_remarks(found)))


def _folders(source: Path) -> list[Path]:
    """Return the folders that may be cases: in the source, or below its `data/` by split."""
    inside = _folders_in(source)
    return [case for split in _folders_in(source / _DATA) for case in _folders_in(split)] or inside


def _folders_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in folders_in(folder) if not path.name.startswith(".")]


def _spelling(source: Path) -> str:
    """Return whose names the masks' files have; all known spellings are understood besides."""
    known = dataset_of([source.resolve().name])
    return known.label_set if known else "abdomenatlas-1.1"


def _combined(path: Path, source: Path, ask: Ask) -> tuple[str | None, tuple[int, ...]]:
    """Return whose numbers combined labels have: releases 1.0 and 1.1 number alike but annotate 9 and 25 structures."""
    if ask.label_set is None and path.with_name(_NAMES).is_file():
        return said(str(path.with_name(_NAMES))), ()
    if ask.label_set is None and _CASE.fullmatch(path.parent.name):
        raise ScanError(
            f"{path.parent.name}/{path.name}: which release is this? Name --label-set abdomenatlas-1.0 or "
            "abdomenatlas-1.1: they annotate different structures"
        )
    return numbers_of([source.resolve().name], path, ask)


def _segmented_by(folder: Path) -> str:
    """Return the model whose masks `ctatlas segment` left in a folder; "" when they are not known to be a model's."""
    record = whole_record(folder)
    if record is None or record.get("step") != "segment":
        return ""
    match record.get("parameters"):
        case {"model": {"name": str(name)}}:
            return safe_name(name)
    return ""


def _in(masks: Path) -> list[Path]:
    return sorted(masks.glob(f"[!.]*{MASK}"))


def _splits(source: Path) -> dict[str, Split]:
    """Return the split of each case from a `meta.csv` with `image_id;split`, or from a release's manifest."""
    meta, manifest = source / "meta.csv", source / MANIFEST
    if meta.is_file():
        rows, name = csv.DictReader(io.StringIO(text_of(meta)), delimiter=";"), "image_id"
    elif manifest.is_file():
        rows, name = csv.DictReader(io.StringIO(text_of(manifest))), "name"
    else:
        return {}
    said_of = {str(row.get(name)): str(row.get("split") or "").lower() for row in rows}
    return {case: _SPLITS[split] for case, split in said_of.items() if split in _SPLITS}
