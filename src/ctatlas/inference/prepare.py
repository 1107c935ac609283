"""Stage 1: crop to the body, resample, turn, normalise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctatlas.inference.route import Route, cropped, plan, plan_points
from ctatlas.inference.scene import Scene
from ctatlas.kernels.boxes import Box, bounding_box, widened
from ctatlas.kernels.resample import shrink
from ctatlas.models import ModelCard
from ctatlas.models.cards import Input
from ctatlas.volume.grid import Grid
from ctatlas.volume.scan import Volume

# Air around the body that the network still sees, as in training, where windows reach beyond the skin.
BODY_MARGIN_MM = 12.0
# The share of a voxel from which on there is body in it: more than rounding makes.
_SOME = 1e-3


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the network reads.

    Attributes
    ----------
    inputs : (c, x, y, z) float32
        The card's channels on the network's grid.
    body : (x, y, z) bool
        Which voxels of that grid have any body in them.
    route : Route
        The way back to the scan.
    """

    inputs: np.ndarray
    body: np.ndarray
    route: Route


def body_box(body: np.ndarray, grid: Grid, margin_mm: float = BODY_MARGIN_MM) -> Box | None:
    """Find the box around a mask (i, j, k) bool with a margin, inside the scan; None when the mask is empty."""
    box = bounding_box(body)
    if box is None:
        return None
    i, j, k = (int(np.ceil(margin_mm / step)) for step in grid.spacing_mm)
    return widened(box, (i, j, k), grid.shape)


def prepare(
    volume: Volume,
    card: ModelCard,
    body: np.ndarray,
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
    scene: Scene | None = None,
) -> Prepared:
    """Bring the part of a scan around the body to a card's grid and channels.

    Parameters
    ----------
    volume : Volume
    card : ModelCard
    body : (i, j, k) bool
        On the scan's grid, not empty.
    shift : (3,) float, optional
        The network's grid lies so many of its voxels further along its axes.
    scene : Scene, optional
        Keeps what is resampled of this scan and this body for other networks of the same grid.

    Raises
    ------
    ValueError
        When the body mask is empty or of another shape.
    """
    box = body_box(body, volume.grid) if body.shape == volume.grid.shape else None
    if box is None:
        raise ValueError(f"body mask {body.shape} on a scan {volume.grid.shape}: expected its shape, and a body in it")
    scene = scene or Scene(volume)
    if card.input.sampling == "points":
        return _prepare_points(volume, card, body, plan_points(volume.grid, card, box, shift), scene)
    route = plan(volume.grid, card, box, shift)
    weights = route.shrinking()
    place = (route.coarse.shape, route.coarse.affine.tobytes())
    padding = card.input.padding_hu
    hu = scene.once(("hu", *place, padding), lambda: shrink(volume.array, weights, padding))
    inside = scene.once(("body", *place), lambda: shrink(body, weights) > _SOME)
    return Prepared(normalised(route.to_network(hu), card.input), route.to_network(inside), route)


def _prepare_points(volume: Volume, card: ModelCard, body: np.ndarray, whole: Route, scene: Scene) -> Prepared:
    """Resample the whole scan as MONAI 0.9.0 does, and crop to what is denser than the first channel's lowest HU."""
    low_hu, padding = card.input.channels[0].clip[0], card.input.padding_hu
    key = (whole.coarse.shape, whole.coarse.affine.tobytes(), "points")
    hu = scene.once(("hu", *key, padding), lambda: shrink(volume.array, whole.shrinking(), padding))
    inside = scene.once(("body", *key), lambda: shrink(body, whole.shrinking()) > _SOME)
    part = bounding_box(hu > low_hu) or Box((0, 0, 0), whole.coarse.shape)
    route = cropped(whole, part)
    return Prepared(
        normalised(route.to_network(hu[part.slices]), card.input), route.to_network(inside[part.slices]), route
    )


def normalised(hu: np.ndarray, wanted: Input) -> np.ndarray:
    """Turn HU (x, y, z) into a card's channels (c, x, y, z) float32."""
    channels = [(hu.clip(*channel.clip) - channel.subtract) / channel.divide for channel in wanted.channels]
    return np.stack(channels).astype(np.float32)
