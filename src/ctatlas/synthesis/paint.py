"""A drawn person → tissue labels on a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctatlas.synthesis.parts import Part
from ctatlas.synthesis.phantom import Phantom, Subject
from ctatlas.synthesis.shapes import Shape
from ctatlas.synthesis.tables import columns, tissue_id

WARP_PITCH_MM = (110.0, 55.0, 28.0)  # correlation lengths of the pose and shape noise
SKIN_MM = 2.0
UNDER_DIAPHRAGM = ("liver", "spleen", "stomach_wall")
# Domes of the diaphragm: height = base + bump · exp(−r²/70²). Source: reference placement.
DOMES = {"right": (44.0, 26.0, -75.0, -25.0), "left": (40.0, 22.0, 80.0, -25.0)}


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the voxels of an axis-aligned array lie in the person: coordinates along each axis, their warp in mm."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    warp: tuple[np.ndarray, np.ndarray, np.ndarray]
    reach_mm: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return the array's shape."""
        return (len(self.x), len(self.y), len(self.z))

    def box(self, low: np.ndarray, high: np.ndarray) -> tuple[slice, slice, slice]:
        """Return the index box that holds a box in mm, however the warp moves it."""
        spans = []
        for axis, lo, hi in zip((self.x, self.y, self.z), low, high, strict=True):
            inside = np.flatnonzero((axis >= lo - self.reach_mm) & (axis <= hi + self.reach_mm))
            spans.append(slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0))
        return (spans[0], spans[1], spans[2])

    def coordinates(self, box: tuple[slice, slice, slice]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the person's x, y, z of every voxel in a box."""
        return (
            self.x[box[0], None, None] + self.warp[0][box],
            self.y[None, box[1], None] + self.warp[1][box],
            self.z[None, None, box[2]] + self.warp[2][box],
        )


def frame_of(phantom: Phantom, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Frame:
    """Lay an axis-aligned array over a person.

    Parameters
    ----------
    phantom : Phantom
        Gives size, spine curve and the seed of the warp.
    x, y, z : 1-D arrays
        Positions of the voxel centres along each axis in mm: to the left, to the back, to the head.
    """
    rng = np.random.default_rng(phantom.warp_seed)
    x, y, z = (np.asarray(v, dtype=np.float32) / np.float32(phantom.scale) for v in (x, y, z))
    warp = [_smooth_noise(rng, (x, y, z), phantom.warp_mm) for _ in range(3)]
    bend = phantom.subject.scoliosis_mm * np.sin(z / 110)
    warp[0] += bend[None, None, :].astype(np.float32)
    warp[1] += (phantom.subject.kyphosis * ((z - 80) / 150) ** 2 - phantom.subject.kyphosis / 2)[None, None, :].clip(
        -20, 20
    )
    reach = max(float(np.abs(w).max()) if w.size else 0.0 for w in warp)
    return Frame(x, y, z, (warp[0], warp[1], warp[2]), reach)


def _smooth_noise(
    rng: np.random.Generator, axes: tuple[np.ndarray, np.ndarray, np.ndarray], sds: tuple[float, ...]
) -> np.ndarray:
    """Return a smooth random field in mm: cubic B-splines of white noise at several pitches, summed."""
    field = np.zeros(tuple(len(axis) for axis in axes), dtype=np.float32)
    for sd, pitch in zip(sds, WARP_PITCH_MM, strict=True):
        knots = rng.normal(0, sd, (14, 10, 24) if pitch > 100 else (26, 18, 44) if pitch > 50 else (48, 34, 84))
        for axis, positions in enumerate(axes):
            knots = np.moveaxis(
                np.tensordot(_spline_weights(positions, pitch, knots.shape[axis]), knots, (1, axis)), 0, axis
            )
        field += knots.astype(np.float32)
    return field


def _spline_weights(positions: np.ndarray, pitch: float, n: int) -> np.ndarray:
    """Return (positions, knots) weights of cubic B-splines of unit variance, knots centred on the origin."""
    t = np.abs(positions[:, None] / pitch + (n - 1) / 2 - np.arange(n)[None, :])
    near, far = 2 / 3 - t**2 + t**3 / 2, (2 - np.minimum(t, 2)) ** 3 / 6
    weights = np.where(t < 1, near, far)
    rows: np.ndarray = weights / np.sqrt((weights**2).sum(axis=1, keepdims=True) + 1e-9)
    return rows


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
    labels, cavity = _body(phantom.subject, frame)
    for part in phantom.soft:
        _paint_part(labels, part, frame, phantom.subject, cavity if part.tissue.startswith("lung_") else None)
    close_lungs(labels, float(np.abs(np.diff(frame.z)).mean()))
    _effusions(labels, frame, phantom.subject)
    for part in phantom.bones:
        _paint_part(labels, part, frame, phantom.subject, None)
    if phantom.subject.table:
        _paint_table(labels, frame, phantom.subject)
    return labels


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
    girth = 1 + (subject.visceral - 1) * np.interp(z, [-260, -150, 40, 110], [0.3, 1, 1, 0.35]).astype(np.float32)
    fat = subject.fat_mm * np.interp(z, [-300, -200, -100, 60, 150, 300], [1.3, 1.4, 1.0, 0.7, 0.5, 0.4]).astype(
        np.float32
    )
    px, py, _ = frame.coordinates((slice(None), slice(None), slice(None)))
    dy = py - table["y_centre"]
    muscle_width = (table["half_width"] - 16) * girth - (1 - subject.wall) * 6
    muscle_depth = (table["half_depth"] - 16) * girth - (1 - subject.wall) * 6
    rho = np.sqrt(px * px + dy * dy)
    q_muscle = _superellipse(px, dy, muscle_width, muscle_depth, 2.4)
    legs = z < -292
    if legs.any():
        apart = np.abs(px[:, :, legs]) - 92
        q_muscle[:, :, legs] = _superellipse(apart, dy[:, :, legs], np.float32(80), np.float32(88), 2.1)
        rho[:, :, legs] = np.sqrt(apart**2 + dy[:, :, legs] ** 2)
    beyond_muscle = rho * (1 - 1 / np.maximum(q_muscle, 1e-3))  # mm outside the muscle wall, along the ray
    q_cavity = _superellipse(px, dy, table["cavity_half_width"] * girth, table["cavity_half_depth"] * girth, 2.4)
    front = np.where(dy < 0, np.float32(1.05), np.float32(0.85))
    labels = np.zeros(frame.shape, dtype=np.uint8)
    labels[beyond_muscle < fat * front + SKIN_MM] = tissue_id("skin")
    labels[beyond_muscle < fat * front] = tissue_id("subcutaneous_fat")
    labels[beyond_muscle < 0] = tissue_id("muscle")
    cavity = (q_cavity < 1) & (beyond_muscle < 0)
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


def _paint_part(labels: np.ndarray, part: Part, frame: Frame, subject: Subject, within: np.ndarray | None) -> None:
    box = frame.box(*part.shape.bounds())
    if any(s.stop <= s.start for s in box):
        return
    depth = _depth(part.shape, frame, box)
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
    here[mask] = tissue_id(part.tissue)
    if part.inner:
        core = mask & (depth > part.wall)
        here[core] = tissue_id(part.inner)
        if part.gas and part.gas_y is not None:
            _, y, _ = frame.coordinates(box)
            here[core & (y < part.gas_y)] = tissue_id(part.gas)


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


def _effusions(labels: np.ndarray, frame: Frame, subject: Subject) -> None:
    """Fill the back of a lung's space with fluid."""
    for name, depth_mm in zip(("lung_right", "lung_left"), subject.effusion_mm, strict=True):
        lung = labels == tissue_id(name)
        if depth_mm <= 0 or not lung.any():
            continue
        back = frame.y[np.flatnonzero(lung.any(axis=(0, 2)))[-1]]
        labels[lung & (frame.y[None, :, None] > back - depth_mm)] = tissue_id("pleural_effusion")


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
