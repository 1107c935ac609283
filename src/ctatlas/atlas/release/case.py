"""Prepare the files of one case: copied from what was assembled, put under the label set chosen, and proved."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ctatlas.atlas.assemble import PROVENANCE, combined
from ctatlas.atlas.assemble import SEGMENTATIONS as ASSEMBLED
from ctatlas.atlas.config import AtlasConfig
from ctatlas.atlas.layout import MASK, CasePlace
from ctatlas.atlas.records import ProvenanceRecord, read_record
from ctatlas.atlas.release.earlier import original_hashes, predicted_alone, write_original, write_predicted
from ctatlas.atlas.release.layouts import COMBINED, CT, SEGMENTATIONS
from ctatlas.atlas.release.plan import Plan, Planned
from ctatlas.atlas.release.soundness import CaseFiles, as_mask, grid_of, image_faults, read_on
from ctatlas.errors import AtlasError, CtatlasError, OutputError, ScanError
from ctatlas.execution import Task
from ctatlas.hashing import sha256_file, sha256_json
from ctatlas.progress import Progress
from ctatlas.volume import Grid, Segmentation, write_labels, write_mask

STEP = "release"
STEP_VERSION = 1


@dataclass(frozen=True, slots=True)
class Job:
    """What preparing one case needs; see `Planned` and `Plan`.

    Attributes
    ----------
    numbers, spellings : mapping
        Of all released structures; `ids` and `names` are those of this case.
    original : bool
        Whether to tell the labels that came with the scan, too.
    predicted : AtlasConfig or None
        Whose members' predictions are told, too.
    revised : tuple of str
        Released structures that people corrected.
    """

    place: CasePlace
    ct_sha256: str
    parts: Mapping[str, tuple[str, ...]]
    numbers: Mapping[str, int]
    spellings: Mapping[str, str]
    with_images: bool
    with_masks: bool
    single_masks: bool
    original: bool
    predicted: AtlasConfig | None
    revised: tuple[str, ...]

    @property
    def ids(self) -> dict[str, int]:
        """Released structure -> its number."""
        return {name: self.numbers[name] for name in self.parts}

    @property
    def names(self) -> dict[str, str]:
        """Released structure -> its spelling."""
        return {name: self.spellings[name] for name in self.parts}


def case_task(plan: Plan, case: Planned, folder: Path) -> Task:
    """Turn one case of a release into a task that fills a folder with its files, whatever the layout calls them."""
    masks = case.read_provenance().masks
    made_by = {name: {masks[part].source for part in some} for name, some in case.parts.items()}
    tells_earlier = plan.layout.earlier and plan.choices.with_masks
    predicted = predicted_alone(case.place, plan.atlas.config) if tells_earlier else None
    job = Job(
        place=case.place,
        ct_sha256=case.read_record().ct_sha256,
        parts=case.parts,
        numbers=plan.ids,
        spellings=plan.names,
        with_images=plan.choices.with_images,
        with_masks=plan.choices.with_masks,
        single_masks=plan.layout.single_masks,
        original=tells_earlier and (case.place.original / "labels.json").is_file(),
        predicted=plan.atlas.config if predicted else None,
        revised=tuple(name for name, sources in made_by.items() if "revised" in sources),
    )
    decides = {
        "ct": job.ct_sha256,
        "parts": {name: list(some) for name, some in job.parts.items()},
        "hashes": {part: masks[part].sha256 for some in job.parts.values() for part in some},
        "ids": job.ids,
        "names": job.names,
        "holds": [job.with_images, job.with_masks, job.single_masks, job.original],
        "original": original_hashes(case.place) if job.original else {},
        "predicted": dict(predicted.upstream) if predicted else {},
        "revised": list(job.revised) if predicted else [],
    }
    work = partial(_prepare_or_say, job)
    return Task(case.place.case, folder, work, STEP, STEP_VERSION, parameters={"decides": sha256_json(decides)})


def _prepare_or_say(job: Job, folder: Path, progress: Progress) -> dict[str, object]:
    """Prepare a case; what the disk refuses becomes a line."""
    try:
        return _prepare(job, folder, progress)
    except CtatlasError:
        raise
    except OSError as error:
        where = error.filename or job.place.folder
        raise OutputError(f"{where}: can't be copied into a release ({error.strerror})") from error


def _prepare(job: Job, folder: Path, progress: Progress) -> dict[str, object]:
    """Fill the folder, and say the hash of every file and the size of every mask."""
    progress.stage("prepare", 3)
    grid = grid_of(job.place.ct)
    if job.with_images:
        _copy(job.place.ct, folder / CT, job.ct_sha256)
    progress.advance()
    files: dict[str, Path] = {}
    n_voxels: dict[str, int] = {}
    if job.with_masks:
        files, n_voxels = _masks(job, grid, folder)
    progress.advance()
    faults = image_faults(
        CaseFiles(
            ids=job.ids,
            ct=folder / CT if job.with_images else None,
            combined=folder / COMBINED if job.with_masks else None,
            earlier=_earlier(folder, files),
            masks=files,
            n_voxels=n_voxels,
        )
    )
    for fault in faults:
        raise ScanError(f"{job.place.case}: {fault}")
    progress.advance()
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "files": {path.relative_to(folder).as_posix(): sha256_file(path) for path in written},
        "masks": {name: {"n_voxels": n, "volume_ml": n * grid.voxel_ml} for name, n in n_voxels.items()},
    }


def _masks(job: Job, grid: Grid, folder: Path) -> tuple[dict[str, Path], dict[str, int]]:
    """Write single masks and combined labels; return the files of masks, and how many voxels each has."""
    hashes = {
        name: mask.sha256
        for name, mask in read_record(ProvenanceRecord, job.place.assembled / PROVENANCE).masks.items()
    }
    masks = Segmentation.from_masks(
        grid, ((name, _union(job.place, parts, hashes, grid)) for name, parts in job.parts.items())
    )
    write_labels(combined(masks, job.ids), grid, folder / COMBINED)
    if job.original:
        write_original(job.place, grid, folder)
    files = {}
    if job.single_masks:
        (folder / SEGMENTATIONS).mkdir()
        files = {name: folder / SEGMENTATIONS / f"{spelling}{MASK}" for name, spelling in job.names.items()}
        for name, path in files.items():
            if len(parts := job.parts[name]) == 1:
                shutil.copyfile(_assembled(job.place, parts[0]), path)
            else:
                write_mask(masks.mask(name), grid, path)
    sources = predicted_alone(job.place, job.predicted) if job.predicted else None
    if sources:
        write_predicted(sources, folder, ids=job.ids, names=job.names, revised=job.revised)
    return files, masks.n_voxels()


def _earlier(folder: Path, masks: Mapping[str, Path]) -> tuple[Path, ...]:
    """Return the files that are neither the scan nor its masks."""
    others = {folder / CT, folder / COMBINED, *masks.values()}
    return tuple(sorted(path for path in folder.rglob(f"*{MASK}") if path not in others))


def _union(place: CasePlace, parts: Sequence[str], hashes: Mapping[str, str], grid: Grid) -> np.ndarray:
    """Return the voxels of a structure, whose parts are what they were when they were assembled."""
    whole = np.zeros(grid.shape, bool, order="F")
    for part in parts:
        path = _assembled(place, part)
        if sha256_file(path) != hashes[part]:
            raise AtlasError(f"{path}: is not the mask that was assembled; run 'ctatlas assemble' again")
        whole |= as_mask(read_on(path, grid), str(path))
    return whole


def _assembled(place: CasePlace, name: str) -> Path:
    return place.assembled / ASSEMBLED / f"{name}{MASK}"


def _copy(source: Path, target: Path, sha256: str) -> None:
    shutil.copyfile(source, target)
    if sha256_file(target) != sha256:
        raise AtlasError(f"{source}: is not the scan that was added; 'ctatlas doctor --deep' says what else changed")
