"""Give a case to an annotator: a folder that 3D Slicer and ITK-SNAP open, with what to look at first."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.anatomy import canonical_name
from ctatlas.atlas.assemble import combined
from ctatlas.atlas.assembly import assembled
from ctatlas.atlas.layout import MASK, CasePlace
from ctatlas.atlas.queries.asking import query_path
from ctatlas.atlas.records import GridRecord, HotSpot, HotSpotsRecord, QueryRecord, read_record, write_record
from ctatlas.atlas.revise import hot_spots, itk_snap, package, slicer
from ctatlas.atlas.sources import Sources, sources_of
from ctatlas.errors import AtlasError, OutputError
from ctatlas.execution import Task, result_folder, whole_record
from ctatlas.hashing import sha256_file, sha256_json
from ctatlas.progress import Progress
from ctatlas.volume import Segmentation, whole_file, write, write_labels, write_structure

if TYPE_CHECKING:
    from ctatlas.atlas.atlas import Atlas

STEP = "revise export"
STEP_VERSION = 1
_README = """{case} of {atlas}. Not for clinical use.

Look at hotspots.txt first: it lists where the masks are most probably wrong, the most rewarding place first.

3D Slicer: open scene.mrml (File, Add Data). Edit the segments in the module "Segment Editor" and save masks.seg.nrrd in
its place; keep the names of the segments.
ITK-SNAP: open ct.nii.gz, then labels.nii.gz as segmentation and itksnap_labels.txt as label descriptions; save
labels.nii.gz in its place. A label map holds one structure a voxel: what lies in another one is painted over it.
Other tools: edit segmentations/<structure>.nii.gz, or put <structure>_revised.nii.gz beside them.
An empty mask says that the structure is not there.

