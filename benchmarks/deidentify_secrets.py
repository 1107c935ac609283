"""Count the secrets that tools leave: `python benchmarks/deidentify_secrets.py OUT.json [--others PYTHON]`.

Two legal CTs have a secret of their own in every text, name, date and UID attribute, one of those of a CT and one of
those of the whole DICOM dictionary: at the top and in nested sequences, in private blocks, overlay, curve, padding,
preamble and file meta information. A secret that is in the bytes of the file that a tool made, with the settings it
comes with, is left. Other tools run where they are installed: `pip install dicom-anonymizer dicognito deid` into an
environment of its own, whose Python `--others` names.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from pydicom import DataElement, Dataset, Sequence, dcmwrite
from pydicom.datadict import DicomDictionary, dictionary_VM, dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

import ctatlas
from ctatlas.volume.deidentify import Key, deidentify
from ctatlas.volume.deidentify.profile import definition

TEXTS = ("LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "AE")
PLANTED_VRS = (*TEXTS, "DA", "DT", "UI")
MADE_BYTES = 400  # a file that is more than a header
FIRST_DAY = date(1900, 1, 1)
NOT_PLANTED = {"SOPClassUID", "SpecificCharacterSet", "TransferSyntaxUID"}
IDENTIFYING = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientName", "PatientID")
PRIVATE_GROUPS = (0x0009, 0x0019, 0x00E1)
# What the tools are run by, in the environment of --others.
OTHERS = {
    "dicom-anonymizer": "from dicomanonymizer import anonymize_dicom_file as run\nrun(source, target)",
    "dicognito": "import sys, dicognito.__main__ as tool\n"
    "sys.argv = ['dicognito', source, '--output-directory', folder]\ntool.main(sys.argv[1:])",
    "deid": "from deid.dicom import get_identifiers, replace_identifiers\n"
    "found = get_identifiers([source])\n"
    "replace_identifiers([source], ids=found, output_folder=folder, remove_private=True, save=True)",
}


@dataclass
class Garden:
    """Make secrets that are legal values, and remember what kind each is and where."""

    kinds: dict[bytes, str] = field(default_factory=dict)

    def value(self, vr: str, where: str) -> str:
        """Return a new secret of a value representation."""
        n = len(self.kinds)
        day = f"{FIRST_DAY + timedelta(n):%Y%m%d}"
        text = {
            "DA": day,
            "DT": f"{day}101112.{n:06d}",
            "UI": f"1.2.826.0.1.3680043.9.7777.{n + 10_000}",
            "PN": f"Sekret^N{n:06d}",
            "UR": f"https://sekret.example/{n:06d}",
        }.get(vr, f"SEKRET{n:06d}")
        self.kinds[text.encode()] = f"{where}, {'text' if vr in TEXTS else {'UI': 'UID'}.get(vr, 'date')}"
        return text

    def plant(self, dataset: Dataset, tag: int, vr: str, where: str) -> None:
        """Put a secret under a tag."""
        dataset[tag] = DataElement(tag, vr, self.value(vr, where))

    def bytes_(self, where: str) -> bytes:
        """Return a secret of 12 bytes for what is no text."""
        return self.value("SH", where).encode()


def planted(garden: Garden, tags: Iterable[int]) -> Dataset:
    """Return a CT with a secret in each of some attributes that can hold one, and in all that no dictionary has."""
    dataset = Dataset()
    for tag in sorted({*tags, *(tag_for_keyword(keyword) or 0 for keyword in IDENTIFYING)}):
        vr = dictionary_VR(tag)
        if not 0x00080000 <= tag < 0xFFFA0000 or keyword_for_tag(tag) in NOT_PLANTED:
            continue
        if vr in PLANTED_VRS:
            garden.plant(dataset, tag, vr, "top")
        elif vr == "SQ":
            dataset[tag] = DataElement(tag, "SQ", Sequence([_item(garden, depth=2)]))
        elif vr == "AS" and dictionary_VM(tag) == "1":
            dataset[tag] = DataElement(tag, "AS", "041Y")
    _plant_around(dataset, garden)
    _make_an_image(dataset)
    _plant_meta(dataset, garden)
    return dataset


def _item(garden: Garden, depth: int) -> Dataset:
    item = Dataset()
    for tag, vr in ((0x00081155, "UI"), (0x00080104, "LO"), (0x00100010, "PN"), (0x00080020, "DA")):
        garden.plant(item, tag, vr, "nested")
    garden.plant(item, 0x00090010, "LO", "private")
    garden.plant(item, 0x00091001, "UT", "private")
    if depth > 1:
        item[0x0040A730] = DataElement(0x0040A730, "SQ", Sequence([_item(garden, depth - 1)]))
    return item


def _plant_around(dataset: Dataset, garden: Garden) -> None:
    for group in PRIVATE_GROUPS:
        garden.plant(dataset, group << 16 | 0x0010, "LO", "private")
        for element, vr in ((0x1001, "UT"), (0x1002, "PN"), (0x1003, "DA"), (0x1004, "UI")):
            garden.plant(dataset, group << 16 | element, vr, "private")
        dataset[group << 16 | 0x1005] = DataElement(group << 16 | 0x1005, "OB", garden.bytes_("private"))
    for tag in (0x50003000, 0x60003000, 0xFFFCFFFC):
        dataset[tag] = DataElement(tag, "OB" if tag >> 31 else "OW", garden.bytes_("around"))
    garden.plant(dataset, 0x60004000, "LT", "around")


def _make_an_image(dataset: Dataset) -> None:
    dataset.SOPClassUID, dataset.Modality, dataset.SpecificCharacterSet = CTImageStorage, "CT", "ISO_IR 100"
    dataset.ImageType, dataset.PhotometricInterpretation = ["ORIGINAL", "PRIMARY", "AXIAL"], "MONOCHROME2"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 3, 5, 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [-10.5, 3.25, 7], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [0.75, 0.5]
    dataset.PixelData = np.arange(15, dtype="<u2").tobytes()
    dataset["PixelData"].VR = "OW"


def _plant_meta(dataset: Dataset, garden: Garden) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.SourceApplicationEntityTitle = garden.value("AE", "around")
    meta.PrivateInformationCreatorUID = garden.value("UI", "around")
    meta.PrivateInformation = garden.bytes_("around")
    dataset.file_meta = meta
    dataset.preamble = garden.bytes_("around").ljust(128, b"\0")


def by_ctatlas(source: Path, folder: Path) -> str:
    """De-identify with ctatlas, and return its version."""
    deidentify(source, folder, Key(bytes(range(32))))
    return ctatlas.__version__


def by_another(name: str, python: Path, source: Path, folder: Path) -> str:
    """De-identify with another tool, and return its version, or what it says instead."""
    code = (
        f"source, folder, target = {str(source)!r}, {str(folder)!r}, {str(folder / 'out.dcm')!r}\n{OTHERS[name]}\n"
        f"import importlib.metadata\nprint('version', importlib.metadata.version({name!r}))"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, cwd=folder)
    versions = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("version ")]
    return versions[-1] if versions else f"failed: {(done.stderr.splitlines() or ['?'])[-1]}"


def left(folder: Path, garden: Garden) -> Counter[str]:
    """Count the secrets in what lies below a folder, by kind."""
    content = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return Counter(kind for secret, kind in garden.kinds.items() if secret in content)


def measured(tags: Iterable[int], others: Path) -> dict[str, object]:
    """Return how many secrets each tool leaves of a CT with some attributes."""
    garden = Garden()
    tools = {}
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary, "planted.dcm")
        dcmwrite(source, planted(garden, tags), enforce_file_format=True)
        n_planted = sum(left(Path(temporary), garden).values())
        for name in ("ctatlas", *OTHERS):
            folder = Path(temporary, name)
            folder.mkdir()
            version = by_ctatlas(source, folder) if name == "ctatlas" else by_another(name, others, source, folder)
            is_made = any(path.stat().st_size > MADE_BYTES for path in folder.rglob("*") if path.is_file())
            kinds = left(folder, garden)
            tools[name] = {"version": version, "left": sum(kinds.values()) if is_made else None, "of": dict(kinds)}
            print(
                f"{name} {version}" + (f": {sum(kinds.values())} of {n_planted} left {dict(kinds)}" if is_made else "")
            )
    return {"planted": n_planted, "kinds": Counter(garden.kinds.values()), "tools": tools}


def main(out: Path, others: Annotated[Path, typer.Option()] = Path(sys.executable)) -> None:
    """Write what each tool leaves as JSON, and print it."""
    attributes = {"of a CT": definition("ct"), "of the dictionary": DicomDictionary}
    record = {name: measured(tags, others) for name, tags in attributes.items()}
    out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
