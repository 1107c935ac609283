"""Which texts may stay: only those of `data/vocabulary.csv`, because a text that nobody has seen may be a name."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache

from ctatlas.volume.deidentify.profile import rows

_ONE_NUMBER = rb"[ ]*(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?[ \0]*)?"
_NUMBERS = re.compile(rb"%s(?:\\%s)*" % (_ONE_NUMBER, _ONE_NUMBER))
_LONGEST_NUMBER = 32  # the standard says 16; real files have more digits


def is_known(attribute: str, text: str) -> bool:
    """Tell whether a value of an attribute is in the vocabulary; ``"CS"`` stands for all code strings.

    Examples
    --------
    >>> is_known("CS", "AXIAL"), is_known("CS", "MUELLER"), is_known("ConvolutionKernel", "B30f")
    (True, False, True)
    """
    return any(pattern.fullmatch(text) for pattern in _patterns().get(attribute, ()))


def is_numbers(text: bytes) -> bool:
    r"""Tell whether a text is numbers, separated by backslashes (DICOM's DS and IS), and nothing else.

    Examples
    --------
    >>> is_numbers(b"1.5\\-2e3 "), is_numbers(b"12-34-56"), is_numbers(b"")
    (True, False, True)
    """
    return _NUMBERS.fullmatch(text) is not None and max(map(len, text.split(b"\\"))) <= _LONGEST_NUMBER


@cache
def _patterns() -> dict[str, list[re.Pattern[str]]]:
    patterns = defaultdict(list)
    for row in rows("vocabulary.csv"):
        patterns[row["attribute"]].append(re.compile(row["pattern"]))
    return dict(patterns)
