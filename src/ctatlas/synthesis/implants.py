"""Metal in the body: hip prostheses, and screws and rods of the lumbar spine."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ctatlas.synthesis.parts import Part
from ctatlas.synthesis.shapes import Ellipsoid, Shape, Tube

METAL = "implant"


def implants(conditions: Collection[str]) -> Iterator[Part]:
    """Yield the metal parts of a person, to be painted after the bones."""
    if "hip_prosthesis_left" in conditions:
        yield from (Part(METAL, shape, "pelvis") for shape in _hip())
    if "hip_prosthesis_right" in conditions:
        yield from (Part(METAL, shape.mirrored(), "pelvis") for shape in _hip())
    if "spinal_screws" in conditions:
        yield from (Part(METAL, shape, "frame") for shape in _screws())


def _hip() -> tuple[Shape, ...]:
    """Return head, neck and stem of the left hip."""
    head = Ellipsoid((90.0, -20.0, -245.0), (16.0, 16.0, 16.0))
    stem = Tube(
        ((90.0, -20.0, -245.0), (120.0, -4.0, -272.0), (120.0, -6.0, -330.0), (115.0, -8.0, -390.0)),
        (8.0, 8.0, 7.0, 5.0),
    )
    return (head, stem)


def _screws() -> Iterator[Shape]:
    """Yield a screw through each pedicle of L4 and L5, and the rods that join them."""
    for side in (-1.0, 1.0):
        heads = []
        for z, y in ((-106.0, 3.0), (-138.0, 8.0)):
            head = (side * 17.0, y + 36.0, z + 4.0)
            yield Tube((head, (side * 8.0, y - 8.0, z)), (3.0, 3.0))
            heads.append(head)
        yield Tube(tuple(heads), (3.5, 3.5))
