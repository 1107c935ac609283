"""An atlas: its folder, what `atlas.toml` says, and the index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.atlas.config import CONFIG, AtlasConfig, read_config, write_config
from ctatlas.atlas.layout import AtlasPlace, CasePlace
from ctatlas.atlas.lock import writing
from ctatlas.atlas.shards import Shard
from ctatlas.errors import AtlasError, OutputError

if TYPE_CHECKING:
    from ctatlas.atlas.catalog import Catalog
    from ctatlas.atlas.records import CaseRecord


@dataclass(frozen=True, slots=True)
class Atlas:
    """An annotated collection of scans.

    Attributes
    ----------
    place : AtlasPlace
    config : AtlasConfig
    """

    place: AtlasPlace
    config: AtlasConfig

    @classmethod
    def create(cls, folder: Path | str, config: AtlasConfig) -> Atlas:
        """Make a new atlas in an empty or new folder.

        Raises
        ------
        AtlasError
            When something is there already, in the folder or in the database.
        OutputError
            When the folder can't be written to.
        """
        from ctatlas.atlas.catalog import opened_catalog

        place = AtlasPlace(Path(folder))
        with _made(place), opened_catalog(place, config) as catalog:
            if not catalog.is_empty():
                raise AtlasError(f"{config.catalog}: is another atlas's catalog; give each a database of its own")
            write_config(config, place.root)
        return cls(place, config)

    @classmethod
    def open(cls, folder: Path | str) -> Atlas:
        """Open an atlas.

        Raises
        ------
        AtlasError
            When there is none, or its `atlas.toml` can't be.
        """
        root = Path(folder)
        return cls(AtlasPlace(root), read_config(root))

    def cases(self, only: Sequence[str] = (), shard: Shard | None = None) -> list[CasePlace]:
        """List the cases that are there, from the files, in the order of their ids.

        Parameters
        ----------
        only : sequence of str, optional
            Ids; default: all.
        shard : Shard, optional
            Only its part.

        Raises
        ------
        AtlasError
            When one that is asked for is not there.
        """
        found = list(self.place.cases())
        if only:
            there = {place.case: place for place in found}
            if missing := [case for case in only if case not in there]:
                more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
                raise AtlasError(f"{self.place.root}: has no case {missing[0]!r}{more}; 'ctatlas status' lists them")
            found = [there[case] for case in dict.fromkeys(only)]
        return found if shard is None else shard.part_of(found)

    def record(self, case: str) -> CaseRecord:
        """Read what is known of a case's scan."""
        from ctatlas.atlas.records import CaseRecord, read_record  # of no use to who asks the index

        return read_record(CaseRecord, self.place.case(case).record)

    @contextmanager
    def writing(self, *, shared: bool = False) -> Iterator[None]:
        """Hold the atlas for writing; raises `AtlasError` when another process does."""
        with writing(self.place, shared=shared):
            yield

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        """Open the index; see `opened_catalog`."""
        from ctatlas.atlas.catalog import opened_catalog  # heavy, and of no use to who works on one case

        with opened_catalog(self.place, self.config) as catalog:
            yield catalog

    def lost_its_index(self) -> bool:
        """Tell whether there are cases, and no file that would index them."""
        return not (self.config.catalog or self.place.catalog.exists()) and any(self.place.cases())

    def synchronise(self) -> tuple[list[str], list[str]]:
        """Bring the index up to date with the files.

        Returns
        -------
        faults, gone : list of str
            What could not be read, a line each; cases whose files are gone.
        """
        cases = self.cases()
        with self.catalog() as catalog:
            faults = catalog.synchronise(cases)
            gone = catalog.forget_all_but([place.case for place in cases])
        return faults, gone


@contextmanager
def _made(place: AtlasPlace) -> Iterator[None]:
    """Make an atlas's folders; when the rest fails, take away what was made."""
    created = [path for path in (place.cases_folder, place.root, *place.root.parents) if not path.exists()]
    try:
        if place.root.is_dir() and any(place.root.iterdir()):
            what = "is an atlas already" if (place.root / CONFIG).exists() else "is not empty"
            raise AtlasError(f"{place.root}: {what}; choose a new folder")
        place.cases_folder.mkdir(parents=True)
    except OSError as error:
        raise OutputError(f"{place.root}: can't be made ({error.strerror})") from None
    try:
        yield
    except BaseException:
        for path in (*place.root.glob(f"{place.catalog.name}*"), *created):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        raise
