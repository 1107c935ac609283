"""One training sample: a random patch of a random anatomy, seen by a random scanner.

Drawing is a pure function of (seed, worker, step): a sample can be made again at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ctatlas.synthesis.intensities import Intensities, draw_intensities
from ctatlas.synthesis.tables import tissues
from ctatlas.training.classes import IGNORED, trained_classes
from ctatlas.training.pool import Member
from ctatlas.training.scanning import scanned
from ctatlas.training.scans import SPACING_MM

GRID_MM = 4.0  # unless a run says otherwise
SOURCE_SHARES = {"phantom": 0.28, "completed": 0.32, "labelled": 0.30, "torso": 0.10, "pseudo": 0.20}
REAL_AS_IT_IS = ("torso", "pseudo")  # what is not labelled can't be coloured anew
ELASTIC_MM = ((85.0, 6.0), (50.0, 4.0), (28.0, 2.3))
REAL_TEXTURE = (0.6, 1.2)  # strength
CHANNELS = ((-200.0, 300.0, 50.0, 100.0), (-1000.0, 1000.0, 0.0, 500.0))  # clip low, clip high, subtract, divide


@dataclass(frozen=True, slots=True)
class Sample:
    """Inputs (2, n, n, n) float32, and (n, n, n) uint8 what every voxel is, or may be: codes of `classes`."""

    inputs: np.ndarray
    target: np.ndarray


def draw_sample(
    groups: Mapping[str, Sequence[Member]],
    size: int,
    rng: np.random.Generator,
    *,
    grid_mm: float = GRID_MM,
    shares: Mapping[str, float] = SOURCE_SHARES,
) -> Sample:
    """Draw one sample of `size`³ voxels of `grid_mm`."""
    kinds = [kind for kind in shares if groups.get(kind)]
    p = np.array([shares[kind] for kind in kinds])
    group = groups[kinds[int(rng.choice(len(kinds), p=p / p.sum()))]]
    member = group[int(rng.integers(len(group)))]
    points = _points(rng, _centre(rng, member), size, grid_mm)
    box, local = _box(member.labels.shape, points)
    labels = np.asarray(member.labels[box])
    target = member.codes[ndimage.map_coordinates(labels, local, order=0, mode="constant", cval=0)]
    image, texture = (None if a is None else np.asarray(a[box]) for a in (member.ct, member.texture))
    hu = _brightness(rng, labels, image, texture, local, own=member.kind in REAL_AS_IT_IS)
    hu = scanned(rng, hu, grid_mm, real=member.ct is not None)
    hu, target = _field_of_view(rng, hu, target)
    return Sample(to_channels(hu), target)


def to_channels(hu: np.ndarray) -> np.ndarray:
    """Return the network's inputs (channel, x, y, z) float32 for HU."""
    return np.stack([(np.clip(hu, low, high) - minus) / by for low, high, minus, by in CHANNELS]).astype(np.float32)


def _centre(rng: np.random.Generator, member: Member) -> np.ndarray:
    channels = [c for c in trained_classes() if c.channel in member.centres and c.centre_weight > 0]
    if channels and rng.random() < 0.7:
        p = np.array([c.centre_weight for c in channels])
        channel = channels[int(rng.choice(len(channels), p=p / p.sum()))].channel
        jitter = rng.uniform(-14, 14, 3) / SPACING_MM
    else:
        channel, jitter = 0, np.zeros(3)
    voxels = member.centres[channel]
    centre: np.ndarray = voxels[int(rng.integers(len(voxels)))] + jitter
    return centre


def _points(rng: np.random.Generator, centre: np.ndarray, size: int, grid_mm: float) -> np.ndarray:
    """Return the member's voxel coordinates (3, n, n, n) of a rotated, scaled and elastically bent patch."""
    angles = np.deg2rad(rng.normal(0, 7, 3))
    rotation = _rotation(angles)
    scale = np.exp(rng.normal(0, 0.11)) * np.exp(rng.normal(0, 0.05, 3))
    matrix = rotation * scale[None, :] * (grid_mm / SPACING_MM)
    axis = np.arange(size, dtype=np.float32) - (size - 1) / 2
    steps = [(matrix[:, n, None] * axis).astype(np.float32) for n in range(3)]
    points = (
        steps[0][:, :, None, None]
        + steps[1][:, None, :, None]
        + steps[2][:, None, None, :]
        + centre.astype(np.float32)[:, None, None, None]
    )
    strength = rng.uniform(0.3, 1.4)
    for pitch, sd in ELASTIC_MM:
        n = int(np.ceil(size * grid_mm / pitch)) + 3
        for component in range(3):
            knots = rng.normal(0, sd * strength / SPACING_MM, (n, n, n)).astype(np.float32)
            points[component] += _upsampled(knots, size, pitch / grid_mm)
    bent: np.ndarray = points
    return bent


