"""A drawn person → tissue labels on a grid."""

from __future__ import annotations

from functools import cache

import numpy as np

from ctatlas.synthesis.crumbs import sweep_crumbs
from ctatlas.synthesis.fluids import fill_with_fluid
from ctatlas.synthesis.frame import Frame, frame_of
from ctatlas.synthesis.parts import Part
from ctatlas.synthesis.phantom import Phantom
from ctatlas.synthesis.shapes import Shape
from ctatlas.synthesis.subject import Subject
from ctatlas.synthesis.tables import columns, girth, other_side, tissue_id, tissues

SKIN_MM = 2.0
UNDER_DIAPHRAGM = ("liver", "spleen", "stomach_wall")
# Domes of the diaphragm: height = base + bump · exp(−r²/70²). Source: reference placement.
DOMES = {"right": (44.0, 26.0, -75.0, -25.0), "left": (40.0, 22.0, 80.0, -25.0)}

EDGE_MM = np.float32(25.0)  # radius of the edge where a floor cuts an organ
LEAST_WALL_MM = 9.0  # of muscle around the cavity, in lean people, too
THIN_MM = 14.0  # of ribs and muscle around the chest
CHEST_WALL = ((0.0, 50.0), (0.0, 1.0))  # heights between which the wall of the belly becomes that of the chest


