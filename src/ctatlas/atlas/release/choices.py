"""What a person decides about a release."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ctatlas.atlas.releases import Content
from ctatlas.errors import AtlasError

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", re.IGNORECASE)
_POWERS = {"": 0, "k": 3, "m": 6, "g": 9, "t": 12}


@dataclass(frozen=True, slots=True)
class ReleaseChoices:
    """How a release is laid out, and what of the atlas comes into it.

    Attributes
    ----------
    layout : str
        A key of `LAYOUTS`.
    label_set : str or None
        Whose ids and spelling; None: the layout's, else the atlas's.
    content : str
        "all", "images" alone or "masks" alone.
    cases_per_shard, shard_bytes : int or None
        Pack cases into tar.gz files of at most so many cases or bytes; None: what the layout is used to.
    cases : tuple of str
        Ids of the atlas; none: all.
    only_ready : bool
        Leave out cases whose masks are not assembled, or out of date, instead of refusing.
    """

    layout: str = "abdomenatlas"
    label_set: str | None = None
    content: Content = "all"
    cases_per_shard: int | None = None
    shard_bytes: int | None = None
    cases: tuple[str, ...] = ()
    only_ready: bool = False

    @property
    def with_images(self) -> bool:
        """Whether scans come into it."""
        return self.content != "masks"

    @property
    def with_masks(self) -> bool:
        """Whether masks come into it."""
        return self.content != "images"


def check_version(version: str) -> str:
    """Return a release's version, or refuse one that can't be a folder's name.

    Raises
    ------
    AtlasError
    """
    if not _VERSION.fullmatch(version):
        raise AtlasError(f"version {version!r}: expected letters, digits, dots, dashes or underscores, such as 1.0")
    return version


def bytes_of(size: str) -> int:
    """Return a size such as "20GB" in bytes.

    Raises
    ------
    AtlasError
        When it is none, or nothing.

    Examples
    --------
    >>> bytes_of("20GB"), bytes_of("1.5 MB")
    (20000000000, 1500000)
    """
    found = _SIZE.fullmatch(size.strip())
    number = int(float(found[1]) * 10 ** _POWERS[found[2].lower()]) if found else 0
    if number < 1:
        raise AtlasError(f"size {size!r}: expected a number of bytes such as 500MB or 20GB")
    return number
