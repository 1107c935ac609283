"""SEG and RTSTRUCT on real scanners' series, with all that is odd about them: valid, and the very masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctatlas.volume import Choices, Grid, Segmentation, read, read_segmentation
from ctatlas.volume.formats.dicom.derived import Algorithm
from ctatlas.volume.formats.dicom.slices import masks_on_slices
from ctatlas.volume.formats.dicom_seg.write import write_dicom_seg
from ctatlas.volume.formats.rtstruct.write import write_rtstruct
from tests.volume.formats.dicom.oracles import dciodvfy_errors

MODEL = Algorithm("test/model", "1.2")
AS_THEY_ARE = [
    "dcmqi_ct_3slice",
    "dcmqi_23x38x3/image",
    "dcmqi_23x38x3/multiframe",
    "dcmqi_24x38x3/image",
    "dcmqi_24x38x3/multiframe",
    "philips_study_mixed/S2010",
    "rt_utils_oblique",
    "../dicomdir",
]
MENDED = [
    "ge_missing_slice",
    "ge_tilt_variable_spacing",
    "philips_tilt_minus18",
    "siemens_tilt_missing_slice",
    "siemens_tilt_no_tag",
]


def shapes(grid: Grid) -> Segmentation:
    """Return a ball, the same with a hole along it, and nothing."""
    i, j, k = ((index - (n - 1) / 2) / n for index, n in zip(np.indices(grid.shape), grid.shape, strict=True))
    ball = i**2 + j**2 + k**2 < 0.12
    masks = {"liver": ball, "kidney_left": ball & (i**2 + j**2 > 0.03), "spleen": ball & False}
    return Segmentation.from_masks(grid, masks)


@pytest.mark.parametrize(
    ("name", "repair"), [*((name, False) for name in AS_THEY_ARE), *((name, True) for name in MENDED)]
)
def test_objects_are_valid_and_hold_the_masks(shared_data: Path, tmp_path: Path, name: str, repair: bool) -> None:  # noqa: FBT001
    source = shared_data / "fixtures" / "dicom" / "series" / name
    scan = read(source, Choices(repair=repair))
    assert bool(scan.facts.repairs) == repair
    drawn = shapes(scan.grid)
    write_dicom_seg(drawn, scan, source, tmp_path / "seg.dcm", algorithm=MODEL)
    write_rtstruct(drawn, scan, source, tmp_path / "rt.dcm", algorithm=MODEL)
    told = dict(masks_on_slices(drawn, scan.facts))
    for path in (tmp_path / "seg.dcm", tmp_path / "rt.dcm"):
        assert dciodvfy_errors(path) == []
        found = read_segmentation(path, scan=scan)
        back = dict(masks_on_slices(found, scan.facts))
        for structure, mask in told.items():
            if not repair:
                assert np.array_equal(found.mask(structure), drawn.mask(structure))
            assert (back[structure] != mask).sum() <= 0.03 * mask.sum()  # what leans goes there and back by the nearest
