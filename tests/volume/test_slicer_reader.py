"""3D Slicer's own reader, where its wheel `slicer-core` is installed, puts our masks where we do."""

from pathlib import Path

import numpy as np
import pytest

from ctatlas.anatomy import structures
from ctatlas.volume import Grid, Segmentation, write, write_mask

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


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (1, -1, -1)])
def test_a_segmentation_opens_in_slicer_with_names_colours_and_every_voxel(
    tmp_path: Path, signs: tuple[int, int, int]
) -> None:
    rng = np.random.default_rng(5)
    affine = np.diag([0.8 * signs[0], 0.9 * signs[1], 2.5 * signs[2], 1.0])
    affine[:3, 3] = (-20.0, 31.0, -400.0)
    grid = Grid((11, 9, 7), affine)
    masks = {name: rng.random(grid.shape) < 0.4 for name in ("liver", "kidney_left", "liver_tumor")}  # they overlap
    masks["spleen"] = np.zeros(grid.shape, bool)
    write(Segmentation.from_masks(grid, masks), tmp_path / "all.seg.nrrd")
    opened = opened_in_slicer(tmp_path / "all.seg.nrrd")
    assert {name: [round(255 * part) for part in color] for name, (_, color) in opened.items()} == {
        name: list(structures()[name].color) for name in masks
    }
    for name, (places, _) in opened.items():
        ours = np.argwhere(masks[name]) @ affine[:3, :3].T + affine[:3, 3]
        assert {tuple(place) for place in np.round(places, 3)} == {tuple(place) for place in np.round(ours, 3)}


def opened_in_slicer(path: Path) -> dict[str, tuple[np.ndarray, tuple[float, ...]]]:
    """Return of each segment where its voxels lie, (n, 3) RAS mm, and its colour."""
    from vtk.util.numpy_support import vtk_to_numpy

    scene, storage = slicer.vtkMRMLScene(), slicer.vtkMRMLSegmentationStorageNode()
    node = slicer.vtkMRMLSegmentationNode()
    for each in (storage, node):
        scene.AddNode(each)
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    segmentation, found = node.GetSegmentation(), {}
    for number in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetSegment(segmentation.GetNthSegmentID(number))
        image = segment.GetRepresentation("Binary labelmap")
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        world = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
        voxels = np.zeros((0, 3))
        if image.GetNumberOfPoints():
            values = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions(), order="F")
            voxels = np.argwhere(values == segment.GetLabelValue()) + np.array(image.GetExtent()[::2])
        found[segment.GetName()] = (voxels @ world[:3, :3].T + world[:3, 3], segment.GetColor())
    return found
