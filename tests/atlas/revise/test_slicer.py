import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from ctatlas.atlas.records import HotSpot
from ctatlas.atlas.revise.slicer import points, scene
from ctatlas.volume import Segmentation, Volume, write, write_array_uint8, write_volume
from tests.atlas.by_hand import GRID, box

SPOT = HotSpot(
    structure="liver",
    lo=(2, 3, 4),
    hi=(5, 6, 7),
    center_mm=(-3.25, 12.5, -399.0),
    ml=1.5,
    score=2.0,
    reason="models disagree",
    minutes=2.5,
)


def test_every_reference_of_the_scene_is_to_a_node_of_it_and_every_file_is_relative() -> None:
    root = ET.fromstring(
        scene('a "b" <c> & d', "ct.nii.gz", "masks.seg.nrrd", ["attention/liver.nii.gz"], "h.mrk.json")
    )
    assert root.tag == "MRML"
    identities = [node.get("id") for node in root]
    assert len(set(identities)) == len(identities)
    for node in root:
        for reference in filter(None, (node.get("references") or "").split(";")):
            assert reference.partition(":")[2] in identities
    files = [node.get("fileName") for node in root if node.get("fileName")]
    assert sorted(map(str, files)) == ["attention/liver.nii.gz", "ct.nii.gz", "h.mrk.json", "masks.seg.nrrd"]
    assert [node.get("name") for node in root if node.tag == "Segmentation"] == ['a "b" <c> & d masks']


def test_points_lie_in_the_middle_of_the_hot_spots_in_ras() -> None:
    (markups,) = json.loads(points([SPOT]))["markups"]
    assert markups["coordinateSystem"] == "RAS"
    (point,) = markups["controlPoints"]
    assert (point["label"], point["description"]) == ("1 liver", "models disagree")
    assert point["position"] == [-3.25, 12.5, -399.0]


def test_slicer_opens_the_scene_with_everything_in_its_place(tmp_path: Path) -> None:
    slicer = pytest.importorskip("slicer_core", reason="pip install slicer-core (3D Slicer's reader) to run this")
    liver = box((2, 5), (3, 6), (4, 7))
    write_volume(Volume(np.zeros(GRID.shape, np.int16, order="F"), GRID), tmp_path / "ct.nii.gz")
    write(Segmentation.from_masks(GRID, {"liver": liver, "liver_tumor": box((3, 4))}), tmp_path / "masks.seg.nrrd")
    (tmp_path / "attention").mkdir()
    write_array_uint8(liver.astype(np.uint8) * np.uint8(200), GRID, tmp_path / "attention" / "liver.nii.gz")
    (tmp_path / "h.mrk.json").write_bytes(points([SPOT]))
    (tmp_path / "scene.mrml").write_bytes(
        scene("one", "ct.nii.gz", "masks.seg.nrrd", ["attention/liver.nii.gz"], "h.mrk.json")
    )
    opened = slicer.vtkMRMLScene()
    opened.RegisterNodeClass(slicer.vtkMRMLMarkupsJsonStorageNode())  # the program's module does that at its start
    opened.SetURL(str(tmp_path / "scene.mrml"))
    assert opened.Connect()
    ct, heat = (opened.GetFirstNodeByName(name) for name in ("one CT", "attention: liver"))
    for volume in (ct, heat):
        bounds = [0.0] * 6
        volume.GetBounds(bounds)
        half = np.abs(GRID.affine[:3, :3]).sum(axis=1) / 2
        np.testing.assert_allclose(bounds[::2], GRID.corners_mm.min(axis=0) - half, atol=0.01)
        np.testing.assert_allclose(bounds[1::2], GRID.corners_mm.max(axis=0) + half, atol=0.01)
    assert ct.GetDisplayNode().GetWindow() == 400
    assert heat.GetDisplayNode().GetApplyThreshold() == 1
    masks = opened.GetFirstNodeByName("one masks")
    segmentation = masks.GetSegmentation()
    names = [segmentation.GetSegment(segmentation.GetNthSegmentID(n)).GetName() for n in range(2)]
    assert names == ["liver", "liver_tumor"]
    bounds = [0.0] * 6
    segmentation.GetSegment("liver").GetBounds(bounds)
    world = GRID.world(np.argwhere(liver))
    half = np.abs(GRID.affine[:3, :3]).sum(axis=1) / 2
    np.testing.assert_allclose(bounds[::2], world.min(axis=0) - half, atol=0.5)
    np.testing.assert_allclose(bounds[1::2], world.max(axis=0) + half, atol=0.5)
    spots = opened.GetFirstNodeByName("hot spots")
    assert spots.GetNumberOfControlPoints() == 1
    position = [0.0] * 3
    spots.GetNthControlPointPositionWorld(0, position)
    np.testing.assert_allclose(position, SPOT.center_mm)
    red = opened.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert (red.GetBackgroundVolumeID(), red.GetForegroundVolumeID()) == (ct.GetID(), heat.GetID())
