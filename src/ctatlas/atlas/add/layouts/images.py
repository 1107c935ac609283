"""Scans in any readable format: a file, an archive, or a folder of them at any depth; no labels."""

from __future__ import annotations

from pathlib import Path

from ctatlas.atlas.add.found import Ask, Found, Listing, printable
from ctatlas.volume import safe_name, scans_in

_UNNAMED = "scans"  # a dataset whose folder may be called after a patient


def fits(source: Path) -> bool:
    """Tell that anything may hold scans."""
    return source.exists()


def listed(source: Path, ask: Ask) -> Listing:
    """List the scans; masks beside them are passed over."""
    scans = scans_in(source, ask.choices, surely=ask.is_known)
    dataset = ask.dataset or _UNNAMED
    folder = safe_name(source.resolve().name) if ask.dataset is None and source.is_dir() else ""
    found = []
    for scan in scans:
        one = Found(printable(scan.case), dataset, scan.case, scan, split=ask.split)
        if folder and not one.may_tell_who:
            one = Found(one.name, folder, one.case, scan, split=ask.split)
        found.append(one)
    return Listing("images", tuple(found))
