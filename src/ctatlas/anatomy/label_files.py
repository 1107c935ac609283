"""Label sets that others keep in JSON files: nnU-Net's `dataset.json`, AutoOrgan's and our own `labels.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn, cast

from ctatlas.anatomy.label_sets import LabelSet
from ctatlas.anatomy.structures import canonical_name
from ctatlas.errors import ModelError

AT_MOST_BYTES = 2**20  # a hundred times the largest that is known
LARGEST_ID = 2**16 - 1
_IGNORE = "ignore"
_BESIDES = {"background", _IGNORE}  # nnU-Net's reserved names
_NO_FILE_NAME = re.compile(r"[/\\:\x00-\x1f]")


def names_a_file(name: str) -> bool:
    """Tell the path of a label file (`labels.json`, `labels.json#ribs`) from the name of a label set."""
    return name.partition("#")[0].endswith(".json")


def read_label_set(path: Path | str, *, needs_known: bool = True) -> LabelSet:
    """Read a label set from a JSON file, whatever its form.

    Read are `dataset.json` of nnU-Net 2 (name → value; regions as lists of values, with `regions_class_order`), that
    of nnU-Net 1 and the Medical Segmentation Decathlon (value → name), AutoOrgan's `labels.json` (a table a task), and
    a bare table in either direction, as `--combined` writes it.

    Parameters
    ----------
    path : Path or str
        Of several tasks in the file one is named behind a `#`: ``labels.json#Rib``. Case and spaces don't matter.
    needs_known : bool
        Whether a file that names no structure at all is refused.

    Returns
    -------
    LabelSet
        Its name is that of the file. What no structure is called stands in `unknown`.

    Raises
    ------
    ModelError
        When the file cannot be read, is no such table, or contradicts itself.

    Source: nnU-Net v2, `dataset.json` and `LabelManager`; v1 mapped value to name, so keys tell the form apart.
    """
    place, _, task = str(path).partition("#")
    content = _content(Path(place))
    name = Path(place).name
    table = content.get("labels", content)
    if not isinstance(table, dict) or not table:
        _refuse(place, "its 'labels' are no table of names and numbers")
    if all(isinstance(value, dict) for value in table.values()):
        table, name = _task(place, table, task), f"{name}#{task}" if task else name
    elif task:
        _refuse(place, f"has no tasks, so none called {task!r}")
    values = _values(place, table)
    owners, also = _owners(place, values, content.get("regions_class_order"))
    found = replace(_label_set(place, name, owners, also), ignored=_ignored(place, table))
    if needs_known and not found.labels:
        given = ", ".join(list(owners.values())[:8]) or "none"
        _refuse(place, f"names no structure that ctatlas knows; it names {given}")
    return found


def _content(place: Path) -> Mapping[str, Any]:
    try:
        if place.stat().st_size > AT_MOST_BYTES:
            _refuse(place, f"is larger than {AT_MOST_BYTES} bytes, so no label file")
        content = json.loads(place.read_text(encoding="utf-8-sig"), object_pairs_hook=_once)
    except OSError as error:
        raise ModelError(f"{place}: cannot be read as a label file: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{place}: is no label file: not sound JSON ({error})") from error
    if not isinstance(content, dict):
        _refuse(place, "is no label file: a JSON object is expected")
    return cast("Mapping[str, Any]", content)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that comes twice, which JSON readers silently overwrite."""
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a key is given twice")
    return table


def _task(place: str, tables: Mapping[str, Mapping[str, Any]], task: str) -> Mapping[str, Any]:
    """Return the table of one task; AutoOrgan spells its keys with stray spaces and in any case."""
    found = {key.strip().casefold(): table for key, table in tables.items()}
    wanted = task.strip().casefold() or (next(iter(found)) if len(found) == 1 else "")
    if wanted not in found:
        names = ", ".join(key.strip() for key in tables)
        _refuse(place, f"has several tasks; name one behind a #, as in {Path(place).name}#TASK: {names}")
    return found[wanted]


