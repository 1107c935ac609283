"""A quick real atlas: coarse phantoms with their CTs, the truth about them kept apart, some with labels of a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from ctatlas.anatomy import label_set, structures
from ctatlas.atlas import Atlas, AtlasConfig
from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.records import CaseRecord, GridRecord, write_record
from ctatlas.hashing import sha256_file
from ctatlas.synthesis.cases import PhantomCase, draw_case, make_case
from ctatlas.volume import Segmentation, Volume, write_volume
from tests.atlas.by_hand import add_original

SHAPE = (72, 60, 56)
SLICE_MM = 6.0  # in the plane voxels are of 5 to 7 mm
MIDDLE_MM = 10.0  # of the scan, above L1: from the lungs to the hips


@dataclass(frozen=True)
class PhantomAtlas:
    """An atlas, and the true masks of each case by its id: every structure of the phantom, absent ones empty."""

    atlas: Atlas
    truth: dict[str, Segmentation]

    def place(self, number: int = 0) -> CasePlace:
        """Return a case by its place in the order of ids."""
        return self.atlas.place.case(sorted(self.truth)[number])


@cache
def coarse_phantom(number: int, seed: int = 0) -> PhantomCase:
    """Make a phantom of voxels of about 6 mm, its body whole in view; a second of work, done once in a test run."""
    plan = draw_case(seed, number, shape=SHAPE, conditions=(), exact=False)
    first = (*plan.first_voxel_mm[:2], MIDDLE_MM - SLICE_MM * (SHAPE[2] - 1) / 2)
    scanner = replace(plan.scanner, field_mm=None)
    return make_case(replace(plan, spacing_mm=(*plan.spacing_mm[:2], SLICE_MM), first_voxel_mm=first, scanner=scanner))


def phantom_atlas(
    folder: Path,
    n: int = 3,
    *,
    sources: Sequence[str | None] = ("btcv", "kits", None),
    seed: int = 0,
    **config: object,
) -> PhantomAtlas:
    """Make an atlas of `n` phantoms, `phantom_0`, `phantom_1`, …

    Parameters
    ----------
    folder : Path
        Made, or empty.
    sources : sequence of str or None
        Taken in turn by the cases: the label set of the dataset that a case comes from, whose structures then are
        originals (true ones; of `kits` the tumor and the cyst are annotated and absent). None: it has no labels.
    seed : int
        Of the phantoms.
    config
        Of `AtlasConfig`.
    """
    atlas = Atlas.create(folder, AtlasConfig.model_validate({"name": "phantoms", **config}))
    truth = {}
    for number, source in enumerate(islice(cycle(sources), n)):
        phantom = coarse_phantom(number, seed)
        place = _add(atlas, f"phantom_{number}", phantom.volume, source)
        if source:
            add_original(place, annotated_by(source, phantom.truth), grid=phantom.truth.grid, set_name=source)
        truth[place.case] = phantom.truth
    atlas.synchronise()
    return PhantomAtlas(atlas, truth)


def true_masks(truth: Segmentation, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the true masks of structures, (i, j, k) bool; empty where the phantom has none of that name."""
    empty = np.zeros(truth.grid.shape, bool, order="F")
    return {name: truth.mask(name) if name in truth.names else empty for name in names}


def annotated_by(source: str, truth: Segmentation) -> dict[str, np.ndarray]:
    """Return the true masks of all that a label set annotates."""
    return true_masks(truth, label_set(source).annotated)


def native_labels(source: str, truth: Segmentation) -> np.ndarray:
    """Return the truth as a dataset numbers it, (i, j, k) uint8: both sides in one number where it has one for both."""
    labels = np.zeros(truth.grid.shape, np.uint8, order="F")
    for number, name in label_set(source).labels.items():
        for part in (name, *structures()[name].parts):
            if part in truth.names:
                labels[truth.mask(part)] = number
    return labels


def _add(atlas: Atlas, case: str, scan: Volume, source: str | None) -> CasePlace:
    place = atlas.place.case(case)
    place.folder.mkdir(parents=True)
    write_volume(scan, place.ct)
    sha256 = sha256_file(place.ct)
    record = CaseRecord(
        case=case,
        dataset=source or "phantoms",
        dataset_case=case,
        label_set=source,
        patient=f"patient of {case}",
        grid=GridRecord.of(scan.grid),
        ct_sha256=sha256,
        voxels_sha256=sha256,
    )
    write_record(record, place.record)
    return place
