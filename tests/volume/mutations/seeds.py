"""Small valid scans of every format that is read, made anew each time."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import pydicom
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from tests.volume.formats.dicom.enhanced import enhanced
from tests.volume.formats.dicom.phantom import Phantom, oblique

SHAPE = (9, 11, 7)
WHO = "Zzyzxname"  # the patient's name, wherever a format has room for one


@dataclass(frozen=True)
class Seed:
    """A valid input.

    Attributes
    ----------
    name : str
    kind : str
        Which fields it has: nifti, nrrd, metaimage, dicom, zip, tar, or raw where only bytes are known.
    files : mapping of str to bytes
        By their path in the input's folder.
    entry : str
        What is given to the reader: one of the files, or "" for the folder.
    task : str
        scan, masks, or masks-on-scan where the CT is given, too.
    packed : callable, optional
        What squeezes the content of `entry` into its file; the mutations get at the content.
    is_real : bool
        Made by others' software; some are refused even undamaged.
    """

    name: str
    kind: str
    files: Mapping[str, bytes]
    entry: str = ""
    task: str = "scan"
    packed: Callable[[bytes], bytes] | None = None
    is_real: bool = False


def hounsfield() -> np.ndarray:
    """Return what looks like a CT: air around, tissue within, every voxel another value."""
    i, j, k = np.indices(SHAPE)
    values = -1000 + i + SHAPE[0] * (j + SHAPE[1] * k)
    return np.asfortranarray(np.where((i > 1) & (j > 1), values + 1000, values), np.int16)


def affine() -> np.ndarray:
    """Return axes turned about the body's length by 90 degrees, steps all different, no shear."""
    return np.array([[0.0, -2.5, 0, 20], [1.5, 0, 0, -31.5], [0, 0, 3.0, -400], [0, 0, 0, 1]])


def nifti() -> list[Seed]:
    image = nib.Nifti1Image(hounsfield(), affine())
    image.set_qform(affine(), 1)
    image.header["descrip"] = WHO
    plain = image.to_bytes()
    scaled = nib.Nifti1Image(hounsfield().astype(np.float32), affine())
    swapped = nib.Nifti1Image(hounsfield().astype(">i2"), affine(), nib.Nifti1Header(endianness=">")).to_bytes()
    second = nib.Nifti2Image(hounsfield(), affine()).to_bytes()
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", WHO.encode()))
    return [
        Seed("nii", "nifti", {"ct.nii": plain}, "ct.nii"),
        Seed("nii-float", "nifti", {"ct.nii": scaled.to_bytes()}, "ct.nii"),
        Seed("nii-big-endian", "nifti", {"ct.nii": swapped}, "ct.nii"),
        Seed("nii-extension", "nifti", {"ct.nii": image.to_bytes()}, "ct.nii"),
        Seed("nifti2", "nifti2", {"ct.nii": second}, "ct.nii"),
        Seed("nii-gz", "nifti", {"ct.nii.gz": plain}, "ct.nii.gz", packed=squeezed),
    ]


def squeezed(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)


def nrrd_header(
    encoding: str, more: str = "", shape: tuple[int, int, int] = SHAPE, first: tuple[int, int, int] = (0, 0, 0)
) -> bytes:
    columns = [",".join(f"{x:g}" for x in column) for column in (np.diag([-1, -1, 1]) @ affine()[:3, :3]).T]
    origin = ",".join(f"{x:g}" for x in (affine() @ (*first, 1))[:3] * (-1, -1, 1))
    return (
        f"NRRD0005\n# of {WHO}\ntype: int16\ndimension: 3\nspace: left-posterior-superior\n"
        f"sizes: {' '.join(map(str, shape))}\nspace directions: {' '.join(f'({c})' for c in columns)}\n"
        f"kinds: domain domain domain\nendian: little\nencoding: {encoding}\nspace origin: ({origin})\n{more}\n"
    ).encode()


def nrrd() -> list[Seed]:
    voxels = hounsfield().tobytes("F")
    text = " ".join(map(str, hounsfield().ravel("F"))).encode()
    encoded = {"raw": voxels, "gzip": squeezed(voxels), "bzip2": bz2.compress(voxels), "ascii": text}
    attached = [
        Seed(f"nrrd-{name}", "nrrd", {"ct.nrrd": nrrd_header(name) + data}, "ct.nrrd") for name, data in encoded.items()
    ]
    detached = nrrd_header("raw", "data file: ct.raw\n")
    return [*attached, Seed("nhdr", "nrrd", {"ct.nhdr": detached, "ct.raw": voxels}, "ct.nhdr")]


def metaimage_header(data_file: str, more: str = "") -> bytes:
    turned = np.diag([-1, -1, 1]) @ affine()[:3, :3] / (1.5, 2.5, 3.0)
    return (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        f"TransformMatrix = {' '.join(f'{x:g}' for x in turned.T.ravel())}\n"
        f"Offset = {' '.join(f'{x:g}' for x in affine()[:3, 3] * (-1, -1, 1))}\nCenterOfRotation = 0 0 0\n"
        f"Comment = {WHO}\nAnatomicalOrientation = RAI\nElementSpacing = 1.5 2.5 3\n{more}"
        f"DimSize = {' '.join(map(str, SHAPE))}\nElementType = MET_SHORT\nElementDataFile = {data_file}\n"
    ).encode()


