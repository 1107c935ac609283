"""Images and label maps, paired by what their names have in common, never by position.

`img/` and `label/`, `imagesTr/` and `labelsTr/`, or `case_1.nii.gz` and `case_1_seg.nii.gz` side by side.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from ctatlas.atlas.add.found import Ask, Fault, Found, Listing, printable, scan_at
from ctatlas.atlas.add.layouts.reading import numbers_of
from ctatlas.atlas.add.names import ENDINGS, Key, case_name, key_of, role_of, stem
from ctatlas.volume import safe_name

_LOOKED_AT = 200  # files whose names are looked at until one is a label


def fits(source: Path) -> bool:
    """Tell whether among the first files some are called labels and some are not."""
    if not source.is_dir():
        return False
    roles = {role_of(path.relative_to(source)) for _, path in zip(range(_LOOKED_AT), _files(source), strict=False)}
    folders = {path.name for path in source.iterdir() if path.is_dir()}
    return ("label" in roles or any(role_of(Path(name) / "x") == "label" for name in folders)) and bool(
        roles - {"label"} or any(role_of(Path(name) / "x") == "image" for name in folders)
    )


def listed(source: Path, ask: Ask) -> Listing:
    """Pair each image with the one label that goes with it.

    An image without a label is taken without; a label without an image, or with several, is a fault.
    """
    images: list[Path] = []
    labels: list[Path] = []
    for path in _files(source):
        (labels if role_of(path.relative_to(source)) == "label" else images).append(path)
    dataset = ask.dataset or safe_name(source.resolve().name)
    candidates = _by_numbers(labels)
    found: list[Found] = []
    faults: list[Fault] = []
    used: dict[Path, str] = {}
    for image in images:
        name = case_name(image, source)
        key = key_of(stem(image.name))
        fitting = _nearest(
            image, [label for label in candidates[key.numbers] if key_of(stem(label.name)).goes_with(key)]
        )
        one = Found(printable(name), dataset, safe_name(name), scan_at(image, ask), split=ask.split)
        if len(fitting) > 1:
            names = ", ".join(printable(label.name) for label in fitting[:3])
            faults.append(
                Fault(one.name, f"{len(fitting)} labels may belong to it ({names}); rename them, or use a CSV")
            )
        elif fitting and fitting[0] in used:
            what = f"its label {printable(fitting[0].name)} belongs to {used[fitting[0]]}, too; rename, or use a CSV"
            faults.append(Fault(one.name, what))
        elif fitting:
            used[fitting[0]] = one.name
            found.append(_labelled(one, fitting[0], source, ask))
        else:
            found.append(one)
    alone = [label for label in labels if label not in used]
    faults += [Fault(printable(case_name(path, source)), "is a label, and no image goes with it") for path in alone]
    n_without = sum(one.labels is None for one in found)
    remarks = (f"{n_without} of {len(found)} images have no label",) if n_without and labels else ()
    return Listing("pairs", tuple(found), tuple(faults), remarks)


def _labelled(one: Found, label: Path, source: Path, ask: Ask) -> Found:
    folders = [*reversed(label.relative_to(source).parts[:-1]), source.resolve().name, source.resolve().parent.name]
    numbers, left_out = numbers_of(folders, label, ask)
    if numbers is None:
        return one
    return Found(
        one.name, one.dataset, one.case, one.source, label, numbers, left_out, one.split, one.phase, one.patient
    )


def _files(source: Path) -> Iterator[Path]:
    """Yield image files of all formats in a fixed order; hidden names (such as `._` of macOS) are passed over."""
    for folder, below, files in os.walk(source):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                yield Path(folder, name)


def _by_numbers(labels: list[Path]) -> defaultdict[tuple[str, ...], list[Path]]:
    table: defaultdict[tuple[str, ...], list[Path]] = defaultdict(list)
    for label in labels:
        table[_key(label).numbers].append(label)
    return table


def _key(path: Path) -> Key:
    return key_of(stem(path.name))


def _nearest(image: Path, labels: list[Path]) -> list[Path]:
    """Return those that share the longest part of the path with the image, and of them those that say the same words.

    `Task03/imagesTr/case_1` belongs to `Task03/labelsTr/case_1`, not to that of another task.
    """
    if len(labels) < 2:
        return labels
    shared = [len(os.path.commonpath([image, label])) for label in labels]
    nearest = [label for label, n in zip(labels, shared, strict=True) if n == max(shared)]
    same = [label for label in nearest if _key(label) == _key(image)]
    return same or nearest
