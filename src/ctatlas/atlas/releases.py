"""The releases of an atlas, and `release.json`: what each is, for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from ctatlas.atlas.records import Record
from ctatlas.errors import AtlasError

Content = Literal["all", "images", "masks"]

RELEASE = "release.json"
FORMAT = 1


class ReleaseRecord(Record):
    """What a release is.

    Attributes
    ----------
    labels : mapping of str to int
        The label set's spelling -> number in combined labels.
    structures : mapping of str to str
        The label set's spelling -> canonical name.
    cases, masks : int
    sources : mapping of str to int
        How many masks are original, revised, pseudo, and absent.
    left_out, doubts : tuple of str
        What a reader may look for in vain; which terms are not settled.
    """

    format: int = FORMAT
    name: str
    version: str
    description: str
    licence: str
    layout: str
    content: Content
    label_set: str
    labels: dict[str, int]
    structures: dict[str, str]
    cases: int
    masks: int
    sources: dict[str, int]
    left_out: tuple[str, ...]
    doubts: tuple[str, ...]
    made_with: str


def releases_in(folder: Path) -> tuple[list[ReleaseRecord], list[str]]:
    """Read what all releases of an atlas are.

    Parameters
    ----------
    folder : Path
        Of the releases; need not exist.

    Returns
    -------
    records, faults : list
        In the order of their folders; of those that can't be read a line each.
    """
    records: list[ReleaseRecord] = []
    faults: list[str] = []
    for path in sorted(folder.glob(f"[!.]*/{RELEASE}")):
        try:
            records.append(read_release_record(path.parent))
        except AtlasError as fault:
            faults.append(str(fault))
    return records, faults


def read_release_record(folder: Path) -> ReleaseRecord:
    """Read what a release is.

    Raises
    ------
    AtlasError
        When the folder holds none, or one from a newer ctatlas.
    """
    path = folder / RELEASE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and isinstance(number := content.get("format"), int) and number > FORMAT:
            raise AtlasError(f"{path}: is format {number}, from a newer ctatlas; this one reads up to {FORMAT}")
        return ReleaseRecord.model_validate(content)
    except FileNotFoundError:
        raise AtlasError(
            f"{folder}: is no release (no {RELEASE}); expected a folder made by 'ctatlas release'"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise AtlasError(f"{path}: can't be read ({error})") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise AtlasError(f"{path}: {'.'.join(map(str, first['loc'])) or 'content'}: {first['msg']}") from None
    except (ValueError, RecursionError):
        raise AtlasError(f"{path}: is no JSON") from None
