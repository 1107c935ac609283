"""Licences of weights: shown, and those that bind agreed to once."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from ctatlas.atomic import whole_file
from ctatlas.errors import ModelError
from ctatlas.hashing import sha256_bytes
from ctatlas.models.cards import CommercialUse
from ctatlas.settings import settings

AGREED_FILE = "agreed-licences.json"
_IN_WORDS: dict[CommercialUse, str] = {
    "yes": "commercial use allowed",
    "no": "no commercial use",
    "unknown": "whether it allows commercial use is not known",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which terms weights are given: a licence, where it stands, and whether it lets them be sold."""

    license: str
    license_url: str = ""
    commercial_use: CommercialUse = "unknown"

    def __str__(self) -> str:
        """Say them in one line."""
        where = f" ({self.license_url})" if self.license_url else ""
        return f"{self.license}{where}; {_IN_WORDS[self.commercial_use]}"


def agreed(terms: Terms) -> bool:
    """Tell whether nothing need be agreed to, or it was before."""
    return terms.commercial_use == "yes" or _key(terms) in _read()


def agree(terms: Terms) -> None:
    """Remember that the person agreed, so that the same licence is not asked about again.

    Raises
    ------
    OutputError
        When it can't be written down.
    """
    if agreed(terms):
        return
    home = settings().home
    now = datetime.now(UTC).isoformat(timespec="seconds")
    table = _read() | {_key(terms): {"license": terms.license, "agreed": now}}
    home.mkdir(parents=True, exist_ok=True)
    with whole_file(home / AGREED_FILE) as file:
        file.write(json.dumps(table, indent=1, ensure_ascii=False).encode())


def refuse_unless_agreed(name: str, terms: Terms) -> None:
    """Refuse weights whose terms nobody has agreed to.

    Raises
    ------
    ModelError
        With the terms, and how to agree.
    """
    if not agreed(terms):
        raise ModelError(f"{name}: its terms need your consent: {terms}; give it with --accept-license")


def _key(terms: Terms) -> str:
    return sha256_bytes(f"{terms.commercial_use}\n{terms.license}".encode())


def _read() -> dict[str, object]:
    with suppress(OSError, ValueError):
        found = json.loads((settings().home / AGREED_FILE).read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    return {}
