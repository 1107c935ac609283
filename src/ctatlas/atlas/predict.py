"""Step `predict`: what each member finds in each scan: labels, probabilities on the model's grid, hashes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ctatlas import pipeline
from ctatlas.atlas.layout import MASK, CasePlace
from ctatlas.atlas.members import Member
from ctatlas.atlas.probabilities import structure_probabilities
from ctatlas.atlas.records import CaseRecord, read_record
from ctatlas.errors import AtlasError, CtatlasError, ScanError
from ctatlas.execution import Task, refused_task
from ctatlas.hashing import sha256_bytes, sha256_json
from ctatlas.models.engines import backend_of
from ctatlas.progress import Progress
from ctatlas.results import Extras, Found, Naming, name_outputs
from ctatlas.volume import Grid, Volume, read, whole_file, write_array_uint8, write_labels

if TYPE_CHECKING:
    from ctatlas.atlas.atlas import Atlas

STEP = "predict"
STEP_VERSION = 1
LABELS = "labels.nii.gz"
NAMES = "labels.json"
PROBABILITIES = "probabilities"
_ORDER = "RAS"  # of the axes of network maps

# Bytes a voxel of the scan, bytes a voxel of the model's grid and structure, bytes a file. Source: measured with
# ctatlas/base and two variants on CRLM-1004 and LIDC-0314: 0.011 to 0.022 and 0.03 to 0.05; half a block of a disk.
_LABEL_BYTES, _PROBABILITY_BYTES, _FILE_BYTES = 0.02, 0.04, 2_000


@dataclass(frozen=True, slots=True)
class Predictor:
    """A member and what it can give an atlas."""

    member: Member
    naming: Naming

    @classmethod
    def of(cls, member: Member, label_set: str) -> Predictor:
        """Find out what a member can give of a label set, experimental structures too.

        Raises
        ------
        ModelError
            When it is nothing.
        AtlasError
            When the label set has ids that a label map of bytes can't hold.
        """
        naming = name_outputs(member.card, ["all"], label_set)
        if max(naming.ids.values()) > 255:
            raise AtlasError(f"label set {label_set} has ids above 255, which the label maps of an atlas can't hold")
        return cls(member, naming)

    def missing(self, structures: Sequence[str]) -> list[str]:
        """Return the structures that it can't give."""
        return [name for name in structures if name not in self.naming.parts]

    def decides(self) -> dict[str, object]:
        """Say all of it that decides a prediction, in words of JSON."""
        card = self.member.card
        return {
            "member": self.member.name,
            "model": {
                "name": card.name,
                "version": card.version,
                "weights_sha256": card.weights.sha256,
                "card_sha256": sha256_json(card.model_dump(mode="json")),
            },
            "view": asdict(self.member.view),
            "label_set": self.naming.label_set,
            "ids": dict(self.naming.ids),
            "structures": {name: list(parts) for name, parts in self.naming.parts.items()},
            "pipeline": pipeline.STEP_VERSION,
        }


def predict_tasks(atlas: Atlas, cases: Sequence[CasePlace], members: Sequence[Member]) -> list[Task]:
    """Turn cases and members into tasks, one model after the other, so that a worker loads each once.

    Raises
    ------
    ModelError
        When a member can give nothing of the atlas's label set.
    """
    predictors = [Predictor.of(member, atlas.config.label_set) for member in members]
    models = list(dict.fromkeys(member.model for member in members))
    ordered = sorted(predictors, key=lambda predictor: models.index(predictor.member.model))
    return [_task(place, predictor) for predictor in ordered for place in cases]


def _task(place: CasePlace, predictor: Predictor) -> Task:
    member, naming = predictor.member, predictor.naming
    folder = place.prediction(member.name)
    try:
        case = read_record(CaseRecord, place.record)
    except CtatlasError as error:
        return refused_task(place.case, folder, error, step=STEP, version=STEP_VERSION)
    grid = case.grid.grid()
    return Task(
        case=place.case,
        folder=folder,
        work=partial(_predict, place.ct, grid, predictor),
        step=STEP,
        version=STEP_VERSION,
        parameters={**predictor.decides(), "upstream": {"ct_sha256": case.ct_sha256}},
        makes=(LABELS, NAMES, *(f"{PROBABILITIES}/{name}{MASK}" for name in naming.parts)),
        bytes_about=_bytes_about(grid, member, len(naming.parts)),
    )


