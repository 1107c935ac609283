"""Smooth deformations without folds: velocity fields, integrated in time, that carry label maps and scans along.

A field of velocities that stays smooth gives, followed for a unit of time, a map that is one to one: organs are bent,
pushed and stretched, but never torn or laid over each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ctatlas.synthesis.frame import spline_weights

COARSE_MM = 8.0
# Distance between knots in mm, and the strength of fields of that pitch.
PITCHES = ((320.0, 0.90), (150.0, 0.40), (70.0, 0.18))
DOUBLINGS = 5
STILL_MM = 60.0  # towards the ends of the array nothing flows out

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Deformation:
    """Where the content of each voxel comes from.

    Attributes
    ----------
    offsets_mm : (3, ., ., .) float32
        From a place to the place whose content it gets, on a grid of `COARSE_MM`.
    shape : tuple of int
        Of the arrays that are carried.
    spacing_mm : float
        Of their voxels.
    """

    offsets_mm: np.ndarray
    shape: Shape
    spacing_mm: float

    def sources(self) -> np.ndarray:
        """Return the (3, i, j, k) float32 voxel coordinates that every voxel takes its content from."""
        points = refined(self.offsets_mm, self.shape, self.spacing_mm)
        points /= np.float32(self.spacing_mm)
        for axis, n in enumerate(self.shape):
            along = [1, 1, 1]
            along[axis] = n
            points[axis] += np.arange(n, dtype=np.float32).reshape(along)
        return points

    def carried(self, *label_maps: np.ndarray) -> list[np.ndarray]:
        """Deform label maps; every voxel keeps one of the labels that were there."""
        index = tuple(
            np.rint(points).astype(np.int16).clip(0, n - 1)
            for points, n in zip(self.sources(), self.shape, strict=True)
        )
        return [labels[index] for labels in label_maps]

    def carried_image(self, image: np.ndarray) -> np.ndarray:
        """Deform an image, (i, j, k) float32, by linear interpolation."""
        carried: np.ndarray = ndimage.map_coordinates(
            image.astype(np.float32), self.sources(), order=1, mode="nearest", output=np.float32
        )
        return carried


def coarse_shape(shape: Shape, spacing_mm: float) -> Shape:
    """Return the shape of the coarse grid over an array."""
    return tuple(int(np.ceil((n - 1) * spacing_mm / COARSE_MM)) + 1 for n in shape)


def refined(coarse: np.ndarray, shape: Shape, spacing_mm: float) -> np.ndarray:
    """Interpolate coarse fields (fields, ., ., .) linearly to an array's voxels, (fields, i, j, k) float32."""
    fine = coarse.astype(np.float32)
    for axis, n in enumerate(shape, start=1):
        knots = coarse.shape[axis]
        at = np.arange(n) * spacing_mm / COARSE_MM
        weights = np.maximum(1 - np.abs(at[:, None] - np.arange(knots)), 0).astype(np.float32)
        fine = np.moveaxis(np.tensordot(weights, fine, (1, axis)), 0, axis)
    return np.ascontiguousarray(fine)


def random_velocity(rng: np.random.Generator, shape: Shape, spacing_mm: float, rms_mm: float) -> np.ndarray:
    """Draw a smooth velocity field, (3, ., ., .) mm on the coarse grid, whose vectors have this root mean square."""
    coarse = coarse_shape(shape, spacing_mm)
    velocity = np.zeros((3, *coarse), dtype=np.float32)
    for pitch, share in PITCHES:
        sizes = [int(np.ceil(n * COARSE_MM / pitch)) + 4 for n in coarse]
        for component in range(3):
            knots = rng.normal(0, share, sizes)
            for axis, n in enumerate(coarse):
                positions = (np.arange(n) - (n - 1) / 2) * COARSE_MM
                knots = np.moveaxis(
                    np.tensordot(spline_weights(positions, pitch, sizes[axis]), knots, (1, axis)), 0, axis
                )
            velocity[component] += knots.astype(np.float32)
    velocity -= velocity.mean(axis=(1, 2, 3), keepdims=True)  # to move as a whole changes nothing
    drawn: np.ndarray = velocity * np.float32(rms_mm / np.sqrt((velocity**2).sum(axis=0).mean()))
    return drawn


def deformation(velocity: np.ndarray, shape: Shape, spacing_mm: float) -> Deformation:
    """Follow a velocity field on the coarse grid, in mm, for a unit of time; the array's box is carried onto itself."""
    offsets = velocity / np.float32(2**DOUBLINGS)
    for axis in range(3):
        n = velocity.shape[axis + 1]
        from_end = np.minimum(np.arange(n), np.arange(n)[::-1]) * COARSE_MM / STILL_MM
        along = [1, 1, 1]
        along[axis] = n
        offsets[axis] *= np.minimum(from_end, 1).astype(np.float32).reshape(along)
    here = np.indices(velocity.shape[1:], dtype=np.float32)
    for _ in range(DOUBLINGS):
        there = here + offsets / np.float32(COARSE_MM)
        offsets = offsets + np.stack(
            [ndimage.map_coordinates(part, there, order=1, mode="nearest", output=np.float32) for part in offsets]
        )
    return Deformation(offsets, shape, spacing_mm)
