"""Spine and rib cage of a phantom, built from the spine and outline tables."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ctatlas.synthesis.parts import Part
from ctatlas.synthesis.shapes import Drum, Ellipsoid, Tube
from ctatlas.synthesis.tables import columns, girth

RIB_COUNT = 12
# Degrees around the chest at which the bony rib ends and its cartilage begins (0 = spine, 180 = breast bone).
BONE_ENDS_DEG = (128, 132, 136, 138, 138, 136, 132, 126, 118, 108, 72, 48)
# How far the front end of the rib lies below its head, in mm per 180 degrees.
RIB_SLOPE_MM = (62, 78, 90, 100, 108, 114, 118, 120, 118, 112, 95, 80)


def spine() -> Iterator[Part]:
    """Yield discs, cord and vertebrae from the neck to L5, in painting order."""
    table = columns("spine.csv")
    levels = list(zip(*(table[key] for key in ("z", "y", "width_radius", "depth_radius", "half_height")), strict=True))
    for (z0, y0, w0, d0, h0), (z1, y1, w1, d1, h1) in pairwise(levels):
        low, high = z0 + h0, z1 - h1
        disc = Drum(
            (0.0, (y0 + y1) / 2, (low + high) / 2), (w0 + w1) / 2, (d0 + d1) / 2, max((high - low) / 2 + 1.5, 2.0)
        )
        yield Part("intervertebral_disc", disc, "frame")
    for z, y, width, depth, half in levels:
        yield from _vertebra(z, y, width, depth, half)
    canal = tuple((0.0, float(y + depth + 8), float(z)) for z, y, _, depth, _ in levels)
    canal = ((0.0, canal[0][1] + 10, canal[0][2] - 40), *canal, (0.0, canal[-1][1] + 2, canal[-1][2] + 120))
    yield Part("spinal_canal", Tube(canal, (8.0,) * len(canal)), "frame")
    yield Part("spinal_cord", Tube(canal[5:], (5.0,) * len(canal[5:])), "frame")


def _vertebra(z: float, y: float, width: float, depth: float, half: float) -> Iterator[Part]:
    bone = ("vertebra_cortex", "vertebra_spongiosa")
    back = y + depth
    stout = 0.95 + 0.04 * (width - 15)  # the arches of lumbar vertebrae are the stoutest
    thin, thick = 4.0 * stout, 4.8 * stout
    for side in (-1.0, 1.0):
        pedicle = Tube(((side * 0.55 * width, back - 4, z + 0.35 * half), (side * 13, back + 14, z)), (thick, thick))
        facet = Tube(((side * 14, back + 13, z + half + 3), (side * 14, back + 14, z - half - 6)), (thick, 5.6 * stout))
        lamina = Tube(((side * 13, back + 15, z - 2), (0.0, back + 21, z - 6)), (thin, thin))
        process = Tube(((side * 13, back + 11, z), (side * (20 + 0.75 * width), back + 17, z + 1)), (thick, thin))
        for shape in (pedicle, facet, lamina, process):
            yield Part(bone[0], shape, "frame", inner=bone[1], wall=1.8)
    spinous = Tube(((0.0, back + 20, z - 5), (0.0, back + 42, z - 0.9 * half - 4)), (thin, thick))
    yield Part(bone[0], spinous, "frame", inner=bone[1], wall=1.8)
    body = Drum((0.0, y, z), width, depth, half, waist=0.08)
    yield Part(bone[0], body, "frame", inner=bone[1], wall=1.2)


def rib_cage(visceral: float = 1.0) -> Iterator[Part]:
    """Yield twelve rib pairs with their cartilage, around a cavity of some girth, and the breast bone."""
    spine_table, outline = columns("spine.csv"), columns("outline.csv")
    heads_z = spine_table["z"][5:17][::-1]  # T1 first: the table rises from L5 (0) to C3
    heads_y = spine_table["y"][5:17][::-1]
    widths = spine_table["width_radius"][5:17][::-1]
    for n in range(RIB_COUNT):
        angles = np.deg2rad(np.linspace(12, 176 if n < 10 else BONE_ENDS_DEG[n], 18))
        fall = RIB_SLOPE_MM[n] * (np.maximum(angles, 0) / np.pi) ** 1.15
        z = heads_z[n] + 4 - fall
        wide = girth(visceral, z)
        half_width = wide * np.interp(z, outline["z"], outline["cavity_half_width"]) + 3
        half_depth = wide * np.interp(z, outline["z"], outline["cavity_half_depth"]) + 3
        y_centre = np.interp(z, outline["z"], outline["y_centre"])
        x, y = half_width * np.sin(angles), y_centre + half_depth * np.cos(angles)
        head = (0.75 * widths[n], heads_y[n] + 10.0, heads_z[n] + 5.0)
        tubercle = (widths[n] + 14.0, max(heads_y[n] + 24.0, float(y[0]) - 6), heads_z[n] + 3.0)
        keep = x > tubercle[0] + 6
        keep |= angles > np.pi / 2
        arc = [(float(a), float(b), float(c)) for a, b, c in zip(x[keep], y[keep], z[keep], strict=True)]
        bony = int(np.sum(np.rad2deg(angles[keep]) <= BONE_ENDS_DEG[n])) or 1
        yield from _rib_pair([head, tubercle, *arc], bony + 2, cartilage=n < 10)
    manubrium = Ellipsoid((0.0, -86.0, 222.0), (26.0, 7.0, 28.0), 3.0, (-18.0, 0.0, 0.0))
    body = Ellipsoid((0.0, -112.0, 146.0), (16.0, 6.5, 58.0), 3.0, (-10.0, 0.0, 0.0))
    yield Part("sternum", manubrium, "frame")
    yield Part("sternum", body, "frame")


def _rib_pair(line: list[tuple[float, float, float]], bony: int, *, cartilage: bool) -> Iterator[Part]:
    front = line[bony - 1 :]
    for flip in (False, True):
        if cartilage and len(front) > 1:
            shape = Tube(tuple(front), (4.8,) * len(front))
            yield Part("costal_cartilage", shape.mirrored() if flip else shape, "frame")
        rib = Tube(tuple(line[:bony]), (3.8, 4.2) + (4.5,) * (bony - 2))
        yield Part("rib_cortex", rib.mirrored() if flip else rib, "frame", inner="rib", wall=1.5)
