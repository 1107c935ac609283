"""`.seg.nrrd`, the segmentations of 3D Slicer, in and out: layers of labels with names, colours and terminology.

Source: reference/volumes.md §5, measured on files of Slicer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctatlas.atomic import whole_file
from ctatlas.errors import ScanError
from ctatlas.volume.choices import MaskChoices
from ctatlas.volume.formats import gzip_stream
from ctatlas.volume.formats.dicom.codes import code_of, color_of
from ctatlas.volume.formats.nrrd import header_text, opened_nrrd
from ctatlas.volume.formats.nrrd_header import NrrdHeader
from ctatlas.volume.formats.voxels import check_end, read_layers, refuse_shear
from ctatlas.volume.grid import Grid
from ctatlas.volume.limits import AT_MOST_VOXELS
from ctatlas.volume.segmentation import Box, Place, Segmentation, box_of

if TYPE_CHECKING:
    from ctatlas.volume.formats.dicom.codes import Code

_FIELD = re.compile(r"Segment(\d{1,6})_(ID|Name|LabelValue|Layer)")
_AT_MOST_LAYERS = 4096
_CONTEXT = "Segmentation category and type - DICOM master list"
_REGIONS = "Anatomic codes - DICOM master list"
_NOTHING = "^^"
_ON_VOXEL = 0.01  # voxels by which a part of a scan may lie beside the scan's own


@dataclass(frozen=True, slots=True)
class _Segment:
    """Where one structure is kept."""

    name: str
    layer: int
    value: int


def read(path: Path, choices: MaskChoices) -> Segmentation:
    """Read every segment under its name; of two with one name the second gets a number.

    What was cut off around the segments is put back: on the grid that the choices name, else on that of the scan which
    the file describes.

    Raises
    ------
    ScanError
        When the file is damaged, does not say where it lies, or a segment's layer is not there.
    """
    with opened_nrrd(path) as (header, stream):
        segments = _segments(header, path.name)
        image = header.numbers.image
        if image.phases.n > _AT_MOST_LAYERS:
            raise ScanError(f"{path.name}: claims {image.phases.n} layers; expected at most {_AT_MOST_LAYERS}.")
        layers = read_layers(stream, image, path.name)
        check_end(stream, path.name, 0)
    found = _named(image.grid, layers, segments)
    whole = choices.grid or _whole_grid(header.fields, image.grid)
    return found if whole is None else _restored(found, whole, path.name)


def write(segmentation: Segmentation, path: Path, choices: MaskChoices) -> None:  # noqa: ARG001 - every writer's
    """Write every structure as a segment; those that overlap go to layers of their own.

    Raises
    ------
    OutputError
        When the place cannot be written to or the grid is sheared.
    """
    grid, layers = segmentation.grid, segmentation.layers or (np.zeros(segmentation.grid.shape, np.uint8),)
    refuse_shear(grid, path)
    fields = "".join(f"{key}:={value}\n" for key, value in _fields(segmentation))
    with whole_file(path) as file:
        file.write(header_text(grid, "u1", len(layers), fields).encode())
        with gzip_stream.compressing(file) as packed:
            for k in range(grid.shape[2]):
                side_by_side = np.stack([layer[:, :, k] for layer in layers])
                packed.write(side_by_side.ravel(order="F").data)


def _segments(header: NrrdHeader, where: str) -> list[_Segment]:
    """Return the segments that the header lists, in their order."""
    told: dict[int, dict[str, str]] = {}
    for key, value in header.fields.items():
        if match := _FIELD.fullmatch(key):
            told.setdefault(int(match[1]), {})[match[2]] = str(value)
    segments: list[_Segment] = []
    taken: set[str] = set()
    for number, fields in sorted(told.items()):
        layer, value = int(fields.get("Layer", 0)), int(fields.get("LabelValue", number + 1))
        if not (0 <= layer < header.numbers.image.phases.n and 0 < value < 2**16):
            raise ScanError(f"{where}: segment {number} is label {value} of layer {layer}, which is not there.")
        name = fields.get("Name") or fields.get("ID") or f"segment_{number}"
        while name in taken:
            name = f"{name}_{number}"
        taken.add(name)
        segments.append(_Segment(name, layer, value))
    if not segments:
        raise ScanError(f"{where}: lists no segment; expected a segmentation of 3D Slicer.")
    return segments


def _named(grid: Grid, layers: list[np.ndarray], segments: list[_Segment]) -> Segmentation:
    """Return the segments of all layers, in the order of the file."""
    kept: list[np.ndarray] = []
    places: dict[str, Place] = {}
    for number, layer in enumerate(layers):
        by_value: dict[int, list[str]] = {}
        for segment in segments:
            if segment.layer == number:
                by_value.setdefault(segment.value, []).append(segment.name)
        part = Segmentation.from_labels(grid, layer, {value: names[0] for value, names in by_value.items()})
        for names in by_value.values():  # two segments of one value are the same voxels
            place = part.places[names[0]]
            places |= {name: Place(place.layer + len(kept), place.value) for name in names}
        kept.extend(part.layers)
    return Segmentation(grid, tuple(kept), {segment.name: places[segment.name] for segment in segments})


def _whole_grid(fields: Mapping[str, Any], part: Grid) -> Grid | None:
    """Return the grid of the scan on which the segments were drawn, if the file tells it and the voxels fit.

    It stands in RAS among the parameters that Slicer keeps: 16 numbers of the matrix and 6 of the extent.
    """
    told = re.search(
        r"Reference image geometry\|([-+\d.e;]{1,1000})\|", str(fields.get("Segmentation_ConversionParameters", ""))
    )
    try:
        numbers = [float(word) for word in told[1].split(";") if word] if told else []
        affine = np.array(numbers[:16]).reshape(4, 4)
        low, high = np.array([int(number) for number in numbers[16:22]], np.int64).reshape(3, 2).T
        i, j, k = (high + 1 - low).tolist()
        affine[:3, 3] += affine[:3, :3] @ low
        whole = Grid((i, j, k), affine).reoriented(part.orientation)
    except (ValueError, OverflowError):
        return None
    start = whole.voxel(part.world((0, 0, 0)))
    fits = (start > -_ON_VOXEL).all() and (start + part.shape < np.array(whole.shape) + _ON_VOXEL).all()
    return whole if fits and _start(part, whole) is not None and whole.n_voxels <= AT_MOST_VOXELS else None


def _restored(found: Segmentation, whole: Grid, where: str) -> Segmentation:
    """Return a segmentation on the grid it was cut out of, in that grid's order of axes."""
    turned = found.reoriented(whole.orientation)
    if turned.grid.is_like(whole):
        return Segmentation(whole, turned.layers, turned.places)
    start = _start(turned.grid, whole)
    if start is None:
        raise ScanError(f"{where}: its voxels do not lie on those of the scan; give the scan they were drawn on.")
    layers = []
    into, out_of = _common(start, turned.grid.shape, whole.shape)
    for layer in turned.layers:
        full = np.zeros(whole.shape, np.uint8, order="F")
        full[into] = layer[out_of]
        if np.count_nonzero(full) < np.count_nonzero(layer):
            raise ScanError(f"{where}: segments reach beyond the scan; give the scan they were drawn on.")
        layers.append(full)
    return Segmentation(whole, tuple(layers), turned.places)


