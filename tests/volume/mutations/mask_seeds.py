"""Small valid segmentations of every format, and the CT that they were drawn on."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np

from ctatlas.volume import Segmentation, Volume, read
from ctatlas.volume.choices import MaskChoices
from ctatlas.volume.formats import seg_nrrd
from ctatlas.volume.formats.dicom.derived import Algorithm
from ctatlas.volume.formats.dicom_seg.write import write_dicom_seg
from ctatlas.volume.formats.rtstruct.write import write_rtstruct
from tests.volume.formats.dicom.phantom import Phantom
from tests.volume.mutations.seeds import SHAPE, Seed, affine, hounsfield, named, nrrd_header, squeezed, zipped

ALGORITHM = Algorithm("test/model", "1.2")
CUT = (1, 2, 3)  # where Slicer's box of voxels begins in the scan


@cache
def drawn_on() -> Volume:
    """Return the CT of the DICOM segmentations, undamaged."""
    with tempfile.TemporaryDirectory() as folder:
        return read(Phantom(n_slices=4, change=named).write(Path(folder)))


def mask_seeds() -> list[Seed]:
    return [*images(), *slicer(), *dicom_objects()]


def images() -> list[Seed]:
    """Return a label map and a folder of masks."""
    labels = (hounsfield() > 0).astype(np.uint8)
    image = nib.Nifti1Image(labels, affine()).to_bytes()
    names = b'{"1": "liver", "2": "spleen"}'
    folder = {"segmentations/liver.nii.gz": squeezed(image), "segmentations/spleen.nii.gz": squeezed(image)}
    tree = {"combined_labels.nii": image, "labels.json": names}
    return [
        Seed("mask-folder", "gzip", folder, task="masks"),
        Seed("label-map", "nifti", tree, "combined_labels.nii", "masks"),
        Seed("label-map-gz", "nifti", {"l.nii.gz": image, "labels.json": names}, "l.nii.gz", "masks", squeezed),
        Seed("masks-zip", "zip", {"masks.zip": zipped(folder, 0)}, "masks.zip", "masks"),
    ]


def slicer() -> list[Seed]:
    """Return segmentations of 3D Slicer: with overlaps, and cut to the box of their voxels."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.seg.nrrd")
        seg_nrrd.write(some_masks(drawn_on()), path, MaskChoices())
        layered = path.read_bytes()
    matrix = ";".join(f"{x:g}" for x in affine().ravel())
    extent = ";".join(f"0;{n - 1}" for n in SHAPE)
    more = (
        "Segment0_ID:=Segment_1\nSegment0_Name:=liver\nSegment0_LabelValue:=1\nSegment0_Layer:=0\n"
        "Segment0_Extent:=0 3 0 4 0 2\n"
        f"Segmentation_ConversionParameters:=A|1|b.&Reference image geometry|{matrix};{extent};|Image geometry.&\n"
    )
    header = nrrd_header("gzip", more, shape=(4, 5, 3), first=CUT).replace(b"int16", b"uint8")
    voxels = np.indices((4, 5, 3)).sum(0).astype(np.uint8) % 2
    cut = header + squeezed(voxels.tobytes("F"))
    return [
        Seed("seg-nrrd", "nrrd", {"x.seg.nrrd": layered}, "x.seg.nrrd", "masks"),
        Seed("seg-nrrd-cut", "nrrd", {"x.seg.nrrd": cut}, "x.seg.nrrd", "masks"),
    ]


def dicom_objects() -> list[Seed]:
    """Return SEG and RTSTRUCT, to be read with and without their CT."""
    with tempfile.TemporaryDirectory() as place:
        ct, path = Phantom(n_slices=4, change=named).write(Path(place, "ct")), Path(place, "masks.dcm")
        scan, found = drawn_on(), {}
        for kind in ("binary", "labelmap"):
            write_dicom_seg(some_masks(scan), scan, ct, path, algorithm=ALGORITHM, kind=kind)
            found[f"seg-{kind}"] = path.read_bytes()
        write_rtstruct(some_masks(scan), scan, ct, path, algorithm=ALGORITHM)
        found["rtstruct"] = path.read_bytes()
    drawn = [Seed(name, "dicom", {"masks.dcm": data}, "masks.dcm", "masks-on-scan") for name, data in found.items()]
    alone = [
        Seed(f"{name}-alone", "dicom", {"masks.dcm": data}, "masks.dcm", "masks")
        for name, data in found.items()
        if name != "rtstruct"
    ]
    return [*drawn, *alone]


def some_masks(scan: Volume) -> Segmentation:
    """Return a box with a hole, one that overlaps it, and one that is beside it."""
    i, j, k = np.indices(scan.grid.shape)
    liver = (i > 0) & (i < 5) & (j > 1) & (j < 7) & ((i != 2) | (j != 4))
    masks = {"liver": liver, "spleen": (i > 3) & (k > 0), "kidney_left": (j == 0) & (k < 2)}
    return Segmentation.from_masks(scan.grid, masks)
