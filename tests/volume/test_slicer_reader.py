"""3D Slicer's own reader, where its wheel `slicer-core` is installed, puts our masks where we do."""

from pathlib import Path

import numpy as np
import pytest

from ctatlas.volume import Grid, write_mask

slicer = pytest.importorskip("slicer_core", reason="pip install slicer-core (3D Slicer's reader) to run this")
vtk = pytest.importorskip("vtk", reason="comes with slicer-core")


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (1, -1, -1)])
def test_a_mask_opens_in_slicer_at_the_same_place(tmp_path: Path, signs: tuple[int, int, int]) -> None:
    affine = np.diag([0.8 * signs[0], 0.9 * signs[1], 2.5 * signs[2], 1.0])
    affine[:3, 3] = (-20.0, 31.0, -400.0)
    mask = np.zeros((11, 9, 7), dtype=bool, order="F")
    mask[2:5, 1:4, 3:6] = True
    write_mask(mask, Grid(mask.shape, affine), tmp_path / "liver.nii.gz")
    scene = slicer.vtkMRMLScene()
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    node = slicer.vtkMRMLLabelMapVolumeNode()
    for each in (storage, node):
        scene.AddNode(each)
    storage.SetFileName(str(tmp_path / "liver.nii.gz"))
    assert storage.ReadData(node)
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    found = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
    image = node.GetImageData()
    voxels = [image.GetScalarComponentAsDouble(*index, 0) for index in np.ndindex(image.GetDimensions())]
    values = np.array(voxels).reshape(image.GetDimensions()) > 0
    ours = np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]
    theirs = np.argwhere(values) @ found[:3, :3].T + found[:3, 3]
    np.testing.assert_allclose(np.sort(theirs, axis=0), np.sort(ours, axis=0), atol=1e-4)
