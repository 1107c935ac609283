"""What the published pipeline leaves, `<dataset>/<case>/`, and what it assembles, `<dataset>_<case>/`.

`ct.nii.gz`, `original_label.nii.gz`; predictions in `backbones/<network>/` and `average/`, the masks that annotators
put beside these as `average/segmentations/<organ>_revised.nii.gz`. Once assembled: `pseudo_label.nii.gz` and
`segmentations/<organ>.nii.gz`, and under a version's name (`_V1`) what the networks said before people corrected it.

Source: reference/abdomenatlas.md §1.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ctatlas.atlas.add.found import Ask, Found, GivenMask, GivenPrediction, Listing, printable, scan_at
from ctatlas.atlas.add.layouts.reading import given_remarks, numbers_of
from ctatlas.volume import safe_name

_ENDING = ".nii.gz"
_CT, _ORIGINAL = "ct.nii.gz", "original_label.nii.gz"
_SIGNS = (_ORIGINAL, "backbones", "average", "pseudo_label.nii.gz")
_PSEUDO, _MASKS, _SOFT = "pseudo_label", "segmentations", "soft_pred"
_REVISED = "_revised"
_NUMBERS = "universal-32"
_PIPELINE = "published pipeline"
_VERSION = re.compile(r"_V\d+$")


def fits(source: Path) -> bool:
    """Tell whether the first case has something that only the pipeline makes."""
    first = next(_cases(source), None)
    return first is not None and any((first / name).exists() for name in _SIGNS)


def listed(source: Path, ask: Ask) -> Listing:
    """List the cases; each is called by its dataset and its own name, so that no two are taken for one."""
    found = []
    for folder in _cases(source):
        parts = folder.relative_to(source).parts
        inside = parts[0] if len(parts) > 1 else ""
        dataset = ask.dataset or safe_name(inside or source.resolve().name)
        label = folder / _ORIGINAL
        numbers: str | None = None
        left_out: tuple[int, ...] = ()
        if label.is_file():
            numbers, left_out = numbers_of(["_".join(parts), *parts, source.resolve().name], label, ask)
        name = parts[-1]
        case = name if name.startswith(dataset) else f"{dataset}_{name}"
        labels = label if numbers else None
        scan = scan_at(folder / _CT, ask)
        one = Found(printable(name), dataset, case, scan, labels, numbers, left_out, ask.split)
        found.append(replace(one, predictions=tuple(_predictions(folder)), revised=tuple(_revised(folder))))
    return Listing("pipeline", tuple(found), remarks=tuple(_remarks(found)))


def _predictions(folder: Path) -> Iterator[GivenPrediction]:
    """Yield what each network, their average, or the assembled label says; before people corrected it, if that came.

    The label map says it, or where there is none the masks do.
    """
    for place in (*sorted(folder.glob("backbones/*")), folder / "average"):
        masks = {name: path for name, path in _masks_in(place / _MASKS).items() if not name.endswith(_REVISED)}
        yield from _prediction(safe_name(place.name), place / f"{_PSEUDO}{_ENDING}", masks, place / _SOFT)
    version, there = _version(folder), _masks_in(folder / _MASKS)
    before = {name.removesuffix(version): path for name, path in there.items() if version and name.endswith(version)}
    masks = {name: path for name, path in there.items() if not (version and name.endswith(version))} | before
    yield from _prediction(_PSEUDO, folder / f"{_PSEUDO}{version}{_ENDING}", masks, folder / _SOFT)


def _prediction(name: str, labels: Path, masks: Mapping[str, Path], soft: Path) -> Iterator[GivenPrediction]:
    given = GivenPrediction(name, _NUMBERS, looked_for=tuple(masks), probabilities=soft if soft.is_dir() else None)
    if labels.is_file():
        yield replace(given, labels=labels)
    elif masks:
        yield replace(given, masks=masks)


def _revised(folder: Path) -> Iterator[GivenMask]:
    """Yield the masks that annotators corrected."""
    average = _masks_in(folder / "average" / _MASKS)
    for name, path in average.items():
        if name.endswith(_REVISED):
            organ = name.removesuffix(_REVISED)
            yield GivenMask(organ, _NUMBERS, path, average.get(organ), _PIPELINE)
    version, assembled = _version(folder), _masks_in(folder / _MASKS)
    for name, path in assembled.items():
        organ = name.removesuffix(version) if version else name
        if organ != name and organ in assembled:
            yield GivenMask(organ, _NUMBERS, assembled[organ], path, _PIPELINE)


def _version(folder: Path) -> str:
    """Return the suffix of what networks said before people corrected it (`_V1`), the first where there are several."""
    stems = sorted(path.name.removesuffix(_ENDING) for path in folder.glob(f"{_PSEUDO}_*{_ENDING}"))
    if stems:
        return stems[0].removeprefix(_PSEUDO)
    return min((found[0] for name in _masks_in(folder / _MASKS) if (found := _VERSION.search(name))), default="")


def _masks_in(folder: Path) -> dict[str, Path]:
    """Return the masks of a folder by their names."""
    paths = sorted(folder.glob(f"[!.]*{_ENDING}"))
    return {path.name.removesuffix(_ENDING): path for path in paths}


def _remarks(found: Sequence[Found]) -> Iterator[str]:
    yield from given_remarks(found)
    if n := sum(bool(case.revised) for case in found):
        yield f"{n} cases have corrected masks, which become revisions by 'source'"


def _cases(source: Path) -> Iterator[Path]:
    """Yield folders with a scan, one or two levels below, in the order of their names."""
    if not source.is_dir():
        return
    for folder in sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if (folder / _CT).is_file():
            yield folder
        else:
            inside = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
            yield from sorted(path for path in inside if (path / _CT).is_file())
