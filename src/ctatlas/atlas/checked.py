"""The masks of a case that checks look at: the assembled ones, or a member's, or those that came with the scan."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctatlas.anatomy_rules.checks import Given
from ctatlas.atlas.layout import MASK, CasePlace
from ctatlas.atlas.members import names_called
from ctatlas.atlas.records import OriginalRecord, ProvenanceRecord, read_record
from ctatlas.atlas.sources import unheard
from ctatlas.errors import AtlasError, ScanError
from ctatlas.execution import whole_record
from ctatlas.inference.coarse import coarse_copy
from ctatlas.inference.skin import body_inside_skin
from ctatlas.volume import Grid, Segmentation, read, read_labels

if TYPE_CHECKING:
    from ctatlas.atlas.config import AtlasConfig
    from ctatlas.volume import Volume

ASSEMBLED, ORIGINAL = "assembled", "original"
BODY = "body"


@dataclass(frozen=True, slots=True)
class Checked:
    """Whose masks of a case are looked at.

    Attributes
    ----------
    what : str
        "assembled", "original", or a member's name.
    key : str
        Tells these masks from all others.
    """

    what: str
    key: str


def checked_of(place: CasePlace, config: AtlasConfig, wanted: str = "") -> Checked:
    """Choose the masks to look at, from the records alone.

    Parameters
    ----------
    place : CasePlace
    config : AtlasConfig
    wanted : str, optional
        "assembled", "original" or a member's name; by default the first there is of assembled, the atlas's members in
        their order, and original.

    Raises
    ------
    AtlasError
        When there are none.
    """
    for what in names_called([wanted]) if wanted else [ASSEMBLED, *names_called(config.members), ORIGINAL]:
        if key := _key(place, what):
            return Checked(what, key)
    missing = f"no masks of {wanted!r}" if wanted else "no masks"
    raise AtlasError(f"{place.case}: has {missing} to check; {unheard(place, config)}")


def read_checked(place: CasePlace, what: str) -> tuple[Segmentation, Given]:
    """Read the masks to look at, and all that is known beside them.

    Returns
    -------
    Segmentation
        On the scan's grid, with the `body` that is inside the skin.
    Given
        The scan; of assembled masks the combined labels, and what the source says is absent.

    Raises
    ------
    ScanError, AtlasError
        When a file can't be read, or lies on another grid than the scan.
    """
    scan = read(place.ct)
    if what == ASSEMBLED:
        masks, given = _assembled(place, scan)
    elif what == ORIGINAL:
        masks, given = _original(place, scan)
    else:
        labels = _on_grid(place.prediction(what) / "labels.nii.gz", scan.grid)
        masks = Segmentation.from_labels(scan.grid, labels, _names(place.prediction(what) / "labels.json"))
        given = Given(hu=scan.array)
    return (masks if BODY in masks.names else masks.add(BODY, body_of(scan))), given


def body_of(scan: Volume) -> np.ndarray:
    """Find all that is inside the skin, (i, j, k) bool on the scan's grid; its outline is as coarse as 4 mm."""
    coarse = coarse_copy(scan)
    body = coarse.in_scan_order(body_inside_skin(coarse.hu, coarse.grid.spacing_mm))
    i, j, k = (slice(0, n) for n in scan.grid.shape)
    return np.asfortranarray(coarse.enlarged(body, (i, j, k)))


def _key(place: CasePlace, what: str) -> str:
    if what == ORIGINAL:
        path = place.original / "labels.json"
        masks = read_record(OriginalRecord, path).masks if path.is_file() else {}
        return " ".join(f"{name}:{mask.sha256}" for name, mask in sorted(masks.items()))
    record = whole_record(place.assembled if what == ASSEMBLED else place.prediction(what))
    return str(record.get("key", "")) if record else ""


def _assembled(place: CasePlace, scan: Volume) -> tuple[Segmentation, Given]:
    provenance = read_record(ProvenanceRecord, place.assembled / "provenance.json")
    folder = place.assembled / "segmentations"
    masks = _masks({name: folder / f"{name}{MASK}" for name in provenance.masks}, scan.grid)
    ids = {name: number for number, name in _names(place.assembled / "labels.json").items()}
    absent = frozenset(name for name, mask in provenance.masks.items() if mask.source == "absent")
    combined = _on_grid(place.assembled / "combined_labels.nii.gz", scan.grid)
    return masks, Given(hu=scan.array, combined=combined, ids=ids, absent=absent)


def _original(place: CasePlace, scan: Volume) -> tuple[Segmentation, Given]:
    record = read_record(OriginalRecord, place.original / "labels.json")
    masks = _masks({name: place.original / f"{name}{MASK}" for name in record.masks}, scan.grid)
    return masks, Given(hu=scan.array)


def _masks(paths: Mapping[str, Path], grid: Grid) -> Segmentation:
    masks = ((name, np.asarray(_on_grid(path, grid) != 0)) for name, path in paths.items())
    return Segmentation(grid).with_masks(masks)


def _on_grid(path: Path, grid: Grid) -> np.ndarray:
    """Read labels that must lie on the scan's voxels."""
    found = read_labels(path)
    if not found.grid.is_like(grid):
        shapes = (" x ".join(map(str, one.shape)) for one in (found.grid, grid))
        raise ScanError("{}: lies on another grid ({} voxels) than the scan ({})".format(path, *shapes))
    return found.labels


def _names(path: Path) -> dict[int, str]:
    try:
        return {int(number): str(name) for number, name in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError):
        raise ScanError(f"{path}: is no table of ids and names; make the masks of the case again") from None
