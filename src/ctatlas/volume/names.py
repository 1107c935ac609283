"""Names for files and folders, made of what strangers call things."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import count

_NAME_LENGTH = 80
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}  # Windows


def safe_name(text: str) -> str:
    """Return a name that no file system and no shell takes for anything else: letters, digits, dot, dash, underscore.

    >>> safe_name("../../Mueller^Hans (2)")
    'Mueller_Hans_2'
    >>> safe_name("...")
    'scan'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", plain)[:_NAME_LENGTH].strip("._-")
    return f"{name}_" if name.split(".")[0].lower() in _RESERVED else name or "scan"


def unique_names(wanted: Iterable[str]) -> list[str]:
    """Return safe names, with a number behind one that is taken (case does not tell names apart)."""
    names: list[str] = []
    taken: set[str] = set()
    for name in map(safe_name, wanted):
        numbered = (name if n == 1 else f"{name}_{n}" for n in count(1))
        names.append(next(one for one in numbered if one.lower() not in taken))
        taken.add(names[-1].lower())
    return names
