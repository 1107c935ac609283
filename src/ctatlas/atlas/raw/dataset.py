"""A data set in nnU-Net's raw layout: one image and one label map a case, labels 1, 2, … that every case tells about.

Source: nnU-Net v2, documentation/dataset_format.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.anatomy import canonical_name, made_of, structures
from ctatlas.atlas.assemble import combined
from ctatlas.atlas.raw.folds import folds
from ctatlas.atlas.raw.pairs import Gathered, Masks, Pair
from ctatlas.atomic import whole_file
from ctatlas.errors import AtlasError
from ctatlas.execution import Outcome, Task
from ctatlas.execution.among import RUNS
from ctatlas.progress import Progress
from ctatlas.volume import Segmentation, write_labels, write_volume

if TYPE_CHECKING:
    import numpy as np

STEP = "nnunet-raw"
STEP_VERSION = 1
ENDING = ".nii.gz"
SPLITS = "splits_final.json"
ORIENTATION = "LPS"  # of all scans, as `segment` shows them to a model of nnU-Net that says nothing else
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class RawData:
    """A data set before it is written.

    Attributes
    ----------
    folder : Path
        `nnUNet_raw/DatasetNNN_Name`.
    labels : mapping of str to int
        Structure → number.
    pairs : tuple of Pair
    remarks : tuple of str
        What was left out, a line each.
    """

    folder: Path
    labels: Mapping[str, int]
    pairs: tuple[Pair, ...]
    remarks: tuple[str, ...]

    def files(self, pair: Pair) -> tuple[str, str]:
        """Return where image and label map of a case go."""
        part = "Ts" if pair.is_test else "Tr"
        return f"images{part}/{pair.name}_0000{ENDING}", f"labels{part}/{pair.name}{ENDING}"


def raw_data(
    raw: Path, number: int, gathered: Gathered, *, name: str | None = None, wanted: Sequence[str] = ()
) -> RawData:
    """Decide what a data set will hold.

    Parameters
    ----------
    raw : Path
        `nnUNet_raw`.
    number : int
    gathered : Gathered
    name : str, optional
        Default: that of the source.
    wanted : sequence of str
        Structures to learn, by any of their names; cases that don't tell about all of them are left out. By default
        what all cases tell about.

    Raises
    ------
    AtlasError
        When nothing is left, or another data set has the number.
    """
    folder = raw / f"Dataset{number:03d}_{name or _letters(gathered.name)}"
    others = [path for path in raw.glob(f"Dataset{number:03d}_*") if path != folder]
    if others:
        raise AtlasError(f"{others[0]}: has the number {number} already; choose another -d, or the same --name")
    chosen, pairs, remarks = _chosen(gathered, tuple(dict.fromkeys(map(canonical_name, wanted))))
    labels = {structure: n for n, structure in enumerate(chosen, start=1)}
    return RawData(folder, labels, pairs, (*gathered.remarks, *remarks))


def raw_tasks(data: RawData) -> list[Task]:
    """Turn cases into tasks that write their image and label map.

    Raises
    ------
    AtlasError
        When files of others lie among them: nnU-Net would train on those, too.
    """
    makes = {pair: data.files(pair) for pair in data.pairs}
    _refuse_strangers(data.folder, {name for names in makes.values() for name in names})
    return [
        Task(
            case=pair.name,
            folder=data.folder,
            work=partial(_write_pair, masks=pair.masks, labels=data.labels, names=makes[pair]),
            step=STEP,
            version=STEP_VERSION,
            inputs=pair.masks.files(),
            parameters={"labels": dict(data.labels), "is_test": pair.is_test},
            makes=makes[pair],
            bytes_about=sum(path.stat().st_size for path in pair.masks.files()),
        )
        for pair in data.pairs
    ]


def complete(data: RawData, outcomes: Iterable[Outcome]) -> RawData:
    """Write `dataset.json` and the folds of the cases that are there, and return the data set as it is now.

    Raises
    ------
    AtlasError
        When none is there.
    """
    there = {outcome.case for outcome in outcomes if outcome.state != "failed"}
    pairs = tuple(pair for pair in data.pairs if pair.name in there)
    trained = [pair for pair in pairs if not pair.is_test]
    if not trained:
        raise AtlasError(f"{data.folder}: no case is there to train on")
    _write_json(
        data.folder / "dataset.json",
        {
            "channel_names": {"0": "CT"},
            "labels": {"background": 0, **data.labels},
            "numTraining": len(trained),
            "file_ending": ENDING,
            "name": data.folder.name,
        },
    )
    if splits := folds(trained):
        _write_json(data.folder / SPLITS, splits)
    return replace(data, pairs=pairs)


def _chosen(gathered: Gathered, wanted: tuple[str, ...]) -> tuple[list[str], tuple[Pair, ...], list[str]]:
    """Return the structures to learn, the cases that tell about all of them, and what is left out."""
    pairs = gathered.pairs
    every = frozenset.intersection(*(pair.told for pair in pairs))
    some = frozenset.union(*(pair.told for pair in pairs))
    if not wanted:
        lost = sorted(some - every)
        names = [name for name in dict.fromkeys((*gathered.order, *structures())) if name in every]
        if not names:
            raise AtlasError(f"no structure is told about in all of {len(pairs)} cases; name some by --structures")
        remark = f"structures that not every case tells about are left out: {_some(lost)}; --structures chooses"
        return names, pairs, [remark] if lost else []
    if unknown := [name for name in wanted if not made_of(name, some)]:
        raise AtlasError(f"no case tells about {_some(unknown)}; they tell about {_some(sorted(some))}")
    kept = tuple(pair for pair in pairs if all(made_of(name, pair.told) for name in wanted))
    if not kept:
        raise AtlasError(f"no case tells about all of {_some(list(wanted))}")
    remark = f"{len(pairs) - len(kept)} cases that don't tell about all of {_some(list(wanted))} are left out"
    return list(wanted), kept, [remark] if len(kept) < len(pairs) else []


def _write_pair(
    out: Path, progress: Progress, *, masks: Masks, labels: Mapping[str, int], names: tuple[str, str]
) -> dict[str, object]:
    progress.stage("read", 1)
    scan, told = masks.read()
    progress.stage("write", 2)
    scan, told = scan.reoriented(ORIENTATION), told.reoriented(ORIENTATION)
    whole = Segmentation.from_masks(scan.grid, ((name, _union(told, name)) for name in labels))
    for name in names:
        (out / name).parent.mkdir(exist_ok=True)
    write_volume(scan, out / names[0])
    progress.advance()
    write_labels(combined(whole, labels), scan.grid, out / names[1])
    return {"voxels": dict(whole.n_voxels())}


def _union(told: Segmentation, name: str) -> np.ndarray:
    first, *others = made_of(name, told.names)
    mask = told.mask(first)
    for other in others:
        mask = mask | told.mask(other)
    return mask


def _refuse_strangers(folder: Path, expected: set[str]) -> None:
    """Remove cases of ours that are no longer wanted; refuse files that somebody else put there."""
    for part in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
        for path in sorted((folder / part).glob("*")):
            name = f"{part}/{path.name}"
            if name in expected or path.name.startswith("."):
                continue
            record = folder / RUNS / f"{re.sub(r'(_0000)?[.]nii[.]gz$', '', path.name)}.json"
            if not record.is_file():
                raise AtlasError(f"{folder}: {name} is not ours, and nnU-Net would train on it; use another --name")
            path.unlink()


def _write_json(path: Path, content: object) -> None:
    with whole_file(path) as file:
        file.write((json.dumps(content, indent=1) + "\n").encode())


def _letters(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", text.title()) or "Data"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
