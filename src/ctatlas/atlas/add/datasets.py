"""Public source datasets by the names of their folders: whose numbers their labels have, which mean nothing here."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).parent / "data" / "datasets.csv"
_FEWER_LABELS_FROM = 60


@dataclass(frozen=True, slots=True)
class KnownDataset:
    """One row of `data/datasets.csv`."""

    name: str
    folders: tuple[str, ...]
    label_set: str
    left_out: tuple[int, ...]
    licence: str


def dataset_of(folders: Iterable[str]) -> KnownDataset | None:
    """Return the public dataset that one of some folder names stands for, the first that is known; else None.

    A name counts when it is a known one or begins with it (`04_LiTS_liver_1`); case does not matter.

    Examples
    --------
    >>> dataset_of(["10_Decathlon", "Task03_Liver"]).label_set
    'msd-03-liver'
    """
    for name in folders:
        for row in known_datasets():
            for known in row.folders:
                if re.fullmatch(rf"{re.escape(known.lower())}([_.\-\s].*)?", name.lower()):
                    return row
    return None


def label_set_of_file(dataset: KnownDataset, label: Path) -> str:
    """Return whose numbers a label map has; in BTCV those from number 60 on hold fewer structures.

    Source: published training code, key 01_2: the last two characters of the label's name are at least 60.
    """
    tail = label.name.partition(".")[0][-2:]
    if dataset.label_set == "btcv" and tail.isdecimal() and int(tail) >= _FEWER_LABELS_FROM:
        return "pancreas-ct"
    return dataset.label_set


@cache
def known_datasets() -> tuple[KnownDataset, ...]:
    """Read the table."""
    with _TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    return tuple(
        KnownDataset(
            name=row["dataset"],
            folders=tuple(row["folders"].split(";")),
            label_set=row["label_set"],
            left_out=tuple(int(number) for number in row["left_out"].split(";") if number),
            licence=row["licence"],
        )
        for row in rows
    )
