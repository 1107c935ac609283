"""tar.gz files of whole cases: the same cases give the same bytes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ctatlas.atomic import whole_file
from ctatlas.volume.formats.gzip_stream import compressing

_BLOCK = 512  # bytes of a tar header, and what contents are filled up to


@dataclass(frozen=True, slots=True)
class Packed:
    """What a shard holds of one case: path in it -> the file."""

    split: str
    files: Mapping[str, Path]

    @property
    def n_bytes(self) -> int:
        """What it takes in a tar file."""
        return sum(_BLOCK + -(-path.stat().st_size // _BLOCK) * _BLOCK for path in self.files.values())


def shards_of(cases: Iterable[Packed], at_most_cases: int | None, at_most_bytes: int | None) -> Iterator[list[int]]:
    """Yield which cases come into one shard, by their numbers; those of a split keep together.

    A case that is larger than a shard may be has one to itself.
    """
    shard: list[int] = []
    n_bytes, split = 0, ""
    for number, case in enumerate(cases):
        size = case.n_bytes
        is_full = (at_most_cases and len(shard) >= at_most_cases) or (at_most_bytes and n_bytes + size > at_most_bytes)
        if shard and (is_full or case.split != split):
            yield shard
            shard, n_bytes = [], 0
        shard.append(number)
        n_bytes, split = n_bytes + size, case.split
    if shard:
        yield shard


def write_shard(path: Path, cases: Iterable[Packed]) -> None:
    """Write one tar.gz: names sorted within a case, no times, no owners.

    Raises
    ------
    OutputError
        When the place can't be written to.
    """
    with (
        whole_file(path) as file,
        compressing(file) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for case in cases:
            for name, source in sorted(case.files.items()):
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = source.stat().st_size, 0o644
                with source.open("rb") as content:
                    tar.addfile(entry, content)


def extracted(path: Path, wanted: set[str], folder: Path) -> set[str]:
    """Unpack the files that are wanted from a stranger's shard, and return what else it holds.

    Nothing else is written, so nothing leaves the folder; a link counts as something else.
    """
    others = set()
    with tarfile.open(path, mode="r:*") as tar:
        for entry in tar:
            source = tar.extractfile(entry) if entry.isreg() and entry.name in wanted else None
            if source is None:
                others.add(entry.name)
                continue
            target = folder / entry.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                while piece := source.read(2**20):
                    file.write(piece)
    return others
