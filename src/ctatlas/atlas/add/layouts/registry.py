"""The table of layouts, and which of them a source has."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from ctatlas.atlas.add.found import Ask, Listing
from ctatlas.atlas.add.layouts.reading import refuse_packed
from ctatlas.errors import ScanError

# In the order in which they are tried when nobody says which; the last one takes any readable folder or file.
LAYOUTS = {
    "csv": "ctatlas.atlas.add.layouts.csv_table",
    "datalist": "ctatlas.atlas.add.layouts.datalist",
    "nnunet": "ctatlas.atlas.add.layouts.nnunet",
    "msd": "ctatlas.atlas.add.layouts.msd",
    "pipeline": "ctatlas.atlas.add.layouts.pipeline",
    "abdomenatlas": "ctatlas.atlas.add.layouts.abdomenatlas",
    "pairs": "ctatlas.atlas.add.layouts.pairs",
    "images": "ctatlas.atlas.add.layouts.images",
}


class Layout(Protocol):
    """A module that knows one layout."""

    def fits(self, source: Path) -> bool:
        """Tell by names alone whether a source is laid out so."""
        ...

    def listed(self, source: Path, ask: Ask) -> Listing:
        """List its cases, or refuse it with `ScanError` or `ModelError`."""
        ...


def listed(source: Path, ask: Ask, layout: str | None = None) -> Listing:
    """List the cases of a source.

    Parameters
    ----------
    source : Path
        A folder, a file or an archive.
    ask : Ask
    layout : str, optional
        A key of `LAYOUTS`; default: the first that fits.

    Raises
    ------
    ScanError
        When nothing lies there, it is not laid out as was said, or no case is in it.
    ModelError
        When a label set is not known.
    """
    if layout is not None and layout not in LAYOUTS:
        raise ScanError(f"--layout {layout}: is not known; known: {', '.join(LAYOUTS)}")
    try:
        if not source.exists():
            raise ScanError(f"{source}: there is no such file or folder; check the path.")
        refuse_packed(source)
        chosen = layout or next(name for name in LAYOUTS if _module(name).fits(source))
        listing = _module(chosen).listed(source, ask)
    except OSError as error:
        raise ScanError(f"{error.filename or source}: cannot be read: {error.strerror or error}.") from error
    if not listing.found and not listing.faults:
        raise ScanError(f"{source}: holds no case in the layout {chosen}; name another --layout: {', '.join(LAYOUTS)}")
    return listing


def _module(name: str) -> Layout:
    return cast("Layout", import_module(LAYOUTS[name]))
