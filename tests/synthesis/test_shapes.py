"""Shapes: volumes by formula, sides, and pieces that make up the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctatlas.synthesis.shapes import Drum, Ellipsoid, Tube, Union, fan

STEP = 0.5


def coordinates(low, high):
    axes = [np.arange(a - 2.13, b + 2, STEP, dtype=np.float32) for a, b in zip(low, high, strict=True)]
    return np.meshgrid(*axes, indexing="ij", sparse=True)


def volume(shape):
    return float((shape.depth(*coordinates(*shape.bounds())) > 0).sum()) * STEP**3


def test_ellipsoid_has_the_volume_of_the_formula():
    shape = Ellipsoid((3.0, -5.0, 7.0), (20.0, 31.0, 14.0), rotation=(25.0, -10.0, 40.0))
    assert volume(shape) == pytest.approx(4 / 3 * np.pi * 20 * 31 * 14, rel=0.01)


def test_straight_tube_has_the_volume_of_a_capsule():
    shape = Tube(((0.0, 0.0, 0.0), (0.0, 30.0, 40.0)), (9.0, 9.0))
    assert volume(shape) == pytest.approx(np.pi * 81 * 50 + 4 / 3 * np.pi * 729, rel=0.01)


def test_a_flat_tube_is_thinner_from_front_to_back():
    round_tube = Tube(((0.0, 0.0, 0.0), (30.0, 0.0, 40.0)), (9.0, 9.0))
    flat = Tube(round_tube.points, round_tube.radii, 0.6)
    assert volume(flat) == pytest.approx(0.6 * volume(round_tube), rel=0.01)
    assert flat.bounds()[1][1] == pytest.approx(0.6 * 9)


def test_drum_has_the_volume_of_a_cylinder():
    assert volume(Drum((0.0, 0.0, 0.5), 22.0, 16.0, 12.5)) == pytest.approx(np.pi * 22 * 16 * 25, rel=0.03)


def test_depth_in_a_tube_is_the_distance_to_its_wall():
    shape = Tube(((0.0, 0.0, 0.0), (0.0, 0.0, 50.0)), (10.0, 10.0))
    x, y, z = (np.array([v], dtype=np.float32) for v in (4.0, 0.0, 25.0))
    assert shape.depth(x, y, z)[0] == pytest.approx(6.0, abs=1e-4)


angles = st.floats(-60, 60)


@settings(max_examples=25, deadline=None)
@given(rotation=st.tuples(angles, angles, angles), x=st.floats(-60, 60), power=st.sampled_from([2.0, 2.4, 3.0]))
def test_mirroring_moves_a_shape_to_the_other_side(rotation, x, power):
    shape = Ellipsoid((x, 4.0, -8.0), (12.0, 21.0, 16.0), power, rotation)
    points = np.random.default_rng(0).uniform(-80, 80, (3, 500)).astype(np.float32)
    mirrored = shape.mirrored().depth(-points[0], points[1], points[2])
    np.testing.assert_allclose(mirrored, shape.depth(*points), atol=2e-3)


@pytest.mark.parametrize(
    "shape",
    [
        Tube(((0.0, 0.0, 0.0), (20.0, 5.0, 9.0), (31.0, -8.0, 30.0)), (5.0, 8.0, 4.0)),
        fan((0.0, 0.0, 0.0), ((40.0, 0.0, 30.0), (30.0, 30.0, 40.0), (0.0, 40.0, 35.0)), 4.0),
        Union((Ellipsoid((0.0, 0.0, 0.0), (9.0, 5.0, 7.0)), Drum((20.0, 0.0, 0.0), 8.0, 6.0, 5.0))),
    ],
)
def test_pieces_together_are_the_shape(shape):
    points = np.random.default_rng(1).uniform(-15, 50, (3, 4000)).astype(np.float32)
    pieces = np.maximum.reduce([piece.depth(*points) for piece in shape.pieces()])
    np.testing.assert_allclose(pieces, shape.depth(*points), atol=1e-3)


def test_moving_scales_about_the_anchor_and_then_shifts():
    moved = Ellipsoid((10.0, 0.0, 0.0), (4.0, 5.0, 6.0)).moved((2.0, 0.0, 0.0), 2.0, (0.0, 1.0, -3.0))
    assert moved == Ellipsoid((18.0, 1.0, -3.0), (8.0, 10.0, 12.0))
