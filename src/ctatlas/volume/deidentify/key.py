"""The secret from which all pseudonyms come: the same key gives the same ones, in every run and every object.

Without the key nobody can go from a pseudonym to a person or test a guess. Losing it loses only that later scans of a
person get another pseudonym.
"""

from __future__ import annotations

import hmac
import os
import secrets
from base64 import b32encode
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ctatlas.errors import InstallError, OutputError

_BYTES = 32
_SHIFT_AT_MOST_DAYS = 3652  # ten years. Source: reference/volumes.md §8
_OTHERS_MAY = 0o077


@dataclass(frozen=True, slots=True)
class Key:
    """A secret of 32 bytes; it is never shown.

    Examples
    --------
    >>> Key(bytes(32))
    Key()
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != _BYTES:
            raise ValueError(f"a key has {_BYTES} bytes")

    def uid(self, old: str) -> str:
        """Return the UID that stands for another one.

        Notes
        -----
        Source: reference/volumes.md §8; the root 2.25 for UIDs that are numbers: DICOM PS3.5 B.2.

        Examples
        --------
        >>> Key(bytes(32)).uid("1.2.3")
        '2.25.324811415056543479332968633230762605229'
        """
        return f"2.25.{int.from_bytes(self._digest(old)[:16], 'big')}"

    def patient(self, identity: str) -> str:
        """Return the pseudonym of a patient, which is name and ID at once.

        Examples
        --------
        >>> Key(bytes(32)).patient("4711")
        'CTA-4KEW3T25IC'
        """
        return f"CTA-{self.letters('patient', identity)}"

    @property
    def name(self) -> str:
        """What tells keys apart without telling anything about them."""
        return self.letters("key", "")

    def days(self, identity: str) -> int:
        """Return by how many days the dates of a patient move: -1 to -3652."""
        return -1 - int.from_bytes(self._digest(f"days\0{identity}")[:8], "big") % _SHIFT_AT_MOST_DAYS

    def letters(self, purpose: str, text: str, n: int = 10) -> str:
        """Return letters and digits (base 32) that stand for a text, for names of files and folders."""
        return b32encode(self._digest(f"{purpose}\0{text}")).decode()[:n]

    def _digest(self, text: str) -> bytes:
        return hmac.digest(self.secret, text.encode("utf-8", "surrogateescape"), "sha256")


def passing_key() -> Key:
    """Make a key that nobody keeps, to look at what would be done."""
    return Key(secrets.token_bytes(_BYTES))


def key_in(path: Path) -> tuple[Key, bool]:
    """Read a key, or make one where there is none.

    Parameters
    ----------
    path : Path
        A file of 64 hexadecimal digits that only its owner may read.

    Returns
    -------
    Key
    bool
        Whether it was made now.

    Raises
    ------
    InstallError
        When the file is no key, or others may read it.
    OutputError
        When it can't be made.
    """
    try:
        return _read(path), False
    except FileNotFoundError:
        pass
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = _make(path)
    except OSError as error:
        raise OutputError(
            f"{path}: the key can't be made there: {error.strerror or error}; name another --key."
        ) from None
    return _read(path), made


def _read(path: Path) -> Key:
    try:
        with path.open("rb") as file:
            mode, text = os.fstat(file.fileno()).st_mode, file.read(4096)
        secret = bytes.fromhex(text.decode("ascii").strip())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InstallError(f"{path}: the key can't be read: {error.strerror or error}.") from None
    except ValueError:
        secret = b""
    if len(secret) != _BYTES:
        raise InstallError(f"{path}: is no key; expected {2 * _BYTES} hexadecimal digits. Name a new file to get one.")
    if os.name == "posix" and mode & _OTHERS_MAY:
        raise InstallError(f"{path}: others may read this key; take that from them: chmod 600 '{path}'")
    return Key(secret)


def _make(path: Path) -> bool:
    """Write a new key whole or not at all; where another process was quicker, its key is the key."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # unlike a rename it never replaces a key
        except FileExistsError:
            return False
        return True
    finally:
        with suppress(OSError):
            temporary.unlink()
