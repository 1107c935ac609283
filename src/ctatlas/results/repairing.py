"""Masks that others made, with their ribs and vertebrae repaired: read → repair → write, and a report beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.anatomy_rules.ribs import Repaired, Steps, repair_ribs
from ctatlas.errors import ModelError
from ctatlas.volume import MaskChoices, read_segmentation, whole_file, write
from ctatlas.volume.converting import masks_kind, refuse_to_replace

if TYPE_CHECKING:
    from ctatlas.progress import Progress
    from ctatlas.volume import ScanSource


def repair_report(found: Repaired, steps: Steps) -> dict[str, object]:
    """Tell a repair in words of JSON: what was done by which lengths, what changed, what is uncertain, rib by rib."""
    gap = found.attached_gap_mm
    return {
        "numbering": "uncertain" if found.doubts else "sure",
        "doubts": list(found.doubts),
        "attached_gap_mm": round(gap, 2) if gap == gap else None,  # noqa: PLR0124 - nan
        "ribs": [_rounded(asdict(rib)) for rib in found.ribs],
        "findings": [_rounded(asdict(finding)) for finding in found.findings],
        "steps": steps.model_dump(exclude_none=True),
    }


def repair_file(
    folder: Path,
    progress: Progress,
    *,
    source: Path,
    file: Path,
    steps: Steps,
    reference: ScanSource | None = None,
    label_set: str | None = None,
    overwrite: bool = False,
) -> Mapping[str, object]:
    """Repair the ribs and vertebrae of one segmentation file or folder; return what `repair_report` tells.

    Parameters
    ----------
    folder, progress : Path, Progress
        As of every step.
    source, file : Path
        Masks in any form that is read, and in any that is written; the ending says which.
    steps : Steps
    reference : ScanSource, optional
        The CT that the masks lie on; with it only bone is added.
    label_set : str, optional
        Whose numbers the file has, where it does not say; those written are the same.
    overwrite : bool

    Raises
    ------
    ScanError, ModelError, OutputError
        When it cannot be read without guessing, has no ribs and no vertebrae, or can't be written.
    """
    kind = masks_kind(file, None)
    report_file = file / "repair.json" if kind == "masks" else file.with_name(f"{file.name.split('.')[0]}.repair.json")
    refuse_to_replace(file, overwrite=overwrite and kind != "masks")
    progress.stage("read", 1)
    scan, place = (reference.read(), reference.path) if reference else (None, None)
    given = read_segmentation(source, scan=scan, source=place, label_set=label_set)
    if not any(name.startswith(("rib_", "vertebrae_")) for name in given.names):
        raise ModelError(
            f"{source}: holds no rib and no vertebra by its number; it holds {', '.join(given.names) or 'nothing'}"
        )
    progress.stage("repair", 1)
    found = repair_ribs(given, hu=None if scan is None else scan.reoriented(given.grid.orientation).array, steps=steps)
    progress.stage("write", 1)
    folder.mkdir(parents=True, exist_ok=True)
    write(found.segmentation, file, MaskChoices(given.grid, scan, place, label_set), kind=kind)
    report = repair_report(found, steps)
    with whole_file(report_file) as open_file:
        open_file.write((json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode())
    return {"file": str(file), "report": str(report_file), "notes": list(given.notes), **report}


def _rounded(facts: dict[str, object]) -> dict[str, object]:
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in facts.items()}
