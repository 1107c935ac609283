"""Several networks look at one real scan in several ways: what they say of it on average, and how far they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ctatlas.errors import ModelError, ScanError
from ctatlas.inference import Scene, View
from ctatlas.inference.engine import answer
from ctatlas.kernels.spread import spread
from ctatlas.models import Model, ModelCard
from ctatlas.training.classes import trained_classes
from ctatlas.volume import Grid, Volume

# As the card says, between its voxels, and larger and smaller people: errors of a window's place and scale cancel out.
VIEWS = (View(), View(shift=(0.5, 0.5, 0.5)), View(spacing=0.9), View(spacing=1.1))


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """What all networks and views say of a scan together.

    Attributes
    ----------
    scene : Scene
        The scan, and what calibrated HU gives of it.
    mean, spread : (c, right, front, head) float32
        Mean probability of every class, and twice the standard deviation; background alone where no window meets
        the body.
    """

    scene: Scene
    mean: np.ndarray
    spread: np.ndarray


def vote(ct: np.ndarray, spacing_mm: float, models: Sequence[Model], views: Sequence[View] = VIEWS) -> Votes:
    """Ask every model for every view of a scan.

    Parameters
    ----------
    ct : (right, front, head) int16
        HU on an isotropic grid.
    spacing_mm : float
    models : sequence of Model
        Trained with the classes of today.
    views : sequence of View, optional

    Raises
    ------
    ModelError
        When a model has other classes.
    ScanError
        When the scan shows no torso.
    """
    grid = Grid(ct.shape, np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0]))
    scene = Scene(Volume(np.asfortranarray(ct), grid))
    if why := scene.calibrated.why_nothing:
        raise ScanError(f"a CT to learn from shows {why}; expected a torso: leave it out")
    return vote_on(scene, models, views)


def vote_on(scene: Scene, models: Sequence[Model], views: Sequence[View]) -> Votes:
    """Ask every model for every view of a scan on any grid; on a fine one two times 27 maps take room.

    Raises
    ------
    ModelError
        When a model has other classes.
    """
    for model in models:
        check_classes(model.card)
    shape = scene.volume.grid.shape
    total, squares = (np.zeros((len(trained_classes()), *shape), np.float32) for _ in range(2))
    for model in models:
        for view in views:
            _add(scene, model, view, total, squares)
    n = len(models) * len(views)
    silent = total.sum(axis=0) == 0
    total[0][silent] = squares[0][silent] = n
    return Votes(scene, total / n, spread(n, total, squares))


def _add(scene: Scene, model: Model, view: View, total: np.ndarray, squares: np.ndarray) -> None:
    """Add what one model says in one view to the sums."""
    for slab in answer(scene, model, scene.calibrated.body, view=view).slabs:
        for channel in range(slab.n_classes):
            said = slab.probability(channel)
            total[channel][slab.box.slices] += said
            squares[channel][slab.box.slices] += said * said


def check_classes(card: ModelCard) -> None:
    """Refuse a card whose channels are not the classes of today.

    Raises
    ------
    ModelError
    """
    theirs = [each.name for each in sorted(card.classes, key=lambda each: each.channel)]
    ours = [each.name for each in trained_classes()]
    if theirs != ours:
        odd = sorted(set(theirs) ^ set(ours)) or ["their order"]
        raise ModelError(
            f"{card.name}: was trained with other classes than those of classes.csv ({', '.join(odd)}); "
            "self-training needs a model of the same classes"
        )