Then: ctatlas revise import ATLAS THIS-FOLDER --author NAME --minutes M
Masks that you leave as they are count as looked at; delete the files of structures that you did not look at.
"""


def export_tasks(atlas: Atlas, cases: Sequence[CasePlace], to: Path, wanted: Sequence[str] = ()) -> list[Task]:
    """Turn cases into tasks, a package each; do them with `perform_in_place`.

    Parameters
    ----------
    atlas : Atlas
    cases : sequence of CasePlace
    to : Path
        The packages' folder; each is named by its case.
    wanted : sequence of str, optional
        Structures; default: all that the case has.

    Raises
    ------
    ModelError, AtlasError
        When a structure is not known, or not one of the atlas.
    """
    names = tuple(dict.fromkeys(map(canonical_name, wanted)))
    if strangers := [name for name in names if name not in atlas.config.structures]:
        raise AtlasError(f"{atlas.place.root}: has no {', '.join(strangers)}; it holds {atlas.config.label_set}")
    return [_task(atlas, place, to, names) for place in cases]


def query_tasks(atlas: Atlas, number: int, to: Path) -> list[Task]:
    """Turn a question into tasks: a package of each case that it asks about, with the structures that it asks about.

    Raises
    ------
    AtlasError
        When there is no such question, or one of its cases is gone.
    """
    path = query_path(atlas, number)
    if not path.is_file():
        raise AtlasError(f"{atlas.place.root}: has no query {number}; 'ctatlas revise ask' makes one")
    asked: dict[str, set[str | None]] = {}
    for item in read_record(QueryRecord, path).items:
        asked.setdefault(item.case, set()).add(item.structure)
    return [
        _task(atlas, place, to, () if None in names else tuple(sorted(map(str, names))))
        for place, names in zip(atlas.cases(list(asked)), asked.values(), strict=True)
    ]


def _task(atlas: Atlas, place: CasePlace, to: Path, names: Sequence[str]) -> Task:
    return Task(place.case, to / place.case, partial(_export, atlas, place, names), STEP, STEP_VERSION)


def state_of(sources: Sources) -> str:
    """Return a hash of the masks that an atlas has of a case."""
    return sha256_json(sources.upstream)


def _export(
    atlas: Atlas, place: CasePlace, wanted: Sequence[str], folder: Path, progress: Progress
) -> dict[str, object]:
    if folder.exists() and any(path.name != ".ctatlas-partial" for path in folder.iterdir()):
        raise OutputError(f"{folder}: is there already, and may hold an annotator's work; import it, or choose another")
    progress.stage("resolve", 1)
    sources = sources_of(place, atlas.config)
    sources.refuse_nothing()
    masks = assembled(sources).masks
    masks = masks.select(name for name in masks.names if not wanted or name in wanted)
    if not masks.names:
        raise AtlasError(f"{place.case}: has no mask of {', '.join(wanted)} to revise")
    listed = _hot_spots(place)
    spots = [spot for spot in listed.hotspots if spot.structure in masks.names] if listed else []
    unlisted = {name: each.unlisted_ml for name, each in listed.structures.items()} if listed else {}
    progress.stage("write", 1)
    with result_folder(folder, {"case": place.case, "step": STEP, "step_version": STEP_VERSION}) as inside:
        shutil.copyfile(place.ct, inside / package.CT)
        record = _write_masks(inside, atlas, sources, masks)
        attention = _copy_attention(place, inside, masks.names, spots)
        _write_lists(inside, place, spots, {name: ml for name, ml in unlisted.items() if name in masks.names})
        points = package.POINTS if spots else ""
        _put(inside / package.SCENE, slicer.scene(place.case, package.CT, package.MASKS, attention, points))
        _put(inside / package.README, _README.format(case=place.case, atlas=atlas.config.name).encode())
        files = {path.relative_to(inside).as_posix(): sha256_file(path) for path in _files(inside)}
        write_record(record.model_copy(update={"files": files}), inside / package.MANIFEST)
    return {"structures": len(masks.names), "hot_spots": len(spots), "minutes": sum(spot.minutes for spot in spots)}


def _write_masks(folder: Path, atlas: Atlas, sources: Sources, masks: Segmentation) -> package.PackageRecord:
    """Write the masks in every form that tools want, and describe what they show."""
    grid, ids = sources.grid, {name: sources.ids[name] for name in masks.names}
    write(masks, folder / package.MASKS)
    (folder / package.SEGMENTATIONS).mkdir()
    shown = {}
    for name, mask in masks.items():
        write_structure(masks, name, folder / package.SEGMENTATIONS / f"{name}{MASK}")
        shown[name] = package.shown(mask)
    labels = combined(masks, ids)
    write_labels(labels, grid, folder / package.LABELS)
    names = {number: name for name, number in ids.items()}
    _put(folder / package.NAMES, (json.dumps({str(n): name for n, name in names.items()}, indent=1) + "\n").encode())
    _put(folder / package.SNAP, itk_snap.label_descriptions(names).encode())
    return package.PackageRecord(
        case=sources.place.case,
        atlas=atlas.config.name,
        label_set=sources.label_set,
        ct_sha256=str(sources.upstream["ct"]),
        grid=GridRecord.of(grid),
        state=state_of(sources),
        masks=shown,
        labels=package.shown(labels),
        files={},
    )


def _hot_spots(place: CasePlace) -> HotSpotsRecord | None:
    return read_record(HotSpotsRecord, place.attention / "hotspots.json") if _attended(place) else None


def _copy_attention(place: CasePlace, folder: Path, names: Sequence[str], spots: Sequence[HotSpot]) -> list[str]:
    """Copy the attention maps, that of the first hot spot first; return their paths in the package."""
    first = [spot.structure for spot in spots]
    order = dict.fromkeys([*first, *names])
    there = [name for name in order if (place.attention / f"{name}{MASK}").is_file()] if _attended(place) else []
    if there:
        (folder / package.ATTENTION).mkdir()
    for name in there:
        shutil.copyfile(place.attention / f"{name}{MASK}", folder / package.ATTENTION / f"{name}{MASK}")
    return [f"{package.ATTENTION}/{name}{MASK}" for name in there]


def _attended(place: CasePlace) -> bool:
    return whole_record(place.attention) is not None


def _write_lists(folder: Path, place: CasePlace, spots: Sequence[HotSpot], unlisted_ml: Mapping[str, float]) -> None:
    _put(folder / f"{package.HOT_SPOTS}.csv", hot_spots.as_table(spots).encode())
    _put(folder / f"{package.HOT_SPOTS}.txt", hot_spots.in_words(spots, unlisted_ml).encode())
    listed = {"case": place.case, "hotspots": [spot.model_dump() for spot in spots]}
    _put(folder / f"{package.HOT_SPOTS}.json", (json.dumps(listed, indent=1) + "\n").encode())
    if spots:
        _put(folder / package.POINTS, slicer.points(spots))


def _put(path: Path, content: bytes) -> None:
    with whole_file(path) as file:
        file.write(content)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
