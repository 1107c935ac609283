"""What an annotator changed: the masks that came back against those that were shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ctatlas.anatomy import holders
from ctatlas.atlas.assemble import combined
from ctatlas.atlas.layout import MASK
from ctatlas.atlas.revise import package
from ctatlas.atlas.revise.export import state_of
from ctatlas.atlas.revise.returned import Returned, files_with_masks, read_returned, stem
from ctatlas.atlas.sources import Sources
from ctatlas.errors import ScanError
from ctatlas.hashing import sha256_file
from ctatlas.volume import Segmentation, read_labels


def as_shown(path: Path, given_out: package.PackageRecord, now: Segmentation, sources: Sources) -> Segmentation:
    """Return the masks as the annotator got them: those of now, or where the atlas went on, the package's own."""
    if given_out.state == state_of(sources):
        return now.select(name for name in now.names if name in given_out.masks)
    masks = {}
    for name in given_out.masks:
        file = f"{package.SEGMENTATIONS}/{name}{MASK}"
        if (path / file).is_file() and sha256_file(path / file) == given_out.files.get(file):
            masks[name] = read_labels(path / file).labels != 0
        elif name in now.names:
            masks[name] = now.mask(name)
    return Segmentation.from_masks(sources.grid, masks)


def compared(
    path: Path, given_out: package.PackageRecord | None, before: Segmentation, sources: Sources
) -> tuple[dict[str, np.ndarray], set[str]]:
    """Return the masks that differ from what was shown, and the structures that were looked at.

    A file of a package that still is as it was is not read: its structures were looked at and left as they are.

    Raises
    ------
    ScanError
        When a file cannot be read, or two files say different things about a structure.
    """
    changed: dict[str, np.ndarray] = {}
    origin: dict[str, Path] = {}
    seen: set[str] = set()
    for file in files_with_masks(path):
        relative = file.relative_to(path).as_posix() if path.is_dir() else file.name
        if given_out and given_out.files.get(relative) == sha256_file(file):
            seen |= {stem(file)} & given_out.masks.keys()
            continue
        returned = read_returned(file, sources.grid, sources.label_set)
        seen |= set(returned.masks.names)
        for name, mask in _differing(returned, given_out, before, sources.ids):
            if name in changed and not np.array_equal(changed[name], mask):
                raise ScanError(f"{path}: {name} was changed both in {origin[name].name} and {file.name}; keep one")
            changed[name], origin[name] = mask, file
    return changed, seen


def _differing(
    returned: Returned, given_out: package.PackageRecord | None, before: Segmentation, ids: Mapping[str, int]
) -> Iterator[tuple[str, np.ndarray]]:
    if returned.is_label_map:
        yield from _repainted(returned, given_out, before, ids)
        return
    for name, mask in returned.masks.items():
        as_shown = given_out.masks.get(name) if given_out else None
        if as_shown is not None:
            same = package.shown(mask) == as_shown
        else:
            same = name in before.names and np.array_equal(mask, before.mask(name))
        if not same:
            yield name, mask


def _repainted(
    returned: Returned, given_out: package.PackageRecord | None, before: Segmentation, ids: Mapping[str, int]
) -> Iterator[tuple[str, np.ndarray]]:
    """Carry over to the masks what was changed in the label map made of them.

    The map shows no organ where its tumor is painted over it, so that only what differs from the map tells something.
    """
    labels = combined(before, {name: ids[name] for name in before.names})
    if given_out and package.shown(labels) != given_out.labels:
        raise ScanError(
            f"{returned.path.name}: the atlas's masks have changed since the package was made, and those it showed are "
            "gone; give single masks or the .seg.nrrd, or export the case again"
        )
    painted = returned.masks
    for name in painted.names:
        was, now = labels == ids[name], painted.mask(name)
        if np.array_equal(was, now):
            continue
        for inner in painted.names:  # repainted as something in it: it still is there
            if name in holders(inner, [name]):
                was &= ~painted.mask(inner)
        old = before.mask(name) if name in before.names else np.zeros_like(now)
        yield name, (old & ~was) | now
