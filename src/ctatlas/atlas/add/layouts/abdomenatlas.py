"""Case folders with a mask a structure: releases of AbdomenAtlas (`BDMAP_00000001/`), TotalSegmentator's (`s0000/`).

`ct.nii.gz`, `segmentations/<structure>.nii.gz` or `combined_labels.nii.gz`; TotalSegmentator's `meta.csv` has splits.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from ctatlas.atlas.add.datasets import dataset_of
from ctatlas.atlas.add.found import Ask, Fault, Found, Listing, printable, scan_at
from ctatlas.atlas.add.layouts.reading import numbers_of, said, text_of
from ctatlas.atlas.records import Split
from ctatlas.errors import ScanError
from ctatlas.volume import safe_name

_CASE = re.compile(r"BDMAP_\w+|s\d{4,}", re.IGNORECASE)
_CT, _MASKS, _COMBINED = "ct.nii.gz", "segmentations", "combined_labels.nii.gz"
_SPLITS: dict[str, Split] = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


def fits(source: Path) -> bool:
    """Tell whether there is a folder of masks or combined labels in a case's folder."""
    return source.is_dir() and any(
        (folder / _MASKS).is_dir() or (folder / _COMBINED).is_file() or _CASE.fullmatch(folder.name)
        for folder in source.iterdir()
    )


def listed(source: Path, ask: Ask) -> Listing:
    """List the cases; one that comes without its scan, as half of release 1.1 does, is a fault."""
    found: list[Found] = []
    faults: list[Fault] = []
    splits = _splits(source)
    dataset = ask.dataset or safe_name(source.resolve().name)
    wanted = said(ask.label_set) if ask.label_set is not None else ""
    for folder in sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith(".")):
        masks, combined = folder / _MASKS, folder / _COMBINED
        name = printable(folder.name)
        if not (folder / _CT).is_file():
            if masks.is_dir() or combined.is_file():
                faults.append(Fault(name, "has masks but no ct.nii.gz; put the scan from its source dataset there"))
            continue
        labels, numbers = (masks, wanted or _spelling(source)) if masks.is_dir() else (None, None)
        left_out: tuple[int, ...] = ()
        if labels is None and combined.is_file():
            labels = combined
            numbers, left_out = _combined(combined, source, ask)
        labels, numbers = (labels, numbers) if wanted is not None and numbers is not None else (None, None)
        split = ask.split or splits.get(folder.name)
        found.append(Found(name, dataset, name, scan_at(folder / _CT, ask), labels, numbers, left_out, split))
    return Listing("abdomenatlas", tuple(found), tuple(faults))


def _spelling(source: Path) -> str:
    """Return whose names the masks' files have; all known spellings are understood besides."""
    known = dataset_of([source.resolve().name])
    return known.label_set if known else "abdomenatlas-1.1"


def _combined(path: Path, source: Path, ask: Ask) -> tuple[str | None, tuple[int, ...]]:
    """Return whose numbers combined labels have: releases 1.0 and 1.1 number alike but annotate 9 and 25 structures."""
    if ask.label_set is None and _CASE.fullmatch(path.parent.name):
        raise ScanError(
            f"{path.parent.name}/{path.name}: which release is this? Name --label-set abdomenatlas-1.0 or "
            "abdomenatlas-1.1: they annotate different structures"
        )
    return numbers_of([source.resolve().name], path, ask)


def _splits(source: Path) -> dict[str, Split]:
    """Return the split of each case from a `meta.csv` with `image_id;split`."""
    meta = source / "meta.csv"
    if not meta.is_file():
        return {}
    rows = csv.DictReader(io.StringIO(text_of(meta)), delimiter=";")
    said_of = {str(row.get("image_id")): str(row.get("split") or "").lower() for row in rows}
    return {case: _SPLITS[split] for case, split in said_of.items() if split in _SPLITS}
