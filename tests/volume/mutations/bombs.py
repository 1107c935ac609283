"""Small files that claim to be, or unpack to, what no machine can hold; and such as reach out of their folder."""

from __future__ import annotations

import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np
import pydicom

from tests.volume.mutations.mask_seeds import mask_seeds
from tests.volume.mutations.seeds import (
    SHAPE,
    Seed,
    dicom,
    hounsfield,
    metaimage_header,
    nifti,
    nrrd_header,
    squeezed,
    stored,
    tarred,
    zipped,
)

GIB = 2**30
BLOCK = bytes(2**20)


def bombs() -> Iterator[Seed]:
    """Yield inputs that are to be refused, each within the limits of time and memory."""
    yield from nifti_bombs()
    yield from text_header_bombs()
    yield from dicom_bombs()
    yield from archive_bombs()
    yield from mask_bombs()


def claim(*shape: int, kind: int = 4, bits: int = 16) -> bytes:
    """Return a NIfTI-1 that claims a shape, and holds a few voxels."""
    content = bytearray(nifti()[0].files["ct.nii"])
    struct.pack_into("<8h", content, 40, len(shape), *shape, *[1] * (7 - len(shape)))
    struct.pack_into("<2h", content, 70, kind, bits)
    return bytes(content)


def flood(head: bytes, n_bytes: int) -> bytes:
    """Return a gzip file of a beginning and a flood of zeros."""
    check = zlib.crc32(head)
    for _ in range(n_bytes // len(BLOCK)):
        check = zlib.crc32(BLOCK, check)
    trailer = struct.pack("<II", check, (len(head) + n_bytes) % 2**32)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + deflated_flood(head, n_bytes) + trailer


def deflated_flood(head: bytes, n_bytes: int) -> bytes:
    """Return the same deflated: a block that ends in a full flush may be repeated as it is."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = squeeze.compress(head) + squeeze.flush(zlib.Z_FULL_FLUSH)
    block = squeeze.compress(BLOCK) + squeeze.flush(zlib.Z_FULL_FLUSH)
    return start + block * (n_bytes // len(BLOCK)) + squeeze.flush()


def nifti_bombs() -> Iterator[Seed]:
    for name, content in {
        "a-trillion-voxels": claim(10000, 10000, 10000),
        "more-than-int64": claim(32767, 32767, 32767, 32767, 32767, 32767, 32767),
        "three-gigabytes": claim(1000, 1000, 1500),
        "complex256": claim(1000, 1000, 100, kind=2048, bits=256),
    }.items():
        yield Seed(name, "raw", {"ct.nii": content}, "ct.nii")
        yield Seed(f"{name}-gz", "raw", {"ct.nii.gz": squeezed(content)}, "ct.nii.gz")
    zeros = flood(claim(*SHAPE), GIB)
    yield Seed("zeros-after-the-voxels", "raw", {"ct.nii.gz": zeros}, "ct.nii.gz")
    honest = flood(claim(1000, 1000, 300, kind=512, bits=16), GIB)  # of which float32 is made: the limit of memory
    yield Seed("honest-but-for-its-end", "raw", {"ct.nii.gz": honest}, "ct.nii.gz")
    yield Seed("zeros-for-a-header", "raw", {"ct.nii.gz": flood(b"", GIB)}, "ct.nii.gz")


def text_header_bombs() -> Iterator[Seed]:
    voxels = hounsfield().tobytes("F")
    sizes = " ".join(map(str, SHAPE)).encode()
    for name, text in {"trillion": b"10000 10000 10000", "wide": b"99999999999 1 1", "negative": b"-9 -11 7"}.items():
        yield Seed(f"nrrd-{name}", "raw", {"ct.nrrd": nrrd_header("raw").replace(sizes, text) + voxels}, "ct.nrrd")
        yield Seed(f"mha-{name}", "raw", {"ct.mha": metaimage_header("LOCAL").replace(sizes, text) + voxels}, "ct.mha")
    yield Seed("nrrd-flood", "raw", {"ct.nrrd": nrrd_header("gzip") + flood(b"", GIB)}, "ct.nrrd")
    million = nrrd_header("gzip").replace(sizes, b"1000 1000 500")
    yield Seed("nrrd-honest", "raw", {"ct.nrrd": million + flood(b"", GIB)}, "ct.nrrd")
    endless = b"NRRD0005\n" + b"# no end\n" * 300_000
    yield Seed("nrrd-endless-header", "raw", {"ct.nrrd": endless}, "ct.nrrd")
    yield Seed("mha-endless-line", "raw", {"ct.mha": b"ObjectType = " + b"x" * 3_000_000}, "ct.mha")
    for name, target in {
        "up": "../../outside.raw",
        "root": "/etc/passwd",
        "many": "LIST",
        "pattern": "%d.raw 1 9 1",
    }.items():
        yield Seed(f"nhdr-{name}", "raw", {"ct.nhdr": nrrd_header("raw", f"data file: {target}\n")}, "ct.nhdr")
        yield Seed(f"mhd-{name}", "raw", {"ct.mhd": metaimage_header(target)}, "ct.mhd")


def dicom_bombs() -> Iterator[Seed]:
    series = next(seed for seed in dicom() if seed.name == "dicom-deflated")
    first = series.files["000.dcm"]
    # the data set starts behind the meta group, whose length stands in its first element
    start = 144 + int.from_bytes(first[140:144], "little")
    content = zlib.decompress(first[start:], -15) + struct.pack("<HH2s2xI", 0x7FE1, 0x10, b"OB", 2**31 - 2)
    packed = deflated_flood(content, 3 * GIB // 2)
    yield Seed("deflated", "raw", dict.fromkeys(("0.dcm", "1.dcm"), first[:start] + packed))
    plain = next(seed for seed in dicom() if seed.name == "dicom").files
    rows = struct.pack("<HH2sH", 0x28, 0x10, b"US", 2)
    for name, size in {"rows-65535": 65535, "rows-0": 0}.items():
        files = {}
        for file, data in plain.items():
            at = data.index(rows) + 8
            files[file] = data[:at] + struct.pack("<H", size) + data[at + 2 :]
        yield Seed(f"dicom-{name}", "raw", files)
    frames = struct.pack("<HH2sH", 0x28, 0x08, b"IS", 10) + b"1000000000"
    yield Seed("a-billion-frames", "raw", {file: _before(data, rows, frames) for file, data in plain.items()})


def _before(data: bytes, mark: bytes, more: bytes) -> bytes:
    at = data.index(mark)
    return data[:at] + more + data[at:]


def archive_bombs() -> Iterator[Seed]:
    zeros = io.BytesIO()
    with (
        zipfile.ZipFile(zeros, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("ct.nii", "w") as file,
    ):
        file.write(claim(*SHAPE))
        for _ in range(128):
            file.write(BLOCK)
    yield Seed("zip-of-zeros", "raw", {"ct.zip": zeros.getvalue()}, "ct.zip")
    inner = {"a.zip": zipped({"b.zip": zipped({"c.zip": b"PK\5\6" + bytes(18)}, 0)}, 0)}
    yield Seed("zip-in-zip-in-zip", "raw", {"ct.zip": zipped(inner, 0)}, "ct.zip")
    many = zipped({f"{n}.dcm": b"" for n in range(60_000)}, 0)
    yield Seed("sixty-thousand-files", "raw", {"ct.zip": many}, "ct.zip")
    scan = nifti()[0].files["ct.nii"]
    for name in ("../outside.nii", "/tmp/outside.nii", "a/../../outside.nii", "..\\outside.nii", "C:\\outside.nii"):
        yield Seed(f"zip {name}", "raw", {"ct.zip": zipped({name: scan}, 0)}, "ct.zip")
        yield Seed(f"tar {name}", "raw", {"ct.tar": tarred({name: scan})}, "ct.tar")
    for name, kind in {"symlink": tarfile.SYMTYPE, "hard-link": tarfile.LNKTYPE, "device": tarfile.CHRTYPE}.items():
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as archive:
            entry = tarfile.TarInfo("ct.nii")
            entry.type, entry.linkname = kind, "../../outside"
            archive.addfile(entry)
            below = tarfile.TarInfo("ct.nii/outside")
            archive.addfile(below, io.BytesIO(b""))
        yield Seed(f"tar-{name}", "raw", {"ct.tar": file.getvalue()}, "ct.tar")
    packed = lzma.compress(tarred({"ct.nii": scan})[:512], preset=0) + lzma.compress(BLOCK, preset=0) * 1024
    yield Seed("tar-xz-of-zeros", "raw", {"ct.tar.xz": packed}, "ct.tar.xz")


def mask_bombs() -> Iterator[Seed]:
    huge = claim(10000, 10000, 10000)
    names = b'{"1": "liver"}'
    yield Seed("labels-trillion", "raw", {"l.nii": huge, "labels.json": names}, "l.nii", "masks")
    flooded = flood(claim(*SHAPE), GIB)
    yield Seed("labels-flood", "raw", {"l.nii.gz": flooded, "labels.json": names}, "l.nii.gz", "masks")
    small = {"l.nii": nifti()[0].files["ct.nii"], "labels.json": b'{"a": ' * 100_000}
    yield Seed("labels-deep-names", "raw", small, "l.nii", "masks")
    known = {seed.name: seed for seed in mask_seeds()}
    drawn = known["seg-nrrd"].files["x.seg.nrrd"]
    layers = drawn.replace(b"sizes: 2 7 9 4", b"sizes: 4096 1000 1000 4")
    yield Seed("a-million-layers", "raw", {"x.seg.nrrd": layers}, "x.seg.nrrd", "masks")
    for name, data in known.items():
        if name.endswith("-alone"):
            tall = _changed(data.files["masks.dcm"], Rows=65535, Columns=65535)
            yield Seed(f"{name}-tall", "raw", {"masks.dcm": tall}, "masks.dcm", "masks")
            many = _changed(data.files["masks.dcm"], NumberOfFrames=2**31 - 1)
            yield Seed(f"{name}-many", "raw", {"masks.dcm": many}, "masks.dcm", "masks")
    line = np.tile([[-51.0, -87.5], [-45.0, -80.0]], (200_000, 1))
    zigzag = np.insert(line, 2, -310.25, axis=1).ravel()
    contours = pydicom.dcmread(io.BytesIO(known["rtstruct"].files["masks.dcm"]))
    contours.ROIContourSequence[0].ContourSequence[0].ContourData = [f"{x:g}" for x in zigzag]
    contours.ROIContourSequence[0].ContourSequence[0].NumberOfContourPoints = len(line)
    del contours.ROIContourSequence[0].ContourSequence[0].ContourImageSequence
    contours.ROIContourSequence[0].ContourSequence[1].ContourData = ["1e300", "0", "0"] * 3
    yield Seed("a-line-that-never-ends", "raw", {"masks.dcm": stored(contours)}, "masks.dcm", "masks-on-scan")


def _changed(content: bytes, **values: int) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(content))
    for name, value in values.items():
        setattr(dataset, name, value)
    return stored(dataset)
