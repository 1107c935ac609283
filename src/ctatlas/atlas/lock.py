"""Who may write to an atlas: one process with a catalog, or any number of shards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ctatlas.atlas.layout import AtlasPlace
from ctatlas.errors import AtlasError, OutputError
from ctatlas.locks import held


@contextmanager
def writing(place: AtlasPlace, *, shared: bool = False) -> Iterator[None]:
    """Hold an atlas for writing; the lock goes with the process, however that ends.

    Parameters
    ----------
    place : AtlasPlace
    shared : bool
        Beside other shards; each case's folder is still written by one process at a time.

    Raises
    ------
    AtlasError
        When another process holds it.
    OutputError
        When the folder can't be written to.
    """
    try:
        handle = os.open(place.lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OutputError(f"{place.root}: can't be written to ({error.strerror})") from None
    try:
        if not held(handle, shared=shared):
            raise AtlasError(f"{place.root}: another ctatlas is writing here; wait for it, or use --shard in all")
        yield  # on a network disk without locks shards keep apart by their numbers
    finally:
        os.close(handle)
