"""Solid shapes in patient coordinates: x to the left, y to the back, z to the head, in mm.

A shape tells how deep a point lies inside it, so that walls, shells and cores of any thickness come from one shape.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import numpy as np

Point = tuple[float, float, float]
Array = np.ndarray


class Shape(Protocol):
    """What the painter needs of a shape."""

    def bounds(self) -> tuple[Array, Array]:
        """Return the lower and upper corner of a box that holds the shape, in mm."""

    def depth(self, x: Array, y: Array, z: Array) -> Array:
        """Return how many mm each point lies below the surface (negative outside; approximate away from it)."""

    def moved(self, anchor: Point, scale: float, shift: Point) -> Shape:
        """Return the shape scaled about `anchor`, then shifted."""

    def mirrored(self) -> Shape:
        """Return the shape on the other side of the body (x changes sign)."""

    def pieces(self) -> tuple[Shape, ...]:
        """Return small shapes whose union this is, so that each is evaluated in its own box."""


def _moved(point: Point, anchor: Point, scale: float, shift: Point) -> Point:
    x, y, z = (a + scale * (p - a) + s for p, a, s in zip(point, anchor, shift, strict=True))
    return (x, y, z)


def _flip(point: Point) -> Point:
    return (-point[0], point[1], point[2])


def rotation_matrix(degrees: Point) -> Array:
    """Return the rotation about x, then y, then z."""
    a, b, c = np.deg2rad(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    rotation: Array = about_z @ about_y @ about_x
    return rotation


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """A super-ellipsoid |x/a|^n + |y/b|^n + |z/c|^n < 1, rotated about x, then y, then z (degrees)."""

    center: Point
    radii: Point
    power: float = 2.0
    rotation: Point = (0.0, 0.0, 0.0)

    def bounds(self) -> tuple[Array, Array]:
        """See `Shape`."""
        reach = np.abs(rotation_matrix(self.rotation)) @ np.array(self.radii)
        return np.array(self.center) - reach, np.array(self.center) + reach

    def depth(self, x: Array, y: Array, z: Array) -> Array:
        """See `Shape`; measured along the ray from the centre."""
        back = rotation_matrix(self.rotation).T.astype(np.float32)
        dx, dy, dz = (v - np.float32(c) for v, c in zip((x, y, z), self.center, strict=True))
        q = np.float32(0.0)
        for row, radius in zip(back, self.radii, strict=True):
            u = np.abs(row[0] * dx + row[1] * dy + row[2] * dz) / np.float32(radius)
            q = q + (u * u if self.power == 2.0 else u ** np.float32(self.power))
        q = np.maximum(q, np.float32(1e-4)) ** np.float32(1 / self.power)
        rho = np.sqrt(dx * dx + dy * dy + dz * dz)
        depth: Array = rho * (1 / q - 1)
        return depth

    def moved(self, anchor: Point, scale: float, shift: Point) -> Ellipsoid:
        """See `Shape`."""
        a, b, c = (scale * radius for radius in self.radii)
        return replace(self, center=_moved(self.center, anchor, scale, shift), radii=(a, b, c))

    def mirrored(self) -> Ellipsoid:
        """See `Shape`."""
        a, b, c = self.rotation
        return replace(self, center=_flip(self.center), rotation=(a, -b, -c))

    def pieces(self) -> tuple[Shape, ...]:
        """See `Shape`."""
        return (self,)


@dataclass(frozen=True, slots=True)
class Tube:
    """A poly-line whose radius changes linearly between its points; from front to back it is `flat` times that."""

    points: tuple[Point, ...]
    radii: tuple[float, ...]
    flat: float = 1.0

    def bounds(self) -> tuple[Array, Array]:
        """See `Shape`."""
        points, radii = np.array(self.points), np.array(self.radii)[:, None] * (1.0, self.flat, 1.0)
        return (points - radii).min(axis=0), (points + radii).max(axis=0)

    def depth(self, x: Array, y: Array, z: Array) -> Array:
        """See `Shape`."""
        deepest: Array | None = None
        for start, end, r0, r1 in zip(self.points, self.points[1:], self.radii, self.radii[1:], strict=False):
            axis = np.subtract(end, start)
            length_2 = float(axis @ axis) or 1e-6
            dx, dy, dz = (v - np.float32(s) for v, s in zip((x, y, z), start, strict=True))
            t = np.clip(
                (dx * np.float32(axis[0]) + dy * np.float32(axis[1]) + dz * np.float32(axis[2])) / length_2, 0, 1
            )
            ex, ey, ez = (d - t * np.float32(a) for d, a in zip((dx, dy, dz), axis, strict=True))
            ey = ey / np.float32(self.flat)
            depth = r0 + (r1 - r0) * t - np.sqrt(ex * ex + ey * ey + ez * ez)
            deepest = depth if deepest is None else np.maximum(deepest, depth, out=deepest)
        if deepest is None:
            raise ValueError("a tube needs two points")
        return deepest

    def moved(self, anchor: Point, scale: float, shift: Point) -> Tube:
        """See `Shape`."""
        return Tube(
            tuple(_moved(point, anchor, scale, shift) for point in self.points),
            tuple(scale * radius for radius in self.radii),
            self.flat,
        )

    def widened(self, factor: float) -> Tube:
        """Return the tube along the same line with another calibre."""
        return replace(self, radii=tuple(factor * radius for radius in self.radii))

    def mirrored(self) -> Tube:
        """See `Shape`."""
        return replace(self, points=tuple(_flip(point) for point in self.points))

    def pieces(self) -> tuple[Shape, ...]:
        """See `Shape`."""
        spans = zip(self.points, self.points[1:], self.radii, self.radii[1:], strict=False)
        return tuple(Tube((start, end), (r0, r1), self.flat) for start, end, r0, r1 in spans)


@dataclass(frozen=True, slots=True)
class Drum:
    """An upright elliptic cylinder with a waist: a vertebral body or a disc."""

    center: Point
    width_radius: float
    depth_radius: float
    half_height: float
    waist: float = 0.0

    def bounds(self) -> tuple[Array, Array]:
        """See `Shape`."""
        reach = np.array([self.width_radius, self.depth_radius, self.half_height])
        return np.array(self.center) - reach, np.array(self.center) + reach

    def depth(self, x: Array, y: Array, z: Array) -> Array:
        """See `Shape`."""
        dx, dy, dz = (v - np.float32(c) for v, c in zip((x, y, z), self.center, strict=True))
        narrow = 1 - self.waist * (1 - (dz / self.half_height) ** 2)
        q = np.sqrt((dx / (self.width_radius * narrow)) ** 2 + (dy / (self.depth_radius * narrow)) ** 2)
        depth: Array = np.minimum((1 - q) * self.depth_radius, self.half_height - np.abs(dz))
        return depth

    def moved(self, anchor: Point, scale: float, shift: Point) -> Drum:
        """See `Shape`."""
        return replace(
            self,
            center=_moved(self.center, anchor, scale, shift),
            width_radius=scale * self.width_radius,
            depth_radius=scale * self.depth_radius,
            half_height=scale * self.half_height,
        )

    def mirrored(self) -> Drum:
        """See `Shape`."""
        return replace(self, center=_flip(self.center))

    def pieces(self) -> tuple[Shape, ...]:
        """See `Shape`."""
        return (self,)


@dataclass(frozen=True, slots=True)
class Union:
    """Several shapes as one."""

    members: tuple[Shape, ...]

    def bounds(self) -> tuple[Array, Array]:
        """See `Shape`."""
        lows, highs = zip(*(member.bounds() for member in self.members), strict=True)
        return np.min(lows, axis=0), np.max(highs, axis=0)

    def depth(self, x: Array, y: Array, z: Array) -> Array:
        """See `Shape`."""
        depth: Array = np.maximum.reduce([member.depth(x, y, z) for member in self.members])
        return depth

    def moved(self, anchor: Point, scale: float, shift: Point) -> Union:
        """See `Shape`."""
        return Union(tuple(member.moved(anchor, scale, shift) for member in self.members))

    def mirrored(self) -> Union:
        """See `Shape`."""
        return Union(tuple(member.mirrored() for member in self.members))

    def pieces(self) -> tuple[Shape, ...]:
        """See `Shape`."""
        return tuple(piece for member in self.members for piece in member.pieces())


def fan(apex: Point, rim: tuple[Point, ...], radius: float) -> Union:
    """Build a curved plate, twice `radius` thick, between a point and a rim: the wing of the hip bone, the scapula."""
    corners = np.array(rim, dtype=float)
    spans = list(pairwise(corners))
    counts = [max(2, int(np.ceil(np.linalg.norm(b - a) / (0.8 * radius)))) for a, b in spans]
    ends = [np.linspace(a, b, n, endpoint=False) for (a, b), n in zip(spans, counts, strict=True)] + [corners[-1:]]
    return Union(
        tuple(Tube((apex, (float(x), float(y), float(z))), (radius, radius)) for x, y, z in np.concatenate(ends))
    )
