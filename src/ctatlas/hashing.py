"""Names for content: the same bytes or the same facts always hash alike."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def sha256_file(path: str | Path) -> str:
    """Hash a file's bytes, read piece by piece.

    Returns
    -------
    str
        64 lower-case hexadecimal digits.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(facts: object) -> str:
    """Hash anything JSON can say, whatever the order of its keys.

    Raises
    ------
    ValueError, TypeError
        For nan, infinity, and objects JSON has no word for.

    Examples
    --------
    >>> sha256_json({"a": 1, "b": [2]}) == sha256_json({"b": [2], "a": 1})
    True
    """
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_bytes(content: bytes) -> str:
    """Hash bytes in memory; 64 lower-case hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
