"""What 3D Slicer opens: a scene of the scan, its masks, its attention maps, and a point on each hot spot.

Source: the attributes are those that Slicer 5's own scene and markups writers give, as far as their defaults don't do.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from xml.etree import ElementTree as ET

from ctatlas.atlas.records import HotSpot

_SLICES = ("Red", "Yellow", "Green")  # axial, sagittal, coronal
_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
# Abdomen window: 400 HU around 40 HU
_WINDOW = {"autoWindowLevel": "0", "window": "400", "level": "40", "colorNodeID": "vtkMRMLColorTableNodeGrey"}
# Attention is 0 to 255; what is 0 stays invisible
_HEAT = {
    "autoWindowLevel": "0",
    "window": "255",
    "level": "127.5",
    "applyThreshold": "1",
    "lowerThreshold": "1",
    "upperThreshold": "255",
    "colorNodeID": "vtkMRMLColorTableNodeFileColdToHotRainbow.txt",
}


def scene(title: str, ct: str, segmentation: str, attention: Sequence[str] = (), hot_spots: str = "") -> bytes:
    """Return a `.mrml` scene.

    Parameters
    ----------
    title : str
        Of the scan and its masks in Slicer's lists.
    ct, segmentation : str
        Their files, relative to the scene.
    attention : sequence of str
        Files of attention maps, named by their structures; the first lies over the scan at first.
    hot_spots : str, optional
        A file of points.
    """
    made = _Scene()
    scan = made.volume(f"{title} CT", ct, _WINDOW)
    maps = [made.volume(f"attention: {_stem(file)}", file, _HEAT) for file in attention]
    references = {"referenceImageGeometryRef": scan}
    made.stored("Segmentation", f"{title} masks", segmentation, {"Opacity2DFill": "0.3"}, references)
    if hot_spots:
        made.stored("MarkupsFiducial", "hot spots", hot_spots, {"pointLabelsVisibility": "true"})
    shown = {"backgroundVolume": scan} | ({"foregroundVolume": maps[0]} if maps else {})
    for name in _SLICES:
        words = {"layoutName": name, "singletonTag": name, "foregroundOpacity": "0.4"}
        made.node("SliceComposite", f"vtkMRMLSliceCompositeNode{name}", "", words, shown)
    made.node("Selection", "vtkMRMLSelectionNodeSingleton", "", {"singletonTag": "Singleton"}, {"ActiveVolume": scan})
    return made.written()


def points(spots: Sequence[HotSpot]) -> bytes:
    """Return a `.mrk.json` file with a point in the middle of each hot spot, in the patient's RAS."""
    controls = [
        {
            "id": str(rank),
            "label": f"{rank} {spot.structure}",
            "description": spot.reason,
            "position": [float(f"{mm:.3f}") for mm in spot.center_mm],
            "positionStatus": "defined",
            "locked": True,
        }
        for rank, spot in enumerate(spots, start=1)
    ]
    markups = {"type": "Fiducial", "coordinateSystem": "RAS", "coordinateUnits": "mm", "controlPoints": controls}
    return (json.dumps({"@schema": _SCHEMA, "markups": [markups]}, indent=1) + "\n").encode()


@dataclass
class _Scene:
    """Nodes as they are made."""

    root: ET.Element = field(default_factory=lambda: ET.Element("MRML", version="Slicer5", userTags=""))
    n: int = 0

    def volume(self, name: str, file: str, display: dict[str, str]) -> str:
        """Add a scan or a map, and return its id."""
        self.n += 1
        display_id = f"vtkMRMLScalarVolumeDisplayNode{self.n}"
        self.node("VolumeDisplay", display_id, "", display)
        storage_id = f"vtkMRMLVolumeArchetypeStorageNode{self.n}"
        self.node("VolumeArchetypeStorage", storage_id, "", {"fileName": file, "centerImage": "0"})
        references = {"display": display_id, "storage": storage_id}
        return self.node("Volume", f"vtkMRMLScalarVolumeNode{self.n}", name, {}, references)

    def stored(
        self, kind: str, name: str, file: str, display: dict[str, str], references: dict[str, str] | None = None
    ) -> None:
        """Add something with a file and a display of its own."""
        storage, shown = {"MarkupsFiducial": ("MarkupsJsonStorage", "MarkupsDisplay")}.get(
            kind, (f"{kind}Storage", f"{kind}Display")
        )
        ids = {"display": f"vtkMRML{shown}Node1", "storage": f"vtkMRML{storage}Node1"}
        self.node(shown, ids["display"], "", display)
        self.node(storage, ids["storage"], "", {"fileName": file})
        self.node(kind, f"vtkMRML{kind}Node1", name, {}, ids | (references or {}))

    def node(
        self, kind: str, identity: str, name: str, words: dict[str, str], references: dict[str, str] | None = None
    ) -> str:
        """Add any node, and return its id."""
        said = {"id": identity, "name": name or kind, **words}
        if references:
            said["references"] = "".join(f"{role}:{other};" for role, other in references.items())
        ET.SubElement(self.root, kind, said)
        return identity

    def written(self) -> bytes:
        """Return the scene as XML."""
        ET.indent(self.root, " ")
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(self.root, encoding="unicode")}\n'.encode()


def _stem(file: str) -> str:
    return PurePosixPath(file).name.partition(".")[0]
