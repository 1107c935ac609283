"""A release as a stranger has it: its tables, and its files whether packed or not."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from ctatlas.atlas.release.manifest import CASES, MASKS, CaseRow, MaskRow, read_rows
from ctatlas.atlas.release.shards import extracted
from ctatlas.atlas.release.spool import Lines
from ctatlas.atlas.releases import ReleaseRecord, read_release_record
from ctatlas.errors import AtlasError
from ctatlas.volume.formats.gzip_stream import damage


class MaskTable:
    """The rows of `masks.csv`, in a temporary file: a release may have millions."""

    def __init__(self, path: Path) -> None:
        self._lines = Lines()
        self._latest: tuple[str, Mapping[str, MaskRow]] = "", {}
        for row in read_rows(MaskRow, path):
            self._lines.add(row.id, row.structure, row.model_dump())

    def __len__(self) -> int:
        """Count the masks."""
        return len(self._lines)

    def __iter__(self) -> Iterator[MaskRow]:
        """Yield all rows, in the order of the table."""
        return (MaskRow.model_validate(line) for line in self._lines)

    def of(self, case: CaseRow) -> Mapping[str, MaskRow]:
        """Return the masks of a case: structure -> row."""
        if self._latest[0] != case.id:
            rows = map(MaskRow.model_validate, self._lines.of(case.id))
            self._latest = case.id, {row.structure: row for row in rows}
        return self._latest[1]

    def repeated(self) -> Iterator[str]:
        """Yield masks that have several rows, a line each."""
        return (f"{one}: {name}: mask is there {n} times" for one, name, n in self._lines.repeated())


@dataclass
class ReleaseCopy:
    """A release in a folder.

    Attributes
    ----------
    folder : Path
    record : ReleaseRecord
    cases : sequence of CaseRow
    masks : MaskTable
    unlisted : list of str
        What shards were found to hold beside the files of the manifest.
    """

    folder: Path
    record: ReleaseRecord
    cases: Sequence[CaseRow]
    masks: MaskTable
    unlisted: list[str] = field(default_factory=list)
    _unpacked: tuple[str, Path] | None = None

    @classmethod
    @contextmanager
    def opened(cls, folder: Path) -> Iterator[ReleaseCopy]:
        """Open a release; what is unpacked of it goes when the block ends.

        Raises
        ------
        AtlasError
            When the folder holds none, or its tables are not what they should be.
        """
        record = read_release_record(folder)
        copy = cls(folder, record, list(read_rows(CaseRow, folder / CASES)), MaskTable(folder / MASKS))
        try:
            yield copy
        finally:
            copy._forget()

    def hashes_of(self, case: CaseRow) -> dict[str, str]:
        """Return the paths of a case's files, packed or not, with the hashes that the manifest gives them."""
        masks = self.masks.of(case).values()
        told = {
            case.ct_file: case.ct_sha256,
            case.combined_file: case.combined_sha256,
            case.original_file: case.original_sha256,
            case.pseudo_file: case.pseudo_sha256,
            **{mask.file: mask.sha256 for mask in masks},
            **{mask.pseudo_file: mask.pseudo_sha256 for mask in masks},
        }
        return {name: sha256 for name, sha256 in told.items() if name}

    def earlier_of(self, case: CaseRow) -> list[str]:
        """Return the paths of the source's labels and of what models said before people corrected it."""
        masks = (mask.pseudo_file for mask in self.masks.of(case).values())
        return [name for name in (case.original_file, case.pseudo_file, *masks) if name]

    def root_of(self, case: CaseRow) -> Path:
        """Return the folder in which a case's files lie under their names; a shard is unpacked for it.

        One shard is unpacked at a time.

        Raises
        ------
        AtlasError
            When the shard can't be unpacked.
        """
        if not case.shard:
            return self.folder
        if self._unpacked is None or self._unpacked[0] != case.shard:
            self._forget()
            self._unpacked = case.shard, Path(mkdtemp(prefix="ctatlas-"))
            self._unpack(case.shard, self._unpacked[1])
        return self._unpacked[1]

    def _unpack(self, shard: str, folder: Path) -> None:
        broken: tuple[type[Exception], ...] = (OSError, tarfile.TarError, *damage())
        wanted = {name for case in self.cases if case.shard == shard for name in self.hashes_of(case)}
        try:
            others = extracted(self.folder / shard, wanted, folder)
        except broken as error:
            raise AtlasError(f"{self.folder / shard}: can't be unpacked ({error}); copy it anew") from None
        self.unlisted += [f"{shard}: {name}" for name in sorted(others)]

    def _forget(self) -> None:
        if self._unpacked is not None:
            shutil.rmtree(self._unpacked[1], ignore_errors=True)
            self._unpacked = None