def _start(part: Grid, whole: Grid) -> np.ndarray | None:
    """Return the voxel of the whole at which a part begins; None when they do not share voxels."""
    start = whole.voxel(part.world((0, 0, 0)))
    end = whole.voxel(part.world(np.array(part.shape) - 1))
    first = np.rint(start).astype(int)
    off = max(np.abs(start - first).max(), np.abs(end - (first + part.shape - 1)).max())
    return first if off <= _ON_VOXEL else None


def _common(start: np.ndarray, part: tuple[int, ...], whole: tuple[int, ...]) -> tuple[Box, Box]:
    """Return the box of the whole that the part covers, and the same box in the part."""
    low = np.clip(start, 0, whole)
    high = np.clip(start + part, low, whole)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low - start, high - start, strict=True))
    return (i, j, k), (x, y, z)


def _fields(segmentation: Segmentation) -> Iterator[tuple[str, str]]:
    """Yield the keys of a segmentation and of its segments."""
    yield "Segmentation_MasterRepresentation", "Binary labelmap"
    yield "Segmentation_SourceRepresentation", "Binary labelmap"  # the newer word for it
    yield "Segmentation_ContainedRepresentationNames", "Binary labelmap|"
    yield "Segmentation_ReferenceImageExtentOffset", "0 0 0"
    for number, (name, place) in enumerate(segmentation.places.items()):
        said = re.sub(r"\s+", " ", name)
        box = box_of(segmentation.mask(name))
        extent = "0 -1 0 -1 0 -1" if box is None else " ".join(f"{side.start} {side.stop - 1}" for side in box)
        yield f"Segment{number}_ID", said
        yield f"Segment{number}_Name", said
        yield f"Segment{number}_NameAutoGenerated", "0"
        yield f"Segment{number}_Color", " ".join(f"{part / 255:.6g}" for part in color_of(name))
        yield f"Segment{number}_ColorAutoGenerated", "0"
        yield f"Segment{number}_LabelValue", str(place.value)
        yield f"Segment{number}_Layer", str(place.layer)
        yield f"Segment{number}_Extent", extent
        yield f"Segment{number}_Tags", f"Segmentation.Status:inprogress|TerminologyEntry:{terminology(name)}|"


def terminology(name: str) -> str:
    """Return Slicer's terminology entry of a structure: seven fields of context, category, type, side and region."""
    code = code_of(name)
    parts = [
        _CONTEXT,
        _written(code.category),
        _written(code.type),
        _written(code.modifier),
        _REGIONS,
        _written(code.region),
        _written(code.region_modifier),
    ]
    return "~".join(parts)


def _written(code: Code | None) -> str:
    """Write a code as scheme^value^meaning, without the letters that separate."""
    if code is None:
        return _NOTHING
    return "^".join(re.sub(r"[~^|\s]+", " ", part) for part in (code.scheme, code.value, code.meaning))
