"""The stages in their order: a volume and a model → what the model finds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from ctatlas.errors import ModelError
from ctatlas.inference.certainty import NetworkMaps, ProbabilityMaps, entropy_map, noting_entropy
from ctatlas.inference.decide import decide
from ctatlas.inference.predict import predict, predicted
from ctatlas.inference.prepare import Prepared, prepare
from ctatlas.inference.restore import Part, Slab, restore, restored
from ctatlas.inference.route import Route
from ctatlas.inference.scene import Scene
from ctatlas.inference.view import AS_ITS_CARD_SAYS, View
from ctatlas.models import Model, ModelCard
from ctatlas.progress import SILENT, Progress
from ctatlas.volume.scan import Volume
from ctatlas.volume.segmentation import Segmentation


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
    card, scene = model.card, scene or Scene(volume)
    if card.pipeline == "nnunet":
        from ctatlas.inference.nnunet.inferred import infer_nnunet

        _refuse_views(card, view)
        return infer_nnunet(
            volume,
            model,
            progress=progress,
            save_probabilities=save_probabilities,
            save_entropy=save_entropy,
            keep_network=keep_network,
        )
    masks = calibrated_masks(scene, [card], progress=progress)
    wanted = [each.name for each in card.classes if each.is_structure] if save_probabilities else []
    asked = _Wanted(wanted, entropy=save_entropy, network=keep_network)
    found = _found(scene, model, scene.calibrated.body, asked, view=view, progress=progress)
    whole = found.segmentation.with_masks({name: masks[name] for name in card.calibrated.structures})
    return replace(found, segmentation=whole, why_nothing=scene.calibrated.why_nothing)


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
    wanted = _Wanted(save_probabilities, entropy=save_entropy, network=keep_network)
    return _found(Scene(volume), model, body, wanted, view=view, progress=progress)


def calibrated_masks(
    scene: Scene, cards: Sequence[ModelCard], *, progress: Progress = SILENT
) -> Mapping[str, np.ndarray]:
    """Return what HU gives, by name, when it has all that cards ask of it; nothing for models of nnU-Net alone.

    Raises
    ------
    ModelError
    """
    progress.stage("body", 1)
    looks = any(card.pipeline == "ctatlas" for card in cards)
    masks = scene.calibrated.masks() if looks else {}
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
    slabs : sequence of Part
        On the scan's grid, in the order of its slices; none where there is no body.
    probabilities : (c, x, y, z) float32 or None
        On the network's grid.
    route : Route or None
    """

    slabs: Sequence[Part] = ()
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
    """Show a network the part of a scan where the body is, (i, j, k) bool; nothing where that is empty.

    A model of nnU-Net is shown the whole scan, as nnU-Net would.
    """
    if model.card.pipeline == "nnunet":
        from ctatlas.inference.nnunet.parts import answer_nnunet

        _refuse_views(model.card, view)
        return Answer(answer_nnunet(scene.volume, model, progress=progress))
    shown = _show(scene, model, body, view)
    if shown is None:
        return Answer()
    prepared, seen = shown
    probabilities = view.through(prepared, model.card, partial(predict, model=seen, progress=progress))
    return Answer(restore(probabilities, prepared.route), probabilities, prepared.route)


def answering(scene: Scene, model: Model, body: np.ndarray, *, progress: Progress = SILENT) -> Iterable[Part]:
    """Answer as `answer`, slab after slab as windows complete them; of what was passed on nothing is held.

    Models of nnU-Net hold the logits of the whole scan in half precision.
    """
    if model.card.pipeline == "nnunet":
        return answer(scene, model, body, progress=progress).slabs
    shown = _show(scene, model, body, AS_ITS_CARD_SAYS)
    return () if shown is None else restored(predicted(*shown, progress=progress), shown[0].route)


def _show(scene: Scene, model: Model, body: np.ndarray, view: View) -> tuple[Prepared, Model] | None:
    """Prepare the part of a scan where the body is, and the model for the view; nothing where there is no body."""
    if not body.any():
        return None
    seen = Model(view.card(model.card), model.backend)
    return prepare(scene.volume, seen.card, body, view.shift, scene), seen


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked for beside the segmentation: probabilities of classes by name, entropy, the network's own grid."""

    probabilities: Collection[str] = ()
    entropy: bool = False
    network: bool = False


def _found(
    scene: Scene, model: Model, body: np.ndarray, wanted: _Wanted, *, view: View, progress: Progress
) -> Inferred:
    """Find a network's classes; its probabilities are held whole only where they are asked for, or mirrored."""
    if not (wanted.probabilities or wanted.network or view.mirrored):
        return _passing(scene, model, body, view=view, progress=progress, entropy=wanted.entropy)
    answered, card, grid = answer(scene, model, body, view=view, progress=progress), model.card, scene.volume.grid
    asked = {name: channel for channel, name in card.foreground.items() if name in wanted.probabilities}
    return Inferred(
        decide(answered.slabs, card, grid, progress=progress),
        ProbabilityMaps(answered.slabs, asked, grid) if asked else {},
        entropy_map(answered.slabs, card, grid, progress=progress) if wanted.entropy else None,
        answered.network(card) if wanted.network else None,
    )


def _passing(
    scene: Scene, model: Model, body: np.ndarray, *, view: View, progress: Progress, entropy: bool
) -> Inferred:
    """Decide slabs as windows complete them, and forget them."""
    card, grid = model.card, scene.volume.grid
    shown = _show(scene, model, body, view)
    slabs: Iterable[Slab] = ()
    if shown is not None:
        slabs = restored(predicted(*shown, progress=progress), shown[0].route)
    doubt = np.zeros(grid.shape, np.uint8, order="F") if entropy else None
    parts = slabs if doubt is None else noting_entropy(slabs, card, doubt)
    return Inferred(decide(parts, card, grid, progress=progress), entropy=doubt)
