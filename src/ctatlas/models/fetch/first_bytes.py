"""What a file can't be, by its first bytes: what servers and repositories give in place of weights."""

from __future__ import annotations

from pathlib import Path

from ctatlas.errors import ModelError

N_BYTES = 512
_LFS = b"version https://git-lfs"


def refuse_stand_in(path: Path, start: bytes) -> None:
    """Refuse what stands where weights should be.

    Parameters
    ----------
    path : Path
        What the file is called in the message.
    start : bytes
        Its first bytes, `N_BYTES` of them if it has as many.

    Raises
    ------
    ModelError
        When it is empty, a web page, an error told in JSON, or a pointer of Git LFS.
    """
    if not start:
        raise ModelError(f"{path}: the file is empty; get it again")
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] == b"<":
        raise ModelError(f"{path}: a web page, not weights: the link is dead or asks to log in; get the file by hand")
    if text[:2] == b'{"' and b'"error' in text:
        said = " ".join(text[:120].decode(errors="replace").split())
        raise ModelError(f"{path}: an error told in JSON, not weights: {said}")
    if start.startswith(_LFS):
        raise ModelError(f"{path}: a pointer of Git LFS, not the weights; fetch them with 'git lfs pull'")


def first_bytes(path: Path) -> bytes:
    """Read the first bytes of a file.

    Raises
    ------
    ModelError
        When it can't be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(N_BYTES)
    except OSError as error:
        raise ModelError(f"{path}: can't be read: {error.strerror}") from None
