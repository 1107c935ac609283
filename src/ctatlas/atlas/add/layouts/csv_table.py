"""A CSV that says it all: one row a case, paths relative to the CSV's folder or `--root`."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import cast, get_args

from ctatlas.atlas.add.found import Ask, Fault, Found, Listing, printable, scan_at
from ctatlas.atlas.add.layouts.reading import NO_LABELS, numbers_of, path_in, said, text_of
from ctatlas.atlas.add.names import stem
from ctatlas.atlas.records import Split
from ctatlas.errors import CtatlasError, ScanError
from ctatlas.volume import safe_name

COLUMNS = ("image", "label", "case", "dataset", "label_set", "split", "patient", "phase")
_SPLITS: tuple[str, ...] = get_args(Split)


def fits(source: Path) -> bool:
    """Tell whether it is a CSV."""
    return source.is_file() and source.suffix.lower() == ".csv"


def listed(source: Path, ask: Ask) -> Listing:
    """List the rows; a row that says something impossible is a fault of its own."""
    text = text_of(source)
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
    columns = [str(name).strip().lower() for name in rows.fieldnames or ()]
    if "image" not in columns:
        raise ScanError(
            f"{source.name}: has no column 'image'; expected {', '.join(COLUMNS)}, all but the first optional"
        )
    rows.fieldnames = columns
    found: list[Found] = []
    faults: list[Fault] = []
    try:
        for number, row in enumerate(rows, start=2):
            values = {name: (row.get(name) or "").strip() for name in COLUMNS}
            try:
                found.append(_case(values, source, ask))
            except CtatlasError as error:
                faults.append(Fault(printable(values["case"] or f"line {number}"), str(error)))
    except csv.Error as error:
        raise ScanError(f"{source.name}: line {rows.line_num}: is no sound CSV ({error})") from None
    ignored = [name for name in columns if name not in COLUMNS]
    remarks = (f"columns that mean nothing here: {', '.join(printable(name) for name in ignored)}",) if ignored else ()
    return Listing("csv", tuple(found), tuple(faults), remarks)


def _case(row: dict[str, str], source: Path, ask: Ask) -> Found:
    root = ask.root or source.resolve().parent
    image = _path(root, row["image"])
    if row["split"] and row["split"] not in _SPLITS:
        raise ScanError(f"split is {row['split'][:40]!r}; expected {', '.join(_SPLITS)}, or nothing")
    dataset = row["dataset"] or ask.dataset or safe_name(stem(source.name).removesuffix(".csv"))
    label, numbers = None, None
    left_out: tuple[int, ...] = ()
    if row["label"]:
        label = _path(root, row["label"])
        if label.is_dir():
            numbers = (said(row["label_set"]) if row["label_set"] else ask.label_set) or "totalsegmentator-v2"
        elif row["label_set"]:
            numbers = said(row["label_set"])
        else:
            numbers, left_out = numbers_of([row["dataset"], *reversed(label.parts[:-1])], label, ask)
    name = row["case"] or stem(image.name)
    return Found(
        name=printable(name),
        dataset=safe_name(dataset),
        case=safe_name(name),
        source=scan_at(image, ask),
        labels=label if numbers and numbers != NO_LABELS else None,
        label_set=numbers,
        left_out=left_out,
        split=ask.split or cast("Split | None", row["split"] or None),
        phase=printable(row["phase"]) or None,
        patient=row["patient"],
        is_named=bool(row["case"]),
    )


def _path(root: Path, text: str) -> Path:
    """Return where a path leads; whoever writes a CSV may name absolute paths, unlike a list from elsewhere."""
    given = Path(text).expanduser()
    path = given if given.is_absolute() else path_in(root, text, "row")
    if not path.exists():
        raise ScanError(f"{printable(text)}: there is no such file or folder; paths start from {root}")
    return path