def _upsampled(knots: np.ndarray, size: int, pitch: float) -> np.ndarray:
    """Interpolate random knots, `pitch` voxels apart, to the patch with cubic B-splines, axis by axis."""
    t = np.arange(size)[:, None] / pitch + 1 - np.arange(knots.shape[0])[None, :]
    t = np.abs(t)
    weights = np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, (2 - np.minimum(t, 2)) ** 3 / 6)
    weights = (weights / np.sqrt((weights**2).sum(axis=1, keepdims=True))).astype(np.float32)
    x = np.tensordot(weights, knots, (1, 0))
    y = np.tensordot(weights, x, (1, 1))
    z: np.ndarray = np.tensordot(weights, y, (1, 2)).transpose(2, 1, 0)
    return z


def _rotation(angles: np.ndarray) -> np.ndarray:
    a, b, c = angles
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    rotation: np.ndarray = about_z @ about_y @ about_x
    return rotation


def _box(shape: tuple[int, ...], points: np.ndarray) -> tuple[tuple[slice, ...], np.ndarray]:
    """Return the index box of an array that points touch (at least one voxel); and the points from its corner on."""
    low = np.floor(points.reshape(3, -1).min(axis=1)).astype(int) - 1
    high = np.ceil(points.reshape(3, -1).max(axis=1)).astype(int) + 2
    low = np.minimum(np.maximum(low, 0), np.array(shape) - 1)
    high = np.maximum(np.minimum(high, shape), low + 1)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return box, points - low[:, None, None, None].astype(np.float32)


def _brightness(
    rng: np.random.Generator,
    labels: np.ndarray,
    image: np.ndarray | None,
    real_texture: np.ndarray | None,
    points: np.ndarray,
    *,
    own: bool,
) -> np.ndarray:
    """Return the HU of the patch: the image as it is (`own`), the image in another phase, or all drawn.

    A drawn patch takes its texture from `real_texture`, in HU beside each tissue's mean, where that is not 0.
    """
    if own and image is not None:
        return _linear(image, points)
    intensities = draw_intensities(rng)
    if image is not None and rng.random() < 0.75:
        hu = image.astype(np.float32)
        if rng.random() < 0.65:
            hu = hu + _recolour(rng, intensities)[labels]
        return _linear(hu, points)
    hu = np.array(intensities.hu, dtype=np.float32)[labels]
    texture = np.array(intensities.texture_hu, dtype=np.float32)[labels]
    hu = hu + _texture(rng, texture, real_texture)
    patch = _linear(hu, points)
    size = patch.shape[0]
    for sd in (14.0, 10.0):
        knots = rng.normal(0, sd * rng.random() / 2, (6, 6, 6)).astype(np.float32)
        patch += np.where(patch > -300, _upsampled(knots, size, size / 3), 0)
    return patch


def _texture(rng: np.random.Generator, sd_hu: np.ndarray, real: np.ndarray | None) -> np.ndarray:
    drawn = sd_hu * rng.standard_normal(sd_hu.shape, dtype=np.float32) * np.float32(0.8)
    if real is None:
        return drawn
    seen = real * np.float32(rng.uniform(*REAL_TEXTURE))
    return np.where(real == 0, drawn, seen)


def _recolour(rng: np.random.Generator, intensities: Intensities) -> np.ndarray:
    """Return the HU to add per tissue so that a native scan looks enhanced."""
    native = draw_intensities(rng, randomise=False, spread=0.0, phase="native")
    change = np.zeros(256, dtype=np.float32)
    factor = rng.uniform(0.5, 1.2)
    for tissue in tissues().values():
        if tissue.material in RECOLOURED:
            change[tissue.id] = factor * (intensities.hu[tissue.id] - native.hu[tissue.id])
    return change


RECOLOURED = frozenset(
    (
        *("liver", "spleen", "pancreas", "renal_cortex", "renal_medulla", "stomach_wall", "bowel_wall", "colon_wall"),
        *(
            "adrenal_gland",
            "aorta",
            "abdominal_artery",
            "inferior_vena_cava",
            "iliac_vein",
            "portal_vein",
            "hepatic_vein",
        ),
        *("left_heart_blood", "right_heart_blood", "myocardium", "urine", "muscle"),
    )
)


def _linear(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    sampled: np.ndarray = ndimage.map_coordinates(
        image.astype(np.float32, copy=False), points, order=1, mode="constant", cval=-1000.0, output=np.float32
    )
    return sampled


def _field_of_view(rng: np.random.Generator, hu: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut the scan off at a slice, or outside a circle; what lies beyond is not judged."""
    n = hu.shape[0]
    outside = np.zeros(hu.shape, dtype=bool)
    if rng.random() < 0.3:
        cut = int(rng.integers(4, n // 2))
        if rng.random() < 0.5:
            outside[:, :, :cut] = True
        else:
            outside[:, :, n - cut :] = True
    if rng.random() < 0.1:
        radius = rng.uniform(0.35, 0.6) * n
        cx, cy = rng.uniform(0.3, 0.7, 2) * n
        i = np.arange(n)
        outside |= ((i[:, None] - cx) ** 2 + (i[None, :] - cy) ** 2 > radius**2)[:, :, None]
    if outside.any():
        hu = np.where(outside, np.float32(-1000), hu)
        target = np.where(outside, np.uint8(IGNORED), target)
    return hu, target