def _values(place: str, table: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return native name → values, more than one for a region; background and what is to be ignored left out."""
    if all(key.strip().isdecimal() for key in table):
        pairs = [(name, key) for key, name in table.items()]
    else:
        pairs = list(table.items())
    values: dict[str, tuple[int, ...]] = {}
    for name, given in pairs:
        if not isinstance(name, str):
            _refuse(place, f"{name!r} is no name of a structure")
        spelled = re.sub(r"\s+", "_", name.strip())
        if spelled in values:
            _refuse(place, f"{spelled!r} is given twice")
        numbers = tuple(_number(place, spelled, one) for one in (given if isinstance(given, list) else [given]))
        if spelled.casefold() not in _BESIDES and numbers != (0,):
            values[spelled] = numbers
    return values


def _ignored(place: str, table: Mapping[str, Any]) -> tuple[int, ...]:
    given = [(value, key) if str(key).strip().isdecimal() else (key, value) for key, value in table.items()]
    return tuple(_number(place, _IGNORE, number) for name, number in given if str(name).strip().casefold() == _IGNORE)


def _number(place: str, name: str, given: object) -> int:
    """Return one value, which some files keep as text."""
    text = str(given).strip()
    if isinstance(given, bool) or not re.fullmatch("[0-9]{1,5}", text) or int(text) > LARGEST_ID:
        _refuse(place, f"{name!r} is numbered {str(given)[:40]!r}; a whole number from 0 to {LARGEST_ID} is expected")
    return int(text)


def _owners(
    place: str, values: Mapping[str, tuple[int, ...]], order: object
) -> tuple[dict[int, str], dict[int, list[str]]]:
    """Return value → the name it stands for, and value → the larger regions that it lies in.

    The value that stands for a region is the one at its place in `regions_class_order`, which nnU-Net writes for it.
    """
    plain = all(len(numbers) == 1 for numbers in values.values())
    if plain:
        standing = {name: numbers[0] for name, numbers in values.items()}
    elif isinstance(order, list) and len(order) == len(values):
        standing = {name: _number(place, name, value) for name, value in zip(values, order, strict=True)}
    else:
        _refuse(place, "has regions; 'regions_class_order' must give one value for each of them")
    owners: dict[int, str] = {}
    for name, value in standing.items():
        if value in owners:
            _refuse(place, f"value {value} stands for both {owners[value]!r} and {name!r}")
        if value not in values[name]:
            _refuse(place, f"value {value} stands for the region {name!r} but does not lie in it")
        owners[value] = name
    also = {
        value: [name for name, numbers in values.items() if value in numbers and name != owner]
        for value, owner in owners.items()
    }
    if lost := sorted({value for numbers in values.values() for value in numbers} - owners.keys() - {0}):
        _refuse(place, f"values {lost} belong to regions but stand for none of them")
    return owners, also


def _label_set(place: str, name: str, owners: Mapping[int, str], also: Mapping[int, list[str]]) -> LabelSet:
    structure_of = {native: known for native in owners.values() if (known := _known(native))}
    labels = {value: structure_of[native] for value, native in sorted(owners.items()) if native in structure_of}
    for structure in set(labels.values()):
        twice = [native for native, known in structure_of.items() if known == structure]
        if len(twice) > 1:
            _refuse(place, f"{' and '.join(map(repr, twice))} are both {structure}")
    larger = {
        value: tuple(structure_of[native] for native in names if native in structure_of)
        for value, names in also.items()
    }
    return LabelSet(
        name=name,
        labels=MappingProxyType(labels),
        native_names=MappingProxyType(dict(sorted(owners.items()))),
        also=MappingProxyType({value: names for value, names in larger.items() if names}),
    )


def _known(native: str) -> str | None:
    """Return the structure of a name; None where no structure is called that, or it could not name a file."""
    try:
        return None if _NO_FILE_NAME.search(native) else canonical_name(native)
    except ModelError:
        return None


def _refuse(place: Path | str, why: str) -> NoReturn:
    raise ModelError(f"{place}: {why}")
