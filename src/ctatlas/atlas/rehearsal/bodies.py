"""Phantoms on voxels of about 6 mm, from the lungs to the hips: a second of work each, and enough for a model."""

from __future__ import annotations

from dataclasses import replace

from ctatlas.synthesis.cases import PhantomCase, draw_case, make_case

SHAPE = (72, 60, 56)
_SLICE_MM = 6.0  # in the plane voxels are of 5 to 7 mm
_MIDDLE_MM = 10.0  # of the scan, above L1


def coarse_phantom(number: int, seed: int = 0) -> PhantomCase:
    """Make a phantom; the same two numbers always give the same one."""
    plan = draw_case(seed, number, shape=SHAPE, conditions=(), exact=False)
    first = (*plan.first_voxel_mm[:2], _MIDDLE_MM - _SLICE_MM * (SHAPE[2] - 1) / 2)
    return make_case(replace(plan, spacing_mm=(*plan.spacing_mm[:2], _SLICE_MM), first_voxel_mm=first))
