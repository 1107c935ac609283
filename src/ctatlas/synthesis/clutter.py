"""Random small things that fill the space between organs: bowel loops, vessel trees, mesentery."""

from __future__ import annotations

import numpy as np

from ctatlas.synthesis.parts import Part
from ctatlas.synthesis.shapes import Ellipsoid, Point, Tube

FAT = ("visceral_fat", "retroperitoneal_fat", "mediastinal_fat")
LOOPS_LOW, LOOPS_HIGH = np.array([-88.0, -100.0, -195.0]), np.array([88.0, -20.0, -35.0])


def _point(values: np.ndarray) -> Point:
    return (float(values[0]), float(values[1]), float(values[2]))


def _walk(rng: np.random.Generator, start: np.ndarray, step_mm: float, n: int, bend: float) -> list[np.ndarray]:
    """Return a smooth random path of n steps."""
    heading = rng.normal(size=3)
    heading /= np.linalg.norm(heading)
    path = [start]
    for _ in range(n):
        heading = heading + bend * rng.normal(size=3)
        heading /= np.linalg.norm(heading)
        path.append(path[-1] + step_mm * heading)
    return path


def small_bowel(rng: np.random.Generator) -> list[Part]:
    """Return loops of small bowel that wander through the free space of the belly."""
    parts = []
    for _ in range(int(rng.integers(16, 34))):
        path = _walk(rng, rng.uniform(LOOPS_LOW, LOOPS_HIGH), 20.0, 8, 0.8)
        path = [np.clip(point, LOOPS_LOW, LOOPS_HIGH) for point in path]
        radius = float(rng.uniform(9, 14.5))
        tube = Tube(tuple(_point(p) for p in path), (radius,) * len(path))
        low, high = tube.bounds()
        gas_y = float(low[1] + rng.uniform(0, 0.5) * (high[1] - low[1])) if rng.random() < 0.2 else None
        parts.append(
            Part(
                "small_bowel_wall",
                tube,
                "colon",
                inner="small_bowel_content",
                wall=float(rng.uniform(2.5, 6)),
                gas="small_bowel_gas",
                gas_y=gas_y,
                over=("visceral_fat", "small_bowel_wall"),
            )
        )
    return parts


def _tree(rng: np.random.Generator, root: np.ndarray, radius: float, step_mm: float, depth: int) -> list[Tube]:
    """Return a branching tree; a daughter is 0.79 times as wide as its mother (Murray's law for two equal branches)."""
    if depth == 0 or radius < 0.8:
        return []
    path = _walk(rng, root, step_mm, 3, 0.35)
    tubes = [Tube(tuple(_point(p) for p in path), tuple(radius * f for f in (1, 0.95, 0.9, 0.85)))]
    for _ in range(2):
        tubes += _tree(rng, path[-1], 0.79 * radius, 0.85 * step_mm, depth - 1)
    return tubes


def lung_vessels(rng: np.random.Generator) -> list[Part]:
    """Return vessel trees from the hila into the lungs."""
    parts = []
    for side, name in ((1.0, "left"), (-1.0, "right")):
        for _ in range(6):
            root = np.array([side * 50.0, -18.0, 165.0]) + rng.normal(0, 9, 3)
            over = (f"lung_{name}",)
            parts += [Part(f"lung_vessel_{name}", t, "frame", over=over) for t in _tree(rng, root, 5.5, 15.0, 4)]
        for _ in range(25):
            root = np.array([side * 78.0, -20.0, 150.0]) + rng.normal(0, 1, 3) * (30, 40, 60)
            tube = Tube(tuple(_point(p) for p in _walk(rng, root, 9.0, 3, 0.3)), (float(rng.uniform(1, 2.4)),) * 4)
            parts.append(Part(f"lung_vessel_{name}", tube, "frame", over=over))
    return parts


def liver_vessels(rng: np.random.Generator, shift: Point) -> list[Part]:
    """Return portal branches and hepatic veins inside the liver."""
    parts = []
    roots = (("liver_portal_branch", (-52.0, -38.0, 18.0), 5.5), ("liver_hepatic_vein", (-38.0, -34.0, 58.0), 5.5))
    for tissue, root, radius in roots:
        for _ in range(3):
            start = np.array(root) + np.array(shift) + rng.normal(0, 6, 3)
            parts += [Part(tissue, tube, "liver", over=("liver",)) for tube in _tree(rng, start, radius, 16.0, 3)]
    return parts


def mesentery(rng: np.random.Generator) -> list[Part]:
    """Return thin vessels and lymph nodes in the fat of the belly and of the mediastinum."""
    parts = []
    for _ in range(int(rng.integers(40, 100))):
        start = rng.uniform((-115, -115, -190), (115, 40, 60))
        path = _walk(rng, start, float(rng.uniform(8, 20)), 4, 0.5)
        radius = float(rng.uniform(0.8, 3.2))
        tissue = "abdominal_vein" if rng.random() < 0.7 else "abdominal_artery"
        parts.append(Part(tissue, Tube(tuple(_point(p) for p in path), (radius,) * 5), "colon", over=FAT))
    for _ in range(int(rng.integers(5, 25))):
        box = ((-115, -110, -190), (115, 40, 60)) if rng.random() < 0.6 else ((-40, -80, 120), (40, 0, 230))
        radii = rng.uniform(2.5, 8, 3)
        parts.append(Part("lymph_node", Ellipsoid(_point(rng.uniform(*box)), _point(radii)), "frame", over=FAT))
    return parts
