"""What came before the one mask of each structure: the labels of the source in its own numbers, and what models said.

Only the layout of AbdomenAtlas-8K tells them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ctatlas.anatomy import label_set, made_of, structure_called
from ctatlas.anatomy.label_files import names_a_file
from ctatlas.atlas.assemble import combined
from ctatlas.atlas.assembly import assembled
from ctatlas.atlas.config import Assembly, AtlasConfig
from ctatlas.atlas.layout import MASK, CasePlace
from ctatlas.atlas.records import OriginalRecord, read_record
from ctatlas.atlas.release.layouts import ORIGINAL, PSEUDO, SEGMENTATIONS, VERSION
from ctatlas.atlas.release.soundness import as_mask, read_on
from ctatlas.atlas.sources import Sources, sources_of
from ctatlas.volume import Grid, Segmentation, write_labels, write_mask


def predicted_alone(place: CasePlace, config: AtlasConfig) -> Sources | None:
    """Return where each mask would come from if nobody had annotated or corrected any; None without predictions."""
    sources = sources_of(place, config.model_copy(update={"assembly": Assembly(priorities=("pseudo",))}))
    return sources if sources.claims else None


def write_predicted(
    sources: Sources, folder: Path, *, ids: Mapping[str, int], names: Mapping[str, str], revised: Sequence[str]
) -> None:
    """Write what models said of all structures, and a file beside each mask that was revised.

    Parameters
    ----------
    sources : Sources
        Of predictions alone.
    folder : Path
        With a folder of single masks.
    ids, names : mapping
        Released structure -> number, spelling.
    revised : sequence of str
        Released structures that people corrected.

    Raises
    ------
    ScanError
        When a prediction can't be read.
    OutputError
        When the folder can't be written to.
    """
    found = assembled(sources).masks
    parts = {name: some for name in ids if (some := made_of(name, found.names))}
    masks = Segmentation.from_masks(sources.grid, ((name, _union(found, some)) for name, some in parts.items()))
    write_labels(combined(masks, ids), sources.grid, folder / PSEUDO)
    for name in revised:
        if name in parts:
            write_mask(masks.mask(name), sources.grid, folder / SEGMENTATIONS / f"{names[name]}{VERSION}{MASK}")


def original_hashes(place: CasePlace) -> dict[str, str]:
    """Return the hashes of the masks that came with a scan."""
    record = read_record(OriginalRecord, place.original / "labels.json")
    return {name: mask.sha256 for name, mask in record.masks.items()}


def write_original(place: CasePlace, grid: Grid, folder: Path) -> None:
    """Write what came with the scan, in the numbers of its dataset."""
    record = read_record(OriginalRecord, place.original / "labels.json")
    native = _native(record)
    ids = {name: number for number, name in native.items() if made_of(name, record.masks)}
    masks = Segmentation.from_masks(grid, ((name, _original(place, record, name, grid)) for name in ids))
    write_labels(combined(masks, ids), grid, folder / ORIGINAL)


def _union(masks: Segmentation, parts: Sequence[str]) -> np.ndarray:
    whole = masks.mask(parts[0])
    for part in parts[1:]:
        whole = whole | masks.mask(part)
    return whole


def _native(record: OriginalRecord) -> Mapping[int, str]:
    """Return which structure each number of the dataset means; one whose numbers were told by a file names them."""
    if record.label_set is not None and not names_a_file(record.label_set):
        return label_set(record.label_set).labels
    named = {number: structure_called(name) for name, number in record.native_ids.items()}
    return {number: name for number, name in named.items() if name}


def _original(place: CasePlace, record: OriginalRecord, name: str, grid: Grid) -> np.ndarray:
    whole = np.zeros(grid.shape, bool, order="F")
    for mask in _original_masks(place, made_of(name, record.masks), grid):
        whole |= mask
    return whole


def _original_masks(place: CasePlace, parts: Sequence[str], grid: Grid) -> Iterator[np.ndarray]:
    for part in parts:
        yield as_mask(read_on(place.original / f"{part}{MASK}", grid), part)
