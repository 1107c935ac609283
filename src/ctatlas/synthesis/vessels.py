"""The great arteries of a drawn person, which follow the shifts of chest and belly."""

from __future__ import annotations

import numpy as np

from ctatlas.synthesis.parts import Part
from ctatlas.synthesis.shapes import Point, Tube

AORTA = (
    ((-6, -72, 134), 15.5),
    ((-15, -68, 158), 16),
    ((-16, -62, 184), 15.5),
    ((-10, -52, 210), 14.5),
    ((2, -36, 224), 14),
    ((16, -14, 222), 13.5),
    ((24, 2, 204), 13),
    ((24, 2, 170), 12.5),
    ((22, -4, 120), 12),
    ((13, -16, 70), 11.5),
    ((8, -24, 30), 11),
    ((6, -27, 0), 10.5),
    ((5, -28, -60), 9.5),
    ((3, -27, -98), 9),
)
ILIAC = (((3, -27, -98), 7), ((30, -16, -140), 6), ((56, -26, -185), 5), ((78, -66, -240), 5), ((84, -74, -300), 4.5))


def aorta(rng: np.random.Generator, chest: Point, belly: Point) -> Part:
    """Return the aorta from its root over the arch to the bifurcation, following both regions' shifts."""
    width = float(np.exp(rng.normal(0, 0.12)))
    tortuosity = rng.normal(0, 2.0, (len(AORTA), 3))
    points: list[Point] = []
    for ((x, y, z), _), wobble in zip(AORTA, tortuosity, strict=True):
        t = float(np.clip((z - 40) / 120, 0, 1))
        shift = [t * c + (1 - t) * b for c, b in zip(chest, belly, strict=True)]
        points.append((x + shift[0] + wobble[0], y + shift[1] + wobble[1], z + shift[2]))
    return Part("aorta", Tube(tuple(points), tuple(width * r for _, r in AORTA)), "great_vessels")


def iliac_arteries(belly: Point) -> list[Part]:
    """Return the iliac arteries of both sides."""
    tube = Tube(tuple((float(x), float(y), float(z)) for (x, y, z), _ in ILIAC), tuple(float(r) for _, r in ILIAC))
    part = Part("iliac_artery_left", tube.moved((0, 0, 0), 1.0, belly), "retroperitoneum")
    return [part, part.mirrored()]
