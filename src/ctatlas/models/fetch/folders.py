"""A folder of a repository on the hub: listed first, then fetched file by file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ctatlas.errors import ModelError
from ctatlas.hashing import sha256_file
from ctatlas.models.fetch.address import Address, folder_on_the_hub, resolve
from ctatlas.models.fetch.archive import is_of_a_model
from ctatlas.models.fetch.connection import CutError, ask
from ctatlas.models.fetch.downloads import Expected, Got, download
from ctatlas.progress import SILENT, Progress

_AT_MOST_FILES = 500
_AT_MOST_LIST_BYTES = 8 * 1024**2


@dataclass(frozen=True, slots=True)
class _File:
    path: PurePosixPath
    source: str
    expected: Expected


def is_folder(source: str) -> bool:
    """Tell whether a source means a folder on the hub: it ends in a slash."""
    return source.startswith("hf://") and source.endswith("/")


def download_folder(source: str, folder: Path, *, progress: Progress = SILENT, name: str = "") -> Got:
    """Fetch what a model needs of `hf://owner/repository[@revision]/folder/`; files that came whole are kept.

    Raises
    ------
    ModelError, InstallError, OutputError
        As `download`; also when there is no such folder, or too much in it.
    """
    address, inner = folder_on_the_hub(source)
    wanted = list(_wanted(source, address, inner))
    if not wanted:
        raise ModelError(f"{source}: holds nothing that a model is made of")
    _clear_of_others(folder, {folder / file.path for file in wanted})
    revision, size = "", 0
    for file in wanted:
        target = folder / file.path
        if file.expected.sha256 and target.is_file() and sha256_file(target) == file.expected.sha256:
            size += target.stat().st_size
            continue
        called = f"{name or source}, {file.path.name}"
        got = download(resolve(file.source), target.parent, expected=file.expected, progress=progress, name=called)
        revision, size = got.revision or revision, size + got.bytes
    return Got(folder, "", size, revision)


def _clear_of_others(folder: Path, targets: set[Path]) -> None:
    """Remove what an earlier call left that belongs to another folder."""
    kept = {path.with_name(path.name + end) for path in targets for end in ("", ".part", ".part.json")}
    for path in folder.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()


def _wanted(source: str, address: Address, inner: str) -> Iterator[_File]:
    rows = [row for row in _listed(address) if isinstance(row, dict) and row.get("type") == "file"]
    if len(rows) > _AT_MOST_FILES:
        raise ModelError(f"{source}: {len(rows):,} files; at most {_AT_MOST_FILES:,} are fetched")
    repository = source[: len(source) - len(inner)] if inner else source
    for row in rows:
        path, size, large = row.get("path"), row.get("size"), row.get("lfs")
        if not isinstance(path, str) or not path.startswith(inner) or not isinstance(size, int):
            raise ModelError(f"{source}: the hub's list of it can't be read")
        within = PurePosixPath(path[len(inner) :])
        if is_of_a_model(within):
            hashed = large.get("oid", "") if isinstance(large, dict) else ""
            # What the list names is resolved as any source is, so that no name leaves its folder.
            yield _File(within, f"{repository}{path}", Expected(str(hashed), size))


def _listed(address: Address) -> list[object]:
    try:
        answer = ask(address)
        try:
            content = b""
            while piece := answer.body.read1(65536):
                content += piece
                if len(content) > _AT_MOST_LIST_BYTES:
                    raise ModelError(f"{address.said}: its list is longer than {_AT_MOST_LIST_BYTES:,} bytes")
        finally:
            answer.body.close()
    except (CutError, OSError) as error:
        raise ModelError(f"{address.said}: {error}; call again") from None
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise ModelError(f"{address.said}: the hub's list of it can't be read")
    if answer.headers.get("Link"):
        raise ModelError(f"{address.said}: holds more than the hub lists at once; name a folder deeper in it")
    return found
