"""nnU-Net raw data, version 2: `DatasetXXX_Name/` with `dataset.json`, `imagesTr/ID_0000.ext`, `labelsTr/ID.ext`.

Source: nnU-Net v2, documentation of the dataset format: names before numbers, one channel a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ctatlas.atlas.add.found import Ask, Fault, Found, Listing, printable, scan_at
from ctatlas.atlas.add.layouts.reading import described_folders, description_of, numbers_of_description, path_in
from ctatlas.atlas.records import Split
from ctatlas.errors import ScanError
from ctatlas.volume import safe_name

_FOLDERS: tuple[tuple[str, str, Split], ...] = (("imagesTr", "labelsTr", "train"), ("imagesTs", "labelsTs", "test"))
_CHANNEL = "_0000"


def fits(source: Path) -> bool:
    """Tell whether there is a `dataset.json` with channels."""
    try:
        return any("channel_names" in description_of(folder) for folder in described_folders(source))
    except ScanError:
        return False


def listed(source: Path, ask: Ask) -> Listing:
    """List the cases of one dataset, or of all in a folder."""
    folders = [folder for folder in described_folders(source) if "channel_names" in description_of(folder)]
    if not folders:
        raise ScanError(f"{source}: has no dataset.json with 'channel_names'; expected nnU-Net's raw data, version 2")
    found: list[Found] = []
    faults: list[Fault] = []
    licences = {}
    for folder in folders:
        description = description_of(folder)
        dataset = ask.dataset or safe_name(folder.resolve().name)
        licences[dataset] = str(description.get("licence") or description.get("license") or "")
        for one in _cases(folder, dataset, description, ask):
            (found if isinstance(one, Found) else faults).append(one)  # type: ignore[arg-type]
    return Listing("nnunet", tuple(found), tuple(faults), licences=licences)


def _cases(folder: Path, dataset: str, description: dict[str, Any], ask: Ask) -> Iterator[Found | Fault]:
    channels = description.get("channel_names")
    if not isinstance(channels, dict) or [str(name).upper() for name in channels.values()] != ["CT"]:
        raise ScanError(f"{folder.name}/dataset.json: its channels are {channels!r:.80}; expected one channel, CT")
    numbers, left_out = numbers_of_description(folder, ask)
    for own_split, name, image, label in _files(folder, description):
        split = ask.split or own_split
        if not image.is_file():
            yield Fault(printable(name), f"{image.parent.name}/{printable(image.name)} is missing")
        elif label is None or numbers is None:
            yield Found(printable(name), dataset, f"{dataset}_{name}", scan_at(image, ask), split=split)
        elif not label.is_file():
            yield Fault(printable(name), f"{label.parent.name}/{printable(label.name)} is missing")
        else:
            scan = scan_at(image, ask)
            yield Found(printable(name), dataset, f"{dataset}_{name}", scan, label, numbers, left_out, split)


def _files(folder: Path, description: dict[str, Any]) -> Iterator[tuple[Split, str, Path, Path | None]]:
    """Yield split, name, image and label of each case; a description may name the files itself."""
    ending = str(description.get("file_ending") or ".nii.gz")
    named = description.get("dataset")
    if isinstance(named, dict):
        for name, files in named.items():
            where = f"{folder.name}/dataset.json"
            images = files.get("images") if isinstance(files, dict) else None
            if not isinstance(images, list) or len(images) != 1:
                raise ScanError(f"{where}: case {name[:60]!r} has not one image")
            yield "train", name, path_in(folder, str(images[0]), where), path_in(folder, str(files.get("label")), where)
        return
    for images, labels, split in _FOLDERS:
        if not (folder / images).is_dir():
            continue
        for image in sorted((folder / images).iterdir()):
            if image.name.startswith(".") or not image.name.endswith(ending):
                continue
            name = image.name[: -len(ending)].removesuffix(_CHANNEL)
            label = folder / labels / f"{name}{ending}"
            is_labelled = split == "train" or label.is_file()
            yield split, name, image, label if is_labelled else None
