"""Everything the mutations start from: valid inputs made here, and real ones where the development data are at hand."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.volume.mutations.mask_seeds import mask_seeds
from tests.volume.mutations.seeds import Seed, archives, dicom, metaimage, nifti, nrrd

AT_MOST_FIXTURE_BYTES = 200_000


@cache
def seeds(fixtures: Path | None = None) -> tuple[Seed, ...]:
    """Return scans and segmentations of every format."""
    made = (*nifti(), *nrrd(), *metaimage(), *dicom())
    packed = archives({seed.name: seed for seed in made})
    return (*made, *packed, *mask_seeds(), *(real(fixtures) if fixtures else ()))


def real(fixtures: Path) -> list[Seed]:
    """Return small files of scanners and other software."""
    found = []
    for path in sorted((fixtures / "dicom").rglob("*")):
        if not path.is_file() or path.stat().st_size > AT_MOST_FIXTURE_BYTES:
            continue
        group, task = path.relative_to(fixtures / "dicom").parts[0], "scan"
        if group in ("seg", "rtstruct"):
            task = "masks"
        if group in ("single", "encapsulated", "seg", "rtstruct"):
            found.append(
                Seed(f"{group}-{path.stem}", "dicom", {path.name: path.read_bytes()}, path.name, task, is_real=True)
            )
    for path in sorted((fixtures / "nrrd" / "pynrrd").glob("*")):
        if path.is_file() and path.suffix in (".nrrd", ".nhdr"):
            beside = {other.name: other.read_bytes() for other in path.parent.iterdir() if other.stem == path.stem}
            found.append(Seed(f"pynrrd-{path.name}", "nrrd", beside, path.name, is_real=True))
    return found
