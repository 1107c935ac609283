"""The published lists, `.txt` with one case a line: `image<TAB>label`, an image alone, or a case's folder.

Where published readers fall into traps, this one does not: names may hold blanks and dots; a case is called by its
whole path, not by `ct`; an image beside the label of another case is refused; paths stay below the root.
"""

from __future__ import annotations

from pathlib import Path

from ctatlas.atlas.add.found import Ask, Fault, Found, Listing, printable, scan_at
from ctatlas.atlas.add.layouts.reading import numbers_of, path_in, text_of
from ctatlas.atlas.add.names import case_name, key_of, stem
from ctatlas.errors import ScanError
from ctatlas.volume import safe_name

_CT, _ORIGINAL = "ct.nii.gz", "original_label.nii.gz"
_PREDICTED = "pseudo_label"
_ROOTS_ABOVE = 3


def fits(source: Path) -> bool:
    """Tell whether it is a text file."""
    return source.is_file() and source.suffix.lower() == ".txt"


def listed(source: Path, ask: Ask) -> Listing:
    """List the cases of a list, below `ask.root` or else the nearest folder from which a first line leads somewhere."""
    lines = [line for line in text_of(source).splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise ScanError(f"{source.name}: has no lines; expected IMAGE<TAB>LABEL, paths below --root")
    root = ask.root or _root(source, lines)
    found: list[Found] = []
    faults: list[Fault] = []
    n_predicted = 0
    seen: dict[Path, str] = {}
    for line in lines:
        try:
            image, label = _fields(root, line)
            if label is not None and stem(label.name).startswith(_PREDICTED):
                n_predicted += 1
                label = label.with_name(_ORIGINAL) if label.with_name(_ORIGINAL).is_file() else None
            one = _case(image, label, root, ask)
        except ScanError as error:
            faults.append(Fault(printable(line.strip()[:80]), str(error)))
            continue
        if image in seen:
            faults.append(Fault(one.name, f"stands in the list twice, first as {seen[image]}"))
            continue
        seen[image] = one.name
        found.append(one)
    remarks = (f"{n_predicted} lines name a model's pseudo_label, which is not taken as an original",)
    return Listing("datalist", tuple(found), tuple(faults), remarks if n_predicted else ())


def _fields(root: Path, line: str) -> tuple[Path, Path | None]:
    """Return image and label of a line; without a tab, at whichever blank both halves are files."""
    if "\t" in line:
        image, _, label = line.partition("\t")
        return _image(root, image), _there(root, label) if label.strip() else None
    try:
        return _image(root, line), None
    except ScanError:
        words = line.strip().split(" ")
        for n in range(1, len(words)):
            image, label = " ".join(words[:n]), " ".join(words[n:])
            if path_in(root, image, "line").is_file() and path_in(root, label, "line").is_file():
                return _image(root, image), _there(root, label)
        raise


def _image(root: Path, text: str) -> Path:
    path = path_in(root, text, "line")
    return _there(root, f"{text.strip()}/{_CT}") if path.is_dir() and (path / _CT).is_file() else _there(root, text)


def _there(root: Path, text: str) -> Path:
    path = path_in(root, text, "line")
    if not path.exists():
        raise ScanError(f"{printable(text.strip())}: there is no such file below {root}; name another --root")
    return path


def _case(image: Path, label: Path | None, root: Path, ask: Ask) -> Found:
    inside = image.relative_to(root)
    in_dataset = len(inside.parts) > 1 and not (len(inside.parts) == 2 and stem(image.name) == "ct")
    dataset = ask.dataset or safe_name(inside.parts[0] if in_dataset else root.resolve().name)
    name = case_name(image, root / inside.parts[0] if in_dataset else root)
    numbers: str | None = None
    left_out: tuple[int, ...] = ()
    if label is not None:
        if stem(image.name) != "ct" and not key_of(stem(label.name)).goes_with(key_of(stem(image.name))):
            raise ScanError(f"{printable(image.name)} stands beside {printable(label.name)}, the label of another case")
        folders = [*reversed(label.relative_to(root).parts[:-1]), inside.parts[0]]
        numbers, left_out = numbers_of(folders, label, ask)
    case = name if name.startswith(dataset) else f"{dataset}_{name}"
    labels = label if numbers else None
    return Found(printable(name), dataset, case, scan_at(image, ask), labels, numbers, left_out, ask.split)


def _root(source: Path, lines: list[str]) -> Path:
    """Return the nearest folder above a list from which a first line leads to something."""
    folder = source.resolve().parent
    for root in (folder, *list(folder.parents)[:_ROOTS_ABOVE]):
        for line in lines[:3]:
            try:
                _fields(root, line)
            except ScanError:
                continue
            return root
    raise ScanError(f"{source.name}: its first lines lead to no file from {folder}; name the folder as --root")