def paint(phantom: Phantom, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Paint a person's tissues.

    Parameters
    ----------
    phantom : Phantom
        Who.
    x, y, z : 1-D arrays
        Voxel centres in mm to the left, to the back, to the head; the same person gives the same anatomy on any grid.

    Returns
    -------
    (x, y, z) uint8
        Tissue ids of `tissues.csv`; 0 is air.
    """
    frame = frame_of(phantom, x, y, z)
    labels = paint_on(frame, phantom)
    sweep_crumbs(labels, frame.voxel_mm3)
    return labels


def paint_on(frame: Frame, phantom: Phantom) -> np.ndarray:
    """Paint a person's tissues on an array that was laid over the person before."""
    labels, cavity = _body(phantom.subject, frame)
    for part in phantom.soft:
        _paint_part(labels, part, frame, phantom.subject, cavity if part.inside == "cavity" else None)
    close_lungs(labels, float(np.abs(np.diff(frame.z)).mean()))
    fill_with_fluid(labels, frame, phantom.subject, cavity)
    for part in phantom.bones:
        _paint_part(labels, part, frame, phantom.subject, None)
    if phantom.mirrored:
        labels = other_sides()[labels]
    if phantom.subject.table:
        _paint_table(labels, frame, phantom.subject)
    return labels


@cache
def other_sides() -> np.ndarray:
    """Return the look-up from each tissue to the one that bears the other side's name."""
    lookup = np.arange(256, dtype=np.uint8)
    for tissue in tissues().values():
        lookup[tissue.id] = tissue_id(other_side(tissue.name))
    return lookup


def dome_height(side: str, subject: Subject, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the height of one half of the diaphragm over each (x, y), in mm."""
    base, bump, cx, cy = DOMES[side]
    lift = subject.breath_mm + subject.dome_mm[0 if side == "right" else 1]
    height: np.ndarray = base + lift + bump * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 70**2)
    return height


def _body(subject: Subject, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Return labels with skin, fat, muscle wall and cavity fat; and the cavity."""
    outline = columns("outline.csv")
    z = frame.z
    table = {
        key: np.interp(z, outline["z"], values).astype(np.float32) for key, values in outline.items() if key != "z"
    }
    wide = girth(subject.visceral, z).astype(np.float32)
    fat = subject.fat_mm * np.interp(z, [-300, -200, -100, 60, 150, 300], [1.3, 1.4, 1.0, 0.7, 0.5, 0.4]).astype(
        np.float32
    )
    px, py, _ = frame.coordinates((slice(None), slice(None), slice(None)))
    dy = py - table["y_centre"]
    muscle_width = (table["half_width"] - 16) * wide - (1 - subject.wall) * 6
    muscle_depth = (table["half_depth"] - 16) * wide - (1 - subject.wall) * 6
    chest_wall = np.interp(z, *CHEST_WALL).astype(np.float32)
    muscle_width = np.maximum(muscle_width, chest_wall * (table["cavity_half_width"] * wide + THIN_MM))
    muscle_depth = np.maximum(muscle_depth, chest_wall * (table["cavity_half_depth"] * wide + THIN_MM))
    rho = np.sqrt(px * px + dy * dy)
    q_muscle = _superellipse(px, dy, muscle_width, muscle_depth, 2.4)
    legs = z < -292
    if legs.any():
        apart = np.abs(px[:, :, legs]) - 92
        q_muscle[:, :, legs] = _superellipse(apart, dy[:, :, legs], np.float32(80), np.float32(88), 2.1)
        rho[:, :, legs] = np.sqrt(apart**2 + dy[:, :, legs] ** 2)
    beyond_muscle = rho * (1 - 1 / np.maximum(q_muscle, 1e-3))  # mm outside the muscle wall, along the ray
    q_cavity = _superellipse(px, dy, table["cavity_half_width"] * wide, table["cavity_half_depth"] * wide, 2.4)
    front = np.where(dy < 0, np.float32(1.05), np.float32(0.85))
    labels = np.zeros(frame.shape, dtype=np.uint8)
    labels[beyond_muscle < fat * front + SKIN_MM] = tissue_id("skin")
    labels[beyond_muscle < fat * front] = tissue_id("subcutaneous_fat")
    labels[beyond_muscle < 0] = tissue_id("muscle")
    cavity = (q_cavity < 1) & (beyond_muscle < -LEAST_WALL_MM)
    labels[cavity] = tissue_id("visceral_fat")
    return labels, cavity


def _superellipse(
    x: np.ndarray, y: np.ndarray, a: np.ndarray | np.float32, b: np.ndarray | np.float32, n: float
) -> np.ndarray:
    u, v = np.abs(x) / np.maximum(a, 1), np.abs(y) / np.maximum(b, 1)
    q: np.ndarray = (u ** np.float32(n) + v ** np.float32(n)) ** np.float32(1 / n)
    return q


def _depth(shape: Shape, frame: Frame, box: tuple[slice, slice, slice]) -> np.ndarray:
    """Return the depth below the surface in a box; every piece of the shape is evaluated in its own small box only."""
    depth = np.full(tuple(s.stop - s.start for s in box), -1e3, dtype=np.float32)
    for piece in shape.pieces():
        inner = frame.box(*piece.bounds())
        here = tuple(slice(max(i.start, b.start), min(i.stop, b.stop)) for i, b in zip(inner, box, strict=True))
        if any(s.stop <= s.start for s in here):
            continue
        local = tuple(slice(s.start - b.start, s.stop - b.start) for s, b in zip(here, box, strict=True))
        values = piece.depth(*frame.coordinates((here[0], here[1], here[2])))
        np.maximum(depth[local], values, out=depth[local])
    return depth


def _depth_of(part: Part, frame: Frame, box: tuple[slice, slice, slice]) -> np.ndarray:
    """Return the depth below the surface of a part, clefts and floor included."""
    depth = _depth(part.shape, frame, box)
    if part.clefts > 0:
        depth -= np.float32(part.clefts) * _clefts(*frame.coordinates(box))
    if part.floor is not None:
        depth = _rounded(depth, frame.coordinates(box)[2] - np.float32(part.floor))
    return depth


def _paint_part(labels: np.ndarray, part: Part, frame: Frame, subject: Subject, within: np.ndarray | None) -> None:
    box = frame.box(*part.shape.bounds())
    if any(s.stop <= s.start for s in box):
        return
    depth = _depth_of(part, frame, box)
    here = labels[box]
    mask = depth > 0
    if within is not None:
        mask &= within[box]
    if part.above or part.below:
        x, y, z = frame.coordinates(box)
        dome = dome_height(part.above or part.below, subject, x, y)
        mask &= z > dome if part.above else z < dome - 3
    if part.over:
        mask &= np.isin(here, [tissue_id(name) for name in part.over])
    elif part.organ != "shoulder":
        mask &= here != 0
    if part.spares:
        mask &= ~np.isin(here, [tissue_id(name) for name in part.spares])
    here[mask] = tissue_id(part.tissue)
    if part.inner:
        core = mask & (depth > part.wall)
        here[core] = tissue_id(part.inner)
        if part.gas and part.gas_y is not None:
            _, y, _ = frame.coordinates(box)
            here[core & (y < part.gas_y)] = tissue_id(part.gas)


def _rounded(depth: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Return the depth in what lies in a shape and over a floor, the edge between them rounded."""
    short, low = np.maximum(EDGE_MM - depth, 0), np.maximum(EDGE_MM - height, 0)
    rounded: np.ndarray = np.minimum(np.minimum(depth, height), EDGE_MM - np.hypot(short, low))
    return rounded


def _clefts(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return 1 in the clefts between lobules of a gland, which lie 9 to 13 mm apart, and 0 inside of lobules."""
    waves = (
        np.sin((0.9 * x + 0.3 * y + 0.25 * z) / 3.1),
        np.sin((0.9 * y - 0.4 * x) / 3.7),
        np.sin((z + 0.3 * x) / 3.9),
    )
    cleft: np.ndarray = np.clip(1 - np.minimum.reduce([np.abs(wave) for wave in waves]) / 0.4, 0, 1)
    return cleft


def close_lungs(labels: np.ndarray, dz: float) -> None:
    """Let the lungs rest on liver, spleen and stomach: without this a belt of fat would lie between them."""
    fat, muscle = tissue_id("visceral_fat"), tissue_id("muscle")
    organs = np.isin(labels, [tissue_id(name) for name in UNDER_DIAPHRAGM])
    gap, reach = max(1, round(3 / dz)), round(70 / dz)
    index = np.arange(labels.shape[2])
    top = np.where(organs.any(axis=2), labels.shape[2] - 1 - np.argmax(organs[:, :, ::-1], axis=2), -1)
    for name in ("lung_left", "lung_right"):
        lung = labels == tissue_id(name)
        bottom = np.where(lung.any(axis=2), np.argmax(lung, axis=2), -1)
        close = (top >= 0) & (bottom > top) & (bottom - top <= reach)
        between = close[:, :, None] & (index > (top + gap)[:, :, None]) & (index < bottom[:, :, None])
        labels[between & ((labels == fat) | (labels == muscle))] = tissue_id(name)
        rim = close[:, :, None] & (index > top[:, :, None]) & (index <= (top + gap)[:, :, None])
        labels[rim & (labels == fat)] = muscle


def _paint_table(labels: np.ndarray, frame: Frame, subject: Subject) -> None:
    """Put a curved couch under the back: a thin shell over foam."""
    body = np.flatnonzero((labels > 0).any(axis=(0, 2)))
    if not body.size:
        return
    surface = frame.y[body[-1]] + subject.table_gap_mm - 22 * (frame.x / 210) ** 2
    depth = frame.y[None, :] - surface[:, None]
    wide = np.abs(frame.x)[:, None] < 215
    air = labels == 0
    foam = (wide & (depth > 0) & (depth < 45))[:, :, None] & air
    shell = (wide & (((depth > 0) & (depth < 4)) | ((depth > 41) & (depth < 45))))[:, :, None] & air
    labels[foam] = tissue_id("table_foam")
    labels[shell] = tissue_id("table_shell")