def metaimage() -> list[Seed]:
    voxels = hounsfield().tobytes("F")
    flat = zlib.compress(voxels)
    squeezed_header = metaimage_header("LOCAL", f"CompressedData = True\nCompressedDataSize = {len(flat)}\n")
    return [
        Seed("mha", "metaimage", {"ct.mha": metaimage_header("LOCAL") + voxels}, "ct.mha"),
        Seed("mha-zlib", "metaimage", {"ct.mha": squeezed_header + flat}, "ct.mha"),
        Seed("mhd", "metaimage", {"ct.mhd": metaimage_header("ct.raw"), "ct.raw": voxels}, "ct.mhd"),
    ]


class Wide(Phantom):
    """Slices large enough for JPEG 2000."""

    def hu(self, k: int) -> np.ndarray:
        return np.arange(35 * 33).reshape(35, 33) + k - 1000


def named(_: int, dataset: pydicom.Dataset) -> None:
    """Say whose a slice is, in several places."""
    dataset.PatientName, dataset.PatientID, dataset.StudyDate = f"{WHO}^Given", f"{WHO}77", "20200102"
    dataset.InstitutionName, dataset.BodyPartExamined = f"{WHO} Hospital", "ABDOMEN"
    dataset.add_new(0x00091001, "LO", WHO)


def dicom() -> list[Seed]:
    row, column = oblique()
    plain, wide = Phantom(n_slices=4, change=named), Wide(n_slices=3, change=named)
    oblique_one = Phantom(n_slices=4, row=row, column=column, change=named)
    found = [
        Seed("dicom", "dicom", series(plain)),
        Seed("dicom-oblique", "dicom", series(oblique_one)),
        Seed("enhanced", "dicom", {"ct.dcm": multi_frame(plain, (2, 0, 3, 1))}, "ct.dcm"),
        Seed("enhanced-oblique", "dicom", {"ct.dcm": multi_frame(oblique_one)}),
    ]
    for name, syntax in (
        ("implicit", ImplicitVRLittleEndian),
        ("big-endian", ExplicitVRBigEndian),
        ("deflated", DeflatedExplicitVRLittleEndian),
        ("rle", RLELossless),
        ("jpeg2000", JPEG2000Lossless),
        ("jpegls", JPEGLSLossless),
    ):
        found.append(Seed(f"dicom-{name}", "dicom", series(wide if name.startswith("jpeg") else plain, syntax)))
    return found


def series(phantom: Phantom, syntax: str = "") -> dict[str, bytes]:
    """Return the files of a series, in another transfer syntax if told."""
    files = {}
    for k in range(phantom.n_slices):
        dataset = phantom.slice(k)
        if syntax in (JPEG2000Lossless, JPEGLSLossless, RLELossless):
            dataset.compress(syntax, generate_instance_uid=False)
        elif syntax:
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
            if syntax == ExplicitVRBigEndian:
                dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()
        files[f"{k:03d}.dcm"] = stored(dataset)
    return files


def multi_frame(phantom: Phantom, order: tuple[int, ...] = (0, 1, 2, 3)) -> bytes:
    dataset = enhanced(phantom, order)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID("2.25.1234")
    return stored(dataset)


def stored(dataset: pydicom.Dataset) -> bytes:
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def archives(made: Mapping[str, Seed]) -> list[Seed]:
    trees = [
        {"study/" + name: data for name, data in made["dicom-rle"].files.items()},
        {"scan.nii": made["nii"].files["ct.nii"], "readme.txt": b"a scan"},
    ]
    found = []
    for number, tree in enumerate(trees):
        kept, tight, ball = zipped(tree, zipfile.ZIP_STORED), zipped(tree, zipfile.ZIP_DEFLATED), tarred(tree)
        found += [
            Seed(f"zip-{number}", "zip", {"ct.zip": kept}, "ct.zip"),
            Seed(f"zip-deflated-{number}", "zip", {"ct.zip": tight}, "ct.zip"),
            Seed(f"tar-{number}", "tar", {"ct.tar": ball}, "ct.tar"),
            Seed(f"tar-gz-{number}", "tar", {"ct.tar.gz": ball}, "ct.tar.gz", packed=squeezed),
            Seed(f"tar-xz-{number}", "tar", {"ct.tar.xz": ball}, "ct.tar.xz", packed=lzma.compress),
            Seed(f"tar-bz2-{number}", "tar", {"ct.tar.bz2": ball}, "ct.tar.bz2", packed=bz2.compress),
        ]
    return found


def zipped(tree: Mapping[str, bytes], method: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in tree.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


def tarred(tree: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in tree.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()
