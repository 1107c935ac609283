"""Look into archives as if they were folders."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctatlas.errors import ScanError
from ctatlas.volume.archives import is_archive, unpack


@contextmanager
def opened(path: Path, only: str = "") -> Iterator[Path]:
    """Give a path itself, or for a zip or tar archive a temporary folder of its name that holds what was in it.

    The folder is removed when the block ends, however it ends.

    Parameters
    ----------
    path : Path
        Anything; only an archive is unpacked, which its content decides.
    only : str, optional
        A file or folder inside the archive that is wanted alone.

    Raises
    ------
    ScanError
        When nothing lies there, or the archive is damaged or hostile; see `archives.unpack`.
    """
    try:
        if not path.exists():
            raise ScanError(f"{path}: there is no such file or folder; check the path.")
        is_packed = is_archive(path)
    except OSError as error:
        raise ScanError(f"{path.name}: cannot be read: {error.strerror or error}.") from error
    if not is_packed:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="ctatlas-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary) / path.name
        folder.mkdir()
        unpack(path, folder, only)
        yield folder
