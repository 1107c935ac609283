"""Add members to `atlas.toml`, which people edit: their words and remarks stay, only the list grows."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ctatlas.atlas.config import CONFIG, AtlasConfig
from ctatlas.atomic import whole_file
from ctatlas.errors import AtlasError, OutputError
from ctatlas.locks import held

_LIST = re.compile(r"^[ \t]*members[ \t]*=", re.MULTILINE)
_TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)


def enrol(folder: Path, members: Sequence[str]) -> None:
    """Add members to those of an atlas; who is one already stays where they are in the list.

    Several jobs may do so at once.

    Raises
    ------
    AtlasError
        When the list can't be found in the file; it is as it was.
    OutputError
        When it can't be written.
    """
    path = folder / CONFIG
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise OutputError(f"{folder}: can't be read ({error.strerror})") from None
    try:
        if not held(handle):
            raise AtlasError(f"{folder}: another ctatlas is writing here; wait for it")
        text = path.read_text(encoding="utf-8")
        if (longer := with_members(text, members)) != text:
            with whole_file(path) as file:
                file.write(longer.encode())
    except OSError as error:
        raise OutputError(f"{path}: can't be read ({error.strerror})") from None
    finally:
        os.close(handle)


def with_members(text: str, members: Sequence[str]) -> str:
    r"""Return the text of an `atlas.toml` with more members, and no other change.

    Examples
    --------
    >>> with_members('name = "a"\nmembers = ["one"]  # mine\n', ["two", "one"])
    'name = "a"\nmembers = ["one", "two"]  # mine\n'
    """
    table = tomllib.loads(text)
    default = AtlasConfig.model_fields["members"].default
    there = list(table.get("members", default))
    new = [name for name in dict.fromkeys(members) if name not in there]
    if not new:
        return text
    wanted = {**table, "members": [*there, *new]}
    for candidate in _candidates(text, there, new, is_listed="members" in table):
        with suppress(tomllib.TOMLDecodeError):
            if tomllib.loads(candidate) == wanted:
                return candidate
    raise AtlasError(f"{CONFIG}: its list of members is not found; add to it by hand: {', '.join(new)}")


def _candidates(text: str, there: Sequence[str], new: Sequence[str], *, is_listed: bool) -> Iterator[str]:
    """Yield texts of which one is right: the names put before one of the brackets that may end the list."""
    said = ", ".join(json.dumps(name, ensure_ascii=False) for name in new)
    if not is_listed:
        everybody = ", ".join(json.dumps(name, ensure_ascii=False) for name in (*there, *new))
        first = _TABLE.search(text)
        place = first.start() if first else len(text)
        yield f"{text[:place].rstrip()}\nmembers = [{everybody}]\n\n{text[place:]}"
        return
    for start in _LIST.finditer(text):
        for end in re.finditer(r"\]", text[start.end() :]):
            place = start.end() + end.start()
            for between in (", ", ""):
                yield f"{text[:place]}{between}{said}{text[place:]}"
