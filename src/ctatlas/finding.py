"""Infer → tidy: what one model finds in a scan, or several together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from ctatlas.anatomy_rules import Tidied, apply_rules, rules_of
from ctatlas.anatomy_rules.ribs import Steps, repair_ribs
from ctatlas.errors import ModelError
from ctatlas.inference import (
    AS_ITS_CARD_SAYS,
    Inferred,
    MapsWhenAsked,
    Scene,
    View,
    infer,
    infer_together,
    joint,
    listed,
    most_of,
)
from ctatlas.models import Model, ModelCard
from ctatlas.progress import SILENT, Progress
from ctatlas.results import Extras, Found, Naming
from ctatlas.results.repairing import repair_report
from ctatlas.volume import Segmentation, Volume, turn_between

if TYPE_CHECKING:
    import numpy as np

How = Literal["mean", "union"]
_ORIENTATION = "RAS"


def find(
    scan: Volume,
    model: Model,
    *,
    naming: Naming,
    extras: Extras,
    view: View = AS_ITS_CARD_SAYS,
    keep_network: bool = False,
    steps: Steps | None = None,
    progress: Progress = SILENT,
) -> Found:
    """Find the structures of a scan in memory, under canonical names, with the extras that need the network.

    All is done in one order of axes and then turned back, so that how a scan was stored changes no voxel. A `view`
    alters how the network is shown the scan; with `keep_network` its probabilities on its own grid are kept; by `steps`
    ribs and vertebrae are repaired.
    """
    scene = Scene(scan.reoriented(_ORIENTATION))
    one = _alone(scene, model, extras, view=view, keep_network=keep_network, progress=progress)
    return _turned_back(_with_ribs(one, scene, steps), naming, scan)


def find_together(
    scan: Volume,
    models: Sequence[Model],
    *,
    naming: Naming,
    extras: Extras,
    how: How = "mean",
    steps: Steps | None = None,
    progress: Progress = SILENT,
) -> Found:
    """Find the structures of a scan in memory with several models.

    The scan is turned, and its body found, once; it is resampled once for all models of one grid.

    Parameters
    ----------
    scan : Volume
    models : sequence of Model
    naming : Naming
        Of the card that `card_together` gives.
    extras : Extras
    how : "mean" or "union"
        Decide by the mean probability of the models that know a structure, then tidy by the rules of all; or take each
        structure from the first model that has it, decided and tidied as by that model alone.
    steps : Steps, optional
        How ribs and vertebrae are repaired in what they find together; not at all by default.
    progress : Progress, optional

    Returns
    -------
    Found
        Its `members` are what each finds by itself, by the name on its card, where `extras` asks for it.

    Raises
    ------
    ModelError
        When a model is named twice, or models can't be asked together.
    """
    _refuse_twins([model.card for model in models])
    scene = Scene(scan.reoriented(_ORIENTATION))
    whole, members = _WAYS[how].find(scene, models, extras, progress)
    found = _turned_back(_with_ribs(whole, scene, steps), naming, scan)
    return replace(
        found, members={name: _turned_back(one, naming.known_to(one.names), scan) for name, one in members.items()}
    )


def card_together(cards: Sequence[ModelCard], how: How = "mean") -> ModelCard:
    """Return what several models find together as one card: to name outputs by, not to run.

    Raises
    ------
    ModelError
        When a model is named twice, or models can't be asked together.
    """
    _refuse_twins(cards)
    return cards[0] if len(cards) == 1 else _WAYS[how].card(cards)


@dataclass(frozen=True, slots=True)
class _Tidy:
    """What was found in a scan of a standing order of axes, after the rules."""

    inferred: Inferred
    tidied: Tidied
    disagreement: np.ndarray | None = None
    rib_repair: Mapping[str, object] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return self.tidied.segmentation.names


def _alone(
    scene: Scene,
    model: Model,
    extras: Extras,
    *,
    view: View = AS_ITS_CARD_SAYS,
    keep_network: bool = False,
    progress: Progress = SILENT,
) -> _Tidy:
    inferred = infer(
        scene.volume,
        model,
        view=view,
        scene=scene,
        progress=progress,
        save_probabilities=extras.probabilities,
        save_entropy=extras.entropy,
        keep_network=keep_network,
    )
    return _tidy(inferred, model.card, progress)


def _tidy(inferred: Inferred, card: ModelCard, progress: Progress) -> _Tidy:
    progress.stage("tidy", 1)
    tidied = apply_rules(inferred.segmentation, rules_of(card))
    progress.advance()
    return _Tidy(inferred, tidied)


def _with_ribs(one: _Tidy, scene: Scene, steps: Steps | None) -> _Tidy:
    """Repair ribs and vertebrae, where that is asked for."""
    if steps is None:
        return one
    found = repair_ribs(one.tidied.segmentation, hu=scene.volume.array, steps=steps)
    tidied = Tidied(found.segmentation, (*one.tidied.findings, *found.findings))
    return replace(one, tidied=tidied, rib_repair=repair_report(found, steps))


Whole = tuple[_Tidy, Mapping[str, _Tidy]]


def _mean(scene: Scene, models: Sequence[Model], extras: Extras, progress: Progress) -> Whole:
    joined = joint([model.card for model in models])
    together = infer_together(
        scene,
        models,
        joined,
        progress=progress,
        save_probabilities=extras.probabilities,
        save_entropy=extras.entropy,
        save_disagreement=extras.disagreement,
        keep_members=extras.members,
    )
    members = zip(models, together.members, strict=False)
    alone = {model.card.name: _tidy(one, model.card, progress) for model, one in members}
    return replace(_tidy(together.mean, joined.card, progress), disagreement=together.disagreement), alone


def _union(scene: Scene, models: Sequence[Model], extras: Extras, progress: Progress) -> Whole:
    if extras.disagreement:
        raise ModelError("where models differ shows in their mean alone, not where each finds something else")
    alone = {model.card.name: _alone(scene, model, extras, progress=progress) for model in models}
    whole = Segmentation(scene.volume.grid)
    for model in models:
        found = alone[model.card.name].tidied.segmentation
        new = [name for name in model.card.structures if name in found.names and name not in whole.names]
        whole = whole.with_masks((name, found.mask(name)) for name in new) if whole.names else found.select(new)
    said = [one.inferred for one in alone.values()]
    inferred = Inferred(
        whole,
        MapsWhenAsked.of(*(one.probabilities for one in said)),
        most_of(one.entropy for one in said if one.entropy is not None) if extras.entropy else None,
        why_nothing=" + ".join(dict.fromkeys(one.why_nothing for one in said)),
    )
    findings = tuple(finding for one in alone.values() for finding in one.tidied.findings)
    return _Tidy(inferred, Tidied(whole, findings)), alone if extras.members else {}


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to make one of several models."""

    card: Callable[[Sequence[ModelCard]], ModelCard]
    find: Callable[[Scene, Sequence[Model], Extras, Progress], Whole]


_WAYS: dict[str, _Way] = {
    "mean": _Way(lambda cards: joint(cards).card, _mean),
    "union": _Way(listed, _union),
}


def _refuse_twins(cards: Sequence[ModelCard]) -> None:
    names = [card.name for card in cards]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ModelError(f"two models are called {', '.join(twice)}; give each model's card a name of its own")


def _turned_back(one: _Tidy, naming: Naming, scan: Volume) -> Found:
    """Name what was found, with axes in the scan's order."""
    back = turn_between(_ORIENTATION, scan.grid.orientation)
    inferred = one.inferred
    return Found(
        naming.apply(one.tidied.segmentation).reoriented(scan.grid.orientation),
        MapsWhenAsked.of(inferred.probabilities, then=back.array),
        None if inferred.entropy is None else back.array(inferred.entropy),
        inferred.network,
        tuple(each for each in one.tidied.findings if each.structure in naming.needed),
        inferred.why_nothing,
        None if one.disagreement is None else back.array(one.disagreement),
        rib_repair=one.rib_repair,
    )
