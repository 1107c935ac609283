"""What several layouts need: paths from strangers' lists, descriptions in JSON, whose numbers a label has."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

from ctatlas.anatomy import label_set
from ctatlas.atlas.add.datasets import KnownDataset, dataset_of, label_set_of_file
from ctatlas.atlas.add.found import Ask, Found
from ctatlas.atlas.members import GIVEN
from ctatlas.errors import ScanError

NO_LABELS = "none"  # as a label set: take the scans alone
AT_MOST_LIST_BYTES = 64 * 2**20
DESCRIPTION = "dataset.json"
MANIFEST = "manifest/cases.csv"  # of a release made by ctatlas


def path_in(root: Path, text: str, where: str) -> Path:
    """Return the path that a list means, which must lie below its root.

    Raises
    ------
    ScanError
        When it leads elsewhere.
    """
    given = PureWindowsPath(text.strip())  # takes slashes of both kinds
    if not text.strip() or given.anchor or ".." in given.parts or "\0" in text:
        raise ScanError(
            f"{where}: {text.strip()[:80]!r} leads out of the folder of the list; expected a path inside it"
        )
    return root.joinpath(*given.parts)


def text_of(path: Path) -> str:
    """Read a list that a person or a program wrote, with or without a byte-order mark.

    Raises
    ------
    ScanError
        When it is no text, or longer than any list.
    """
    try:
        if path.stat().st_size > AT_MOST_LIST_BYTES:
            raise ScanError(f"{path.name}: is larger than {AT_MOST_LIST_BYTES >> 20} MB, which no list is")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ScanError(f"{path.name}: is no text in UTF-8; save it as such") from None
    except OSError as error:
        raise ScanError(f"{path.name}: cannot be read: {error.strerror or error}.") from error


def refuse_packed(source: Path) -> None:
    """Refuse a release made by ctatlas whose cases are still in their archives.

    Raises
    ------
    ScanError
        With what to do.
    """
    if not (source / MANIFEST).is_file():
        return
    first = next(csv.DictReader(io.StringIO(text_of(source / MANIFEST))), {})
    shard, files = first.get("shard"), [first.get("ct_file"), first.get("combined_file")]
    if shard and not any((source / path).exists() for path in files if path):
        where = str(PureWindowsPath(shard).parent)
        raise ScanError(
            f"{source.name}: is a release whose cases are packed; unpack {where}/*.tar.gz in its folder, then add it"
        )


def described_folders(source: Path) -> list[Path]:
    """Return the folders with a `dataset.json`: the source itself, or those in it."""
    if (source / DESCRIPTION).is_file():
        return [source]
    if not source.is_dir():
        return []
    return [folder for folder in folders_in(source) if (folder / DESCRIPTION).is_file()]


def folders_in(source: Path) -> list[Path]:
    """Return the folders in a folder, in the order of their names; links to folders, too."""
    with os.scandir(source) as entries:  # says of each what it is without another question to the disk
        return sorted(source / entry.name for entry in entries if entry.is_dir())


def description_of(folder: Path) -> dict[str, Any]:
    """Read a `dataset.json`.

    Raises
    ------
    ScanError
        When it is no JSON object.
    """
    where = f"{folder.name}/{DESCRIPTION}"
    try:
        content = json.loads(text_of(folder / DESCRIPTION))
    except (ValueError, RecursionError):
        raise ScanError(f"{where}: is no sound JSON; mend it, or name another --layout") from None
    if not isinstance(content, dict):
        raise ScanError(f"{where}: a JSON object is expected")
    return content


def numbers_of_description(folder: Path, ask: Ask) -> tuple[str | None, tuple[int, ...]]:
    """Return whose numbers the labels of a described folder have, and which of them mean nothing here.

    A public dataset's own table wins over the names in its description when both have the same numbers: it knows which
    label holds both sides, and which tumor counts for its organ.

    Raises
    ------
    ModelError
        When the description names no structure that is known.
    """
    if ask.label_set is not None:
        return said(ask.label_set), ()
    described = label_set(str(folder / DESCRIPTION))
    known = dataset_of([folder.name])
    if known and set(described.native_names) <= set(label_set(known.label_set).labels) | set(known.left_out):
        return known.label_set, known.left_out
    return str(folder / DESCRIPTION), tuple(set(described.native_names) - set(described.labels))


def numbers_of(folders: Iterable[str], label: Path, ask: Ask) -> tuple[str | None, tuple[int, ...]]:
    """Return whose numbers a label map has, by what was said or by the names of the folders it lies in.

    Raises
    ------
    ScanError
        When neither tells.
    """
    if ask.label_set is not None:
        return said(ask.label_set), ()
    known: KnownDataset | None = dataset_of(folders)
    if known is None:
        raise ScanError(
            f"{label.parent.name}/{label.name}: whose numbers are these? Name --label-set (a set, or a labels.json), "
            f"or --label-set {NO_LABELS} to take the scans alone"
        )
    return label_set_of_file(known, label), known.left_out


def given_remarks(found: Sequence[Found]) -> Iterator[str]:
    """Say which predictions came with the scans, and how to have them used."""
    models = dict.fromkeys(f"{GIVEN}{one.name}" for case in found for one in case.predictions)
    if models:
        n = sum(bool(case.predictions) for case in found)
        yield f"{n} cases have predictions; to have them used, add to the members in atlas.toml: {', '.join(models)}"


def said(name: str) -> str | None:
    """Return a label set that a person named, None for none.

    Raises
    ------
    ModelError
        When it is not known.
    """
    if name == NO_LABELS:
        return None
    label_set(name)
    return name
