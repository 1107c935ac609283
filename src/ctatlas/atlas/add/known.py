"""What an atlas has already: which files were read, which voxels it holds, which ids are taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ctatlas.atlas.add.found import Found
from ctatlas.atlas.add.likeness import Pictures
from ctatlas.atlas.atlas import Atlas
from ctatlas.atlas.records import CaseRecord, DatasetRecord, read_record
from ctatlas.hashing import sha256_json
from ctatlas.volume import files_of, safe_name
from ctatlas.volume.deidentify import Key

_ONE_FILE = (".nii.gz", ".nii")


@dataclass(slots=True)
class Known:
    """What the atlas has.

    Attributes
    ----------
    origins : dict
        Keyed hash of a path → the case that was read from it or is a copy of it, and the stamp of the files then.
    voxels : dict
        Hash of voxels → case.
    ids : set
        All names of folders among the cases, lower case.
    """

    origins: dict[str, tuple[str, str]] = field(default_factory=dict)
    voxels: dict[str, str] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    _pictures: Pictures = field(default_factory=Pictures)
    _unseen: list[tuple[str, str]] = field(default_factory=list)  # most calls find nothing new to compare with

    def learn(self, case: str, origin: str, stamp: str, voxels: str, picture: str) -> None:
        """Remember a case."""
        self.origins[origin] = (case, stamp)
        self.voxels.setdefault(voxels, case)
        self._unseen.append((case, picture))
        self.ids.add(case.lower())

    def alike(self, picture: str) -> dict[str, str]:
        """Return the cases that look nearly the same, the most alike first, and in which way ("" for as they lie)."""
        for case, unseen in self._unseen:
            self._pictures.add(case, unseen)
        self._unseen.clear()
        return {case: found.way for case, found in self._pictures.like(picture)}

    def free_id(self, wanted: str) -> str:
        """Return a safe name that no case has, and take it."""
        name = safe_name(wanted)
        numbered = (name if n == 1 else f"{name}_{n}" for n in range(1, 1_000_000))
        chosen = next(one for one in numbered if one.lower() not in self.ids)
        self.ids.add(chosen.lower())
        return chosen


def known_to(atlas: Atlas, *, from_files: bool = False) -> Known:
    """Gather what an atlas has, from its index, or for jobs that leave the index alone from its files.

    Cases that the index lacks are put into it first.
    """
    known = Known()
    places = list(atlas.place.cases())
    if atlas.place.cases_folder.is_dir():
        known.ids = {folder.name.lower() for folder in atlas.place.cases_folder.iterdir()}
    if from_files:
        for place in places:
            record = read_record(CaseRecord, place.record)
            known.learn(place.case, record.origin, record.origin_stamp, record.voxels_sha256, record.fingerprint)
    else:
        with atlas.catalog() as catalog:
            rows = list(_rows(catalog))
            there = {row[0] for row in rows}
            if lacking := [place for place in places if place.case not in there]:
                catalog.synchronise(lacking)
                rows = list(_rows(catalog))
        present = {place.case for place in places}
        for row in rows:
            if row[0] in present:
                known.learn(*row)
    for dataset in dataset_records(atlas):
        for copy in dataset.copies:
            known.origins.setdefault(copy.origin, (copy.copy_of, copy.origin_stamp))
    return known


def dataset_records(atlas: Atlas) -> Iterator[DatasetRecord]:
    """Yield what is known of each source dataset."""
    if atlas.place.datasets.is_dir():
        for path in sorted(atlas.place.datasets.glob("*.json")):
            yield read_record(DatasetRecord, path)


def origin_of(path: Path, inside: str, key: Key) -> str:
    """Return what stands for a path in the atlas; without the key nobody can tell the path, or test a guess."""
    return key.letters("origin", f"{path}\0{inside}", 52)


def stamp_of(found: Found) -> str:
    """Hash the sizes and times of a case's files: alike means that they need not be read again."""
    facts = [_stats(path) for path in found.paths]
    return sha256_json([facts, found.label_set and Path(found.label_set).name])


def _stats(path: Path) -> list[list[int]]:
    files = [path] if path.name.lower().endswith(_ONE_FILE) else files_of(path)
    return [[stat.st_size, stat.st_mtime_ns] for stat in (file.stat() for file in files)]


def _rows(catalog: object) -> Iterator[tuple[str, str, str, str, str]]:
    from sqlalchemy import select

    from ctatlas.atlas.catalog import Catalog
    from ctatlas.atlas.catalog.tables import Case

    if not isinstance(catalog, Catalog):
        raise TypeError("expected a catalog")
    asked = select(Case.case, Case.origin, Case.origin_stamp, Case.voxels_sha256, Case.fingerprint).order_by(Case.case)
    with catalog.session() as session:
        yield from (tuple(row) for row in session.execute(asked))  # type: ignore[misc]
