"""The Medical Segmentation Decathlon, and nnU-Net's first format: `TaskXX_Name/` with lists in `dataset.json`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ctatlas.atlas.add.found import Ask, Fault, Found, Listing, printable, scan_at
from ctatlas.atlas.add.layouts.reading import described_folders, description_of, numbers_of_description, path_in
from ctatlas.atlas.add.names import stem
from ctatlas.atlas.records import Split
from ctatlas.errors import ScanError
from ctatlas.volume import safe_name


def fits(source: Path) -> bool:
    """Tell whether there is a `dataset.json` with a list of training cases."""
    try:
        return any("training" in description_of(folder) for folder in described_folders(source))
    except ScanError:
        return False


def listed(source: Path, ask: Ask) -> Listing:
    """List the cases of one task, or of all in a folder; tasks of other modalities are passed over, and said."""
    found: list[Found] = []
    faults: list[Fault] = []
    remarks: list[str] = []
    licences, citations = {}, {}
    for folder in described_folders(source):
        description = description_of(folder)
        modality = description.get("modality")
        if not isinstance(modality, dict) or [str(name).upper() for name in modality.values()] != ["CT"]:
            remarks.append(f"{folder.name}: its modality is {modality!r:.80}; only CT alone is taken")
            continue
        dataset = ask.dataset or safe_name(folder.resolve().name)
        licences[dataset] = printable(str(description.get("licence") or ""))
        citations[dataset] = printable(str(description.get("reference") or ""))
        for one in _cases(folder, dataset, description, ask):
            (found if isinstance(one, Found) else faults).append(one)  # type: ignore[arg-type]
    if not found and not faults and remarks:
        raise ScanError(remarks[0])
    return Listing("msd", tuple(found), tuple(faults), tuple(remarks), licences, citations)


def _cases(folder: Path, dataset: str, description: dict[str, Any], ask: Ask) -> Iterator[Found | Fault]:
    numbers, left_out = numbers_of_description(folder, ask)
    for split, image_text, label_text in _listed(description, folder.name):
        name = printable(stem(image_text.replace("\\", "/").rsplit("/", 1)[-1]))
        try:
            image = path_in(folder, image_text, folder.name)
            label = path_in(folder, label_text, folder.name) if label_text and numbers else None
        except ScanError as error:
            yield Fault(name, str(error))
            continue
        if name.startswith("."):
            continue
        if missing := [path for path in (image, label) if path is not None and not path.is_file()]:
            yield Fault(name, f"{missing[0].parent.name}/{printable(missing[0].name)} is missing")
            continue
        scan, chosen = scan_at(image, ask), ask.split or split
        yield Found(name, dataset, f"{dataset}_{name}", scan, label, numbers if label else None, left_out, chosen)


def _listed(description: dict[str, Any], where: str) -> Iterator[tuple[Split, str, str]]:
    training, test = description.get("training"), description.get("test") or []
    if not isinstance(training, list) or not isinstance(test, list):
        raise ScanError(f"{where}/dataset.json: 'training' and 'test' are no lists")
    for one in training:
        if not isinstance(one, dict) or not isinstance(one.get("image"), str):
            raise ScanError(f"{where}/dataset.json: a case in 'training' has no 'image'")
        yield "train", one["image"], str(one.get("label") or "")
    for one in test:
        image = one.get("image") if isinstance(one, dict) else one
        if not isinstance(image, str):
            raise ScanError(f"{where}/dataset.json: a case in 'test' has no image")
        yield "test", image, ""
