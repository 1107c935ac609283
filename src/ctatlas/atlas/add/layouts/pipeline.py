"""What the published pipeline leaves, `<dataset>/<case>/`, and what it assembles, `<dataset>_<case>/`.

`ct.nii.gz`, `original_label.nii.gz`, and predictions in `backbones/`, `average/` and `pseudo_label.nii.gz`. Only scans
and original labels are taken: predictions are made anew, so that each has its provenance.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ctatlas.atlas.add.found import Ask, Found, Listing, printable, scan_at
from ctatlas.atlas.add.layouts.reading import numbers_of
from ctatlas.volume import safe_name

_CT, _ORIGINAL = "ct.nii.gz", "original_label.nii.gz"
_SIGNS = (_ORIGINAL, "backbones", "average", "pseudo_label.nii.gz")
_PREDICTED = ("backbones", "average", "pseudo_label.nii.gz")


def fits(source: Path) -> bool:
    """Tell whether the first case has something that only the pipeline makes."""
    first = next(_cases(source), None)
    return first is not None and any((first / name).exists() for name in _SIGNS)


def listed(source: Path, ask: Ask) -> Listing:
    """List the cases; each is called by its dataset and its own name, so that no two are taken for one."""
    found = []
    n_predicted = 0
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
        n_predicted += any((folder / made).exists() for made in _PREDICTED)
        labels = label if numbers else None
        scan = scan_at(folder / _CT, ask)
        found.append(Found(printable(name), dataset, case, scan, labels, numbers, left_out, ask.split))
    remarks = (f"{n_predicted} cases have predictions, which are not taken: 'ctatlas predict' makes them anew",)
    return Listing("pipeline", tuple(found), remarks=remarks if n_predicted else ())


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
