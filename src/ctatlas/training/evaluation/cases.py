"""Scans with their truth that no training run draws: phantoms, completed label maps, and labelled real CTs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ctatlas.anatomy import label_set, structures
from ctatlas.synthesis.cases import draw_case, make_case, structure_ids
from ctatlas.synthesis.imaging import draw_scanner, render
from ctatlas.synthesis.intensities import draw_intensities
from ctatlas.synthesis.tables import tissue_id
from ctatlas.training.evaluation.store import Store
from ctatlas.training.label_map_members import draw_anatomy
from ctatlas.training.scans import SPACING_MM
from ctatlas.volume import Grid, ScanFacts, Segmentation, Volume, read

UNSEEN_SEED = 90_001  # shipped networks are trained with seeds below 1000
PHANTOM_SHAPE = (192, 192, 112)
MAPS = (("hra-male",), ("hra-female", "spl-abdomen"), ("spl-abdomen",), ("hra-male", "cort-prostate"))
# What is not known of a scan in which a tissue may be one of several.
UNTOLD = {
    "unknown_bowel": ("colon", "small_bowel", "rectum"),
    "unknown_stomach": ("stomach", "duodenum"),
    "unknown_prostate": ("prostate",),
}
REAL = {
    "lidc-0001": ("lidc-0001_ct_1p5mm.nii.gz", "lidc-0001_labels_1p5mm.nii.gz"),
    "ts-example": ("ts-example_ct.nii.gz", "ts-example_labels.nii.gz"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A scan and what is known of it.

    Attributes
    ----------
    sort : str
        "phantom", "label map", "real" or "unlabelled": figures are means over one sort.
    name : str
    volume : Volume
    truth : Segmentation
        A structure without a voxel is known to be absent; of one that is not named nothing is known.
    """

    sort: str
    name: str
    volume: Volume
    truth: Segmentation


def phantoms(store: Store, n: int) -> Iterator[Case]:
    """Yield the first `n` unseen phantoms."""
    return (phantom(store, number) for number in range(n))


def phantom(store: Store, number: int, phase: str | None = None) -> Case:
    """Return an unseen phantom, or the same person on the same scanner in another contrast phase."""

    def make() -> tuple[Volume, Segmentation]:
        plan = draw_case(UNSEEN_SEED, number, shape=PHANTOM_SHAPE)
        if phase is not None:
            rng = np.random.default_rng([UNSEEN_SEED, number, 1])
            plan = replace(plan, intensities=draw_intensities(rng, randomise=False, spread=1.0, phase=phase))
        made = make_case(plan)
        return made.volume, made.truth

    facts = {"phantom": [UNSEEN_SEED, number, *PHANTOM_SHAPE], "phase": phase}
    return _kept(store, facts, make, "phantom", f"phantom-{number}" + (f"-{phase}" if phase else ""))


def label_maps(store: Store, data: Path, n: int) -> Iterator[Case]:
    """Yield `n` anatomies from label maps whose people, deformation, phase and noise no training run draws."""
    return (label_map(store, data, MAPS[number % len(MAPS)], number) for number in range(n))


def label_map(store: Store, data: Path, maps: Sequence[str], number: int) -> Case:
    """Return an unseen anatomy from label maps, on the pool's 3 mm grid."""
    name = "+".join(maps)

    def make() -> tuple[Volume, Segmentation]:
        rng = np.random.default_rng([UNSEEN_SEED, number])
        drawn = draw_anatomy(data, rng, maps)
        scanner, spacing = draw_scanner(rng), (SPACING_MM,) * 3
        intensities = draw_intensities(rng, randomise=False, spread=1.0)
        image = render(drawn.tissues, intensities, scanner, spacing, texture=drawn.texture_hu)
        grid = Grid(image.shape, np.diag([-SPACING_MM, -SPACING_MM, SPACING_MM, 1.0]))
        ids, names = structure_ids()
        untold = {s for tissue, several in UNTOLD.items() if tissue_id(tissue) in drawn.tissues for s in several}
        told = {number: structure for number, structure in names.items() if structure not in untold}
        return Volume(image, grid, ScanFacts(source=name, modality="CT")), Segmentation.from_labels(
            grid, np.asfortranarray(ids[drawn.tissues]), told
        )

    return _kept(store, {"map": name, "number": [UNSEEN_SEED, number]}, make, "label map", f"{name}-{number}")


def real(data: Path, name: str, sort: str = "real") -> Case:
    """Return a labelled real CT (labels by TotalSegmentator v2), with the wholes of labelled parts.

    Raises
    ------
    ScanError
        When the data folder lacks it.
    """
    ct, labels = REAL[name]
    volume = read(data / "torso_ct" / ct)
    ids = np.asfortranarray(read(data / "labelmaps" / labels).array).astype(np.uint8)
    truth = Segmentation.from_labels(volume.grid, ids, dict(label_set("totalsegmentator-v2").labels))
    return Case(sort, name, volume, with_wholes(truth))


def with_wholes(truth: Segmentation) -> Segmentation:
    """Add to parts, such as lobes of a lung, what they make up together."""
    for whole, structure in structures().items():
        parts = [part for part in structure.parts if part in truth.names]
        if parts and whole not in truth.names:
            truth = truth.add(whole, np.logical_or.reduce([truth.mask(part) for part in parts]))
    return truth


def _kept(store: Store, facts: object, make: Callable[[], tuple[Volume, Segmentation]], sort: str, name: str) -> Case:
    """Return a drawn case from the store; its structures must not overlap."""

    def arrays() -> dict[str, np.ndarray]:
        volume, truth = make()
        labels = truth.combined({structure: n for n, structure in enumerate(truth.names, start=1)})
        return {
            "hu": volume.array,
            "labels": labels,
            "affine": volume.grid.affine,
            "structures": np.array(truth.names),
        }

    kept = store.arrays(facts, arrays)
    grid = Grid(kept["hu"].shape, kept["affine"])
    names = {n: str(structure) for n, structure in enumerate(kept["structures"], start=1)}
    truth = Segmentation.from_labels(grid, np.asfortranarray(kept["labels"]), names)
    return Case(sort, name, Volume(kept["hu"], grid, ScanFacts(source=name, modality="CT")), truth)
