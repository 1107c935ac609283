"""The stages in their order: a volume and a model → what the model finds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from ctatlas.errors import ModelError
from ctatlas.inference.certainty import NetworkMaps, ProbabilityMaps, entropy_map
from ctatlas.inference.decide import decide
from ctatlas.inference.predict import predict
from ctatlas.inference.prepare import prepare
from ctatlas.inference.restore import Slab, restore
from ctatlas.inference.route import Route
from ctatlas.inference.scene import Scene
from ctatlas.inference.view import AS_ITS_CARD_SAYS, View
from ctatlas.models import Model, ModelCard
from ctatlas.progress import SILENT, Progress
from ctatlas.volume.grid import Grid
from ctatlas.volume.scan import Volume
from ctatlas.volume.segmentation import Segmentation

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Inferred:
    """What a model finds in a scan.

    Attributes
    ----------
    segmentation : Segmentation
        Every class of the card but the background, auxiliary ones too, under the names of the card, and what the card
        takes from calibrated HU; not yet tidied.
    probabilities : mapping of str to (i, j, k) uint8
        Of the classes asked for; 255 is certain. 0 outside the body's box. Each is made when it is looked up.
    entropy : (i, j, k) uint8 or None
        0 where the network is certain, 255 where it cannot tell at all. 0 outside the body's box.
    network : NetworkMaps or None
        The probabilities of all classes on the network's own grid. None unless asked for, and where there is no body.
    why_nothing : str
        A few words when the scan shows no torso, so that nothing was looked for; else empty.
    """

    segmentation: Segmentation
    probabilities: Mapping[str, np.ndarray] = field(default_factory=dict)
    entropy: np.ndarray | None = None
    network: NetworkMaps | None = None
    why_nothing: str = ""


def infer(
    volume: Volume,
    model: Model,
    *,
    view: View = AS_ITS_CARD_SAYS,
    scene: Scene | None = None,
    progress: Progress = SILENT,
    save_probabilities: bool = False,
    save_entropy: bool = False,
    keep_network: bool = False,
) -> Inferred:
    """Find what a model can find in one scan: what HU gives without learning, and what its network gives.

    Parameters
    ----------
    volume : Volume
    model : Model
    view : View, optional
        How the network is shown the scan.
    scene : Scene, optional
        What other models found in this scan, or made of it.
    progress : Progress, optional
    save_probabilities : bool, optional
        Whether the probabilities of the card's structures are wanted too.
    save_entropy : bool, optional
        Whether the entropy is wanted too.
    keep_network : bool, optional
        Whether the probabilities on the network's grid are wanted too.

    Returns
    -------
    Inferred
        On the scan's grid: the card's calibrated structures, then its classes. All empty where there is no torso.

    Raises
    ------
    ModelError
        When the card asks for a calibrated structure that nothing here can find, or the network fails.
    """
    card = model.card
    if card.pipeline == "nnunet":
        from ctatlas.inference.nnunet.scans import infer_nnunet

        _refuse_views(card, view)
        return infer_nnunet(volume, model, progress=progress)
    scene = scene or Scene(volume)
    masks = calibrated_masks(scene, [card], progress=progress)
    wanted = [each.name for each in card.classes if each.role == "structure"] if save_probabilities else []
    answered = answer(scene, model, scene.calibrated.body, view=view, progress=progress)
    found = _decided(
        answered, card, volume.grid, progress=progress, save_probabilities=wanted, save_entropy=save_entropy
    )
    whole = found.segmentation.with_masks({name: masks[name] for name in card.calibrated.structures})
    network = answered.network(card) if keep_network else None
    return replace(found, segmentation=whole, network=network, why_nothing=scene.calibrated.why_nothing)


def _refuse_views(card: ModelCard, view: View) -> None:
    if view != AS_ITS_CARD_SAYS:
        raise ModelError(f"{card.name}: a model of nnU-Net is shown a scan as it was trained, and in no other view")


def infer_within(
    volume: Volume,
    model: Model,
    body: np.ndarray,
    *,
    view: View = AS_ITS_CARD_SAYS,
    progress: Progress = SILENT,
    save_probabilities: Collection[str] = (),
    save_entropy: bool = False,
    keep_network: bool = False,
) -> Inferred:
    """Find a network's classes in the part of a scan where the body is.

    Parameters
    ----------
    volume : Volume
    model : Model
    body : (i, j, k) bool
        The body on the scan's grid. Where it is empty nothing is looked at.
    view : View, optional
        How the network is shown the scan.
    progress : Progress, optional
    save_probabilities : collection of str, optional
        Classes whose probabilities are wanted too.
    save_entropy : bool, optional
        Whether the entropy is wanted too.
    keep_network : bool, optional
        Whether the probabilities on the network's grid are wanted too.

    Returns
    -------
    Inferred
        On the scan's grid. Classes that are nowhere have empty masks.
    """
    answered = answer(Scene(volume), model, body, view=view, progress=progress)
    found = _decided(
        answered,
        model.card,
        volume.grid,
        progress=progress,
        save_probabilities=save_probabilities,
        save_entropy=save_entropy,
    )
    return replace(found, network=answered.network(model.card) if keep_network else None)


def calibrated_masks(
    scene: Scene, cards: Sequence[ModelCard], *, progress: Progress = SILENT
) -> Mapping[str, np.ndarray]:
    """Return what HU gives, by name, when it has all that cards ask of it.

    Raises
    ------
    ModelError
    """
    progress.stage("body", 1)
    masks = scene.calibrated.masks()
    for card in cards:
        if unknown := [name for name in card.calibrated.structures if name not in masks]:
            raise ModelError(f"{card.name}: can't find {', '.join(unknown)} without learning; can: {', '.join(masks)}")
    progress.advance()
    return masks


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a network says of a scan.

    Attributes
    ----------
    slabs : list of Slab
        On the scan's grid, in the order of its slices; none where there is no body.
    probabilities : (c, x, y, z) float32 or None
        On the network's grid.
    route : Route or None
    """

    slabs: list[Slab] = field(default_factory=list)
    probabilities: np.ndarray | None = None
    route: Route | None = None

    def network(self, card: ModelCard) -> NetworkMaps | None:
        """Return the probabilities on the network's grid by the names on its card."""
        if self.probabilities is None or self.route is None:
            return None
        channels = {name: channel for channel, name in card.foreground.items()}
        return NetworkMaps(self.route.from_network(self.probabilities), channels, self.route)


