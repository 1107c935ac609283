"""What a person gets for one scan: a folder of masks, and beside them what was asked for."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from ctatlas.measure.statistics import Statistics, statistics
from ctatlas.results.objects import DICOM_SEG, RTSTRUCT, SEG_NRRD, Origin, write_objects
from ctatlas.volume import Segmentation, whole_file, write, write_array_uint8, write_labels

if TYPE_CHECKING:
    import numpy as np

    from ctatlas.anatomy_rules import Finding
    from ctatlas.inference import NetworkMaps
    from ctatlas.results.naming import Naming
    from ctatlas.volume import Volume

DISAGREEMENT = "disagreement.nii.gz"
MEMBERS = "models"
NOTICE = "Not for clinical use."


@dataclass(frozen=True, slots=True)
class Extras:
    """What to write beside the masks."""

    combined: bool = False
    statistics: bool = False
    preview: bool = False
    probabilities: bool = False
    entropy: bool = False
    disagreement: bool = False
    members: bool = False
    dicom_seg: bool = False
    rtstruct: bool = False
    seg_nrrd: bool = False
    seg_type: Literal["binary", "labelmap"] = "binary"

    @property
    def needs_images(self) -> bool:
        """Whether something of it refers to the images of a DICOM series."""
        return self.dicom_seg or self.rtstruct


@dataclass(frozen=True, slots=True)
class Found:
    """What the main job gives for one scan.

    Attributes
    ----------
    segmentation : Segmentation
        On the scan's grid, under canonical names.
    probabilities : mapping of str to (i, j, k) uint8
    entropy : (i, j, k) uint8 or None
    network : NetworkMaps or None
        On the network's grid, axes in RAS order; None unless asked for, and where there is nothing.
    findings : tuple of Finding
        What the anatomical rules changed.
    why_nothing : str
        Empty, or what the scan shows instead of a torso.
    disagreement : (i, j, k) uint8 or None
        Where several models differ.
    members : mapping of str to Found
        What each of several models finds by itself, by the name on its card.
    rib_repair : mapping of str to object
        What the repair of ribs and vertebrae tells (`repair_report`); empty where none was asked for.
    """

    segmentation: Segmentation
    probabilities: Mapping[str, np.ndarray] = field(default_factory=dict)
    entropy: np.ndarray | None = None
    network: NetworkMaps | None = None
    findings: tuple[Finding, ...] = ()
    why_nothing: str = ""
    disagreement: np.ndarray | None = None
    members: Mapping[str, Found] = field(default_factory=dict)
    rib_repair: Mapping[str, object] = field(default_factory=dict)


def expected_files(
    naming: Naming, extras: Extras, classes: Sequence[str], members: Mapping[str, Naming] = MappingProxyType({})
) -> tuple[str, ...]:
    """Name every file that `write_results` will make, relative to its folder.

    `classes` give probabilities; `members` are what each of several models gives, where that is kept.
    """
    of_each = {
        "combined": ("combined_labels.nii.gz", "labels.json"),
        "statistics": ("statistics.json", "statistics.csv"),
        "preview": ("preview.png",),
        "probabilities": tuple(f"probabilities/{name}.nii.gz" for name in classes),
        "entropy": ("entropy.nii.gz",),
        "disagreement": (DISAGREEMENT,),
        "dicom_seg": (DICOM_SEG,),
        "rtstruct": (RTSTRUCT,),
        "seg_nrrd": (SEG_NRRD,),
    }
    masks = [f"segmentations/{name}.nii.gz" for name in naming.file_names.values()]
    for member, theirs in members.items():
        masks += [f"{MEMBERS}/{member}/segmentations/{name}.nii.gz" for name in theirs.file_names.values()]
    return (*masks, *(name for extra, names in of_each.items() if getattr(extras, extra) for name in names))


def expected_bytes(files: Sequence[str], n_voxels: int) -> int:
    """Estimate what the files will take on disk.

    Notes
    -----
    Source: measured on three scans of 0.8 to 3 mm; a mask takes 1/60 to 1/900 of a byte a voxel; in a DICOM SEG, which
    is not compressed, a bit for each voxel of the slices it is on.
    """
    n_masks = sum(name.startswith("segmentations/") for name in files)
    per_voxel = {
        "segmentations": 1 / 100,
        "probabilities": 1 / 20,
        "combined_labels.nii.gz": 1 / 20,
        "entropy.nii.gz": 1 / 4,
        DISAGREEMENT: 1 / 8,
        MEMBERS: 1 / 100,
        DICOM_SEG: n_masks / 32,
        RTSTRUCT: n_masks / 256,
        SEG_NRRD: 1 / 20,
    }
    return sum(
        int(n_voxels * per_voxel.get(name.split("/")[0], 0)) + (500_000 if name == "preview.png" else 2_000)
        for name in files
    )


def write_results(
    folder: Path, scan: Volume, found: Found, *, naming: Naming, extras: Extras, origin: Origin
) -> dict[str, object]:
    """Write one scan's results into an existing folder.

    Returns
    -------
    dict
        A summary in words of JSON: `structures` (name -> statistics), `findings` of the rules, `why_nothing`, and
        what reading took: `repairs`, `notes`.

    Raises
    ------
    OutputError
        When the folder can't be written to.
    """
    names = naming.file_names
    table = statistics(found.segmentation, scan)
    summary: dict[str, object] = {
        "structures": {names[row.structure]: _facts(row) for row in table},
        "findings": [_rounded(asdict(finding)) for finding in found.findings],
        "why_nothing": found.why_nothing,
        "repairs": list(scan.facts.repairs),
        "notes": list(scan.facts.notes),
        **({"rib_repair": dict(found.rib_repair)} if found.rib_repair else {}),
    }
    write(found.segmentation.rename(names), folder / "segmentations")
    if extras.combined:
        _write_combined(folder, found.segmentation, naming, table)
    if extras.statistics:
        _write_json(folder / "statistics.json", {"notice": NOTICE, **summary})
        _write_csv(folder / "statistics.csv", table, names)
    if extras.preview:
        from ctatlas.results.preview import preview

        _write_bytes(folder / "preview.png", preview(scan, found.segmentation, title=scan.facts.source))
    if extras.probabilities:
        (folder / "probabilities").mkdir()
        for name, values in found.probabilities.items():
            write_array_uint8(values, scan.grid, folder / "probabilities" / f"{name}.nii.gz")
    write_objects(folder, found.segmentation.rename(names), scan, extras, origin)
    if found.entropy is not None:
        write_array_uint8(found.entropy, scan.grid, folder / "entropy.nii.gz")
    if found.disagreement is not None:
        write_array_uint8(found.disagreement, scan.grid, folder / DISAGREEMENT)
    for member, theirs in found.members.items():
        place = folder / MEMBERS / member
        place.mkdir(parents=True)
        write(
            theirs.segmentation.rename({name: names[name] for name in theirs.segmentation.names}),
            place / "segmentations",
        )
    return summary


def _rounded(facts: dict[str, object]) -> dict[str, object]:
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in facts.items()}


def _facts(row: Statistics) -> dict[str, object]:
    return {
        "status": row.status,
        "volume_ml": round(row.volume_ml, 3),
        "mean_hu": None if row.mean_hu is None else round(row.mean_hu, 2),
        "touches_border": row.touches_border,
        "cut_at": list(row.cut_at),
        "n_voxels": row.n_voxels,
    }


def _write_combined(folder: Path, segmentation: Segmentation, naming: Naming, table: Sequence[Statistics]) -> None:
    """Write one label map; where structures overlap the smaller one shows, so that a whole does not hide its parts."""
    large_to_small = sorted(table, key=lambda row: -row.n_voxels)
    ids = {row.structure: naming.ids[row.structure] for row in large_to_small}
    write_labels(segmentation.combined(ids), segmentation.grid, folder / "combined_labels.nii.gz")
    by_id = sorted((number, naming.file_names[name]) for name, number in naming.ids.items())
    _write_json(folder / "labels.json", {str(number): name for number, name in by_id})


def _write_csv(path: Path, rows: Sequence[Statistics], names: Mapping[str, str]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    columns = ["status", "volume_ml", "mean_hu", "touches_border", "cut_at", "n_voxels"]
    table.writerow(["structure", *columns])
    for row in rows:
        facts = _facts(row)
        table.writerow([names[row.structure], *(_cell(facts[column]) for column in columns)])
    _write_bytes(path, text.getvalue().encode())


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(value) if isinstance(value, list) else value


def _write_json(path: Path, content: object) -> None:
    _write_bytes(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def _write_bytes(path: Path, content: bytes) -> None:
    with whole_file(path) as file:
        file.write(content)