def _bytes_about(grid: Grid, member: Member, n_structures: int) -> int:
    """Estimate what a prediction takes on disk."""
    spacing = member.view.card(member.card).input.spacing_mm
    model_voxels = grid.n_voxels * grid.voxel_ml * 1000 / float(np.prod(spacing))
    files = _FILE_BYTES * (n_structures + 3)
    return int(_LABEL_BYTES * grid.n_voxels + _PROBABILITY_BYTES * model_voxels * n_structures + files)


def _predict(ct: Path, grid: Grid, predictor: Predictor, folder: Path, progress: Progress) -> dict[str, object]:
    """Fill the folder."""
    listening = _Named(progress, predictor.member.name)
    listening.stage("read", 1)
    loaded = pipeline.network(predictor.member.model)
    scan = read(ct)
    if not scan.grid.is_like(grid):
        raise ScanError(f"{ct}: lies on another grid than case.json says; 'ctatlas doctor ATLAS' says what was altered")
    found = pipeline.find(
        scan,
        loaded,
        naming=predictor.naming,
        extras=Extras(),
        view=predictor.member.view,
        keep_network=True,
        progress=listening,
    )
    listening.stage("write", 1)
    ids = dict(sorted(predictor.naming.ids.items(), key=lambda pair: pair[1]))
    labels = found.segmentation.combined(ids)
    write_labels(labels, scan.grid, folder / LABELS)
    with whole_file(folder / NAMES) as file:
        file.write((json.dumps({str(number): name for name, number in ids.items()}, indent=1) + "\n").encode())
    (folder / PROBABILITIES).mkdir()
    for name, values, where in _probabilities(found, scan, predictor):
        write_array_uint8(values, where, folder / PROBABILITIES / f"{name}{MASK}")
    return {
        "masks": mask_facts(labels, ids, scan.grid),
        "backend": backend_of(predictor.member.card),  # told, not part of the key: it changes next to no voxel
        "why_nothing": found.why_nothing,
        "notes": list(scan.facts.notes),
    }


def _probabilities(found: Found, scan: Volume, predictor: Predictor) -> Iterator[tuple[str, np.ndarray, Grid]]:
    parts, network = predictor.naming.parts, found.network
    if network is None:  # no torso: nothing is likely anywhere
        nowhere = scan.grid.reoriented(_ORDER).resampled(predictor.member.card.input.spacing_mm)
        yield from ((name, np.zeros(nowhere.shape, np.uint8), nowhere) for name in parts)
        return
    upright = found.segmentation.reoriented(_ORDER)
    for name, values in structure_probabilities(network, predictor.member.card, parts, upright):
        yield name, values, network.grid


def mask_facts(labels: np.ndarray, ids: Mapping[str, int], grid: Grid) -> dict[str, dict[str, object]]:
    """Hash and measure every structure of a label map, for the catalog.

    Parameters
    ----------
    labels : (i, j, k) uint8
    ids : mapping of str to int
    grid : Grid

    Returns
    -------
    dict of str to dict
        `sha256`, `volume_ml`, `n_voxels` of each structure. The hash is of the smallest box around its voxels: the
        shape of the whole, first and last index + 1 of the box, nine little-endian int32, then the box's voxels in
        Fortran order as bits, the first the highest of its byte. Of no voxel: of the shape and six zeros.
    """
    boxes = ndimage.find_objects(labels, max_label=max(ids.values()))
    facts: dict[str, dict[str, object]] = {}
    for name, number in ids.items():
        box = boxes[number - 1] or (slice(0, 0),) * 3
        mask = labels[box] == number
        ends = [*labels.shape, *(side.start for side in box), *(side.stop for side in box)]
        packed = np.packbits(mask.ravel(order="F")).tobytes()
        n_voxels = int(np.count_nonzero(mask))
        facts[name] = {
            "sha256": sha256_bytes(np.array(ends, "<i4").tobytes() + packed),
            "volume_ml": n_voxels * grid.voxel_ml,
            "n_voxels": n_voxels,
        }
    return facts


class _Named:
    """Pass progress on under a member's name, so that the table of failures tells members apart."""

    def __init__(self, progress: Progress, name: str) -> None:
        self.progress, self.name = progress, name

    def stage(self, name: str, total: int) -> None:
        """Hear that a new stage begins."""
        self.progress.stage(f"{self.name}: {name}", total)

    def advance(self, steps: int = 1) -> None:
        """Hear that so many steps of the stage are done."""
        self.progress.advance(steps)