def answer(
    scene: Scene, model: Model, body: np.ndarray, *, view: View = AS_ITS_CARD_SAYS, progress: Progress = SILENT
) -> Answer:
    """Show a network the part of a scan where the body is, (i, j, k) bool; nothing where that is empty."""
    if model.card.pipeline != "ctatlas":
        raise ModelError(f"{model.card.name}: a model of nnU-Net gives labels alone, of which there is no mean")
    if not body.any():
        return Answer()
    seen = Model(view.card(model.card), model.backend)
    prepared = prepare(scene.volume, seen.card, body, view.shift, scene)
    probabilities = view.through(prepared, model.card, partial(predict, model=seen, progress=progress))
    return Answer(restore(probabilities, prepared.route), probabilities, prepared.route)


def _decided(
    answered: Answer,
    card: ModelCard,
    grid: Grid,
    *,
    progress: Progress,
    save_probabilities: Collection[str],
    save_entropy: bool,
) -> Inferred:
    asked = {name: channel for channel, name in card.foreground.items() if name in save_probabilities}
    return Inferred(
        decide(answered.slabs, card, grid, progress=progress),
        ProbabilityMaps(answered.slabs, asked, grid) if asked else {},
        entropy_map(answered.slabs, card, grid, progress=progress) if save_entropy else None,
    )
