"""`release.json`: what a release is, for programs."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from ctatlas.atlas.records import Record
from ctatlas.atlas.release.choices import Content
from ctatlas.errors import AtlasError

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
