"""Several models and one scan: their mean probability, structure by structure, and where they differ.

Each model works at its own spacing and in its own order of axes. They meet on the scan's grid, a slab of slices at a
time: a `MeanSlab` is to the stages after it what the slab of one model is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import numpy as np

from ctatlas.inference.certainty import MapsWhenAsked, ProbabilityMaps, entropy_map
from ctatlas.inference.decide import decide
from ctatlas.inference.engine import Inferred, answer, calibrated_masks
from ctatlas.inference.joint import Joint, Voice
from ctatlas.inference.restore import Part
from ctatlas.inference.scene import Scene
from ctatlas.kernels.boxes import Box
from ctatlas.kernels.spread import spread
from ctatlas.models import Model, ModelCard
from ctatlas.progress import SILENT, Progress
from ctatlas.volume.grid import Grid
from ctatlas.volume.segmentation import Segmentation

# Less than a step of 1/255 in what is written.
_NEGLIGIBLE = 1e-3


@dataclass(frozen=True, slots=True)
class Together:
    """What several models find in a scan.

    Attributes
    ----------
    mean : Inferred
        By their mean probability: the classes of the joint card, not yet tidied.
    members : tuple of Inferred
        What each finds by itself, when that was asked for; not yet tidied.
    disagreement : (i, j, k) uint8 or None
        255 where half are sure of a structure and half are sure that it is not there.
    """

    mean: Inferred
    members: tuple[Inferred, ...] = ()
    disagreement: np.ndarray | None = None


def infer_together(
    scene: Scene,
    models: Sequence[Model],
    joined: Joint,
    *,
    progress: Progress = SILENT,
    save_probabilities: bool = False,
    save_entropy: bool = False,
    save_disagreement: bool = False,
    keep_members: bool = False,
) -> Together:
    """Find what several models find in one scan by their mean probability.

    Parameters
    ----------
    scene : Scene
    models : sequence of Model
    joined : Joint
        Of their cards, see `joint`.
    progress : Progress, optional
    save_probabilities, save_entropy : bool, optional
        Whether the means' probabilities and entropy are wanted too.
    save_disagreement : bool, optional
        Whether the map of where the models differ is wanted too.
    keep_members : bool, optional
        Whether what each finds by itself is wanted too.

    Raises
    ------
    ModelError
        When a card asks for a calibrated structure that nothing here can find, or a network fails.
    """
    grid = scene.volume.grid
    masks = calibrated_masks(scene, joined.cards, progress=progress)
    answers = [answer(scene, model, _body(scene, model.card), progress=progress).slabs for model in models]
    members = tuple(
        _alone(slabs, model.card, masks, grid, progress)
        for slabs, model in zip(answers, models, strict=True)
        if keep_members
    )
    fields = [(card, mean_slabs(names, answers, masks, joined)) for card, names in fields_of(joined)]
    found = Segmentation(grid)
    for card, slabs in fields:
        found = found.with_masks(decide(slabs, card, grid, progress=progress).items())
    found = found.select(joined.card.foreground.values())
    asked = [each.name for each in joined.card.classes if each.is_structure] if save_probabilities else []
    mean = Inferred(
        found.with_masks({name: masks[name] for name in joined.card.calibrated.structures}),
        MapsWhenAsked.of(*(_maps(slabs, card, asked, grid) for card, slabs in fields)),
        most_of(entropy_map(slabs, card, grid, progress=progress) for card, slabs in fields) if save_entropy else None,
        why_nothing=scene.calibrated.why_nothing if masks else "",
    )
    differ = (
        most_of(disagreement_map(slabs, grid, progress=progress) for _, slabs in fields) if save_disagreement else None
    )
    return Together(mean, members, differ)


@dataclass(frozen=True, slots=True, eq=False)
class MeanSlab:
    """Some slices of the scan, and what the models say there of the structures of a field.

    Attributes
    ----------
    box : Box
        Of voxels of the scan.
    names : tuple of str
        The class of every channel; "" is nothing of all that.
    told : tuple of (Part or None)
        By each model, None where one did not look.
    masks : mapping of str to (i, j, k) bool
        What HU gives, on the whole scan.
    joint : Joint
    """

    box: Box
    names: tuple[str, ...]
    told: tuple[Part | None, ...]
    masks: Mapping[str, np.ndarray]
    joint: Joint

    @property
    def n_classes(self) -> int:
        """Count the channels."""
        return len(self.names)

    def highest(self, channel: int) -> float:
        """Return a bound that no voxel's probability of a class exceeds."""
        if not self.names[channel]:
            return 1.0
        voices = self.joint.voices[self.names[channel]]
        return sum(self._highest(voice) for voice in voices) / len(voices)

    def probability(self, channel: int) -> np.ndarray:
        """Return the mean probability of one class at every voxel of the box, (i, j, k) float32."""
        if self.names[channel]:
            voices = self.joint.voices[self.names[channel]]
            return sum(map(self.said, voices), self._zeros()) / np.float32(len(voices))
        others = (self.probability(other) for other, name in enumerate(self.names) if name)
        return np.asarray((1 - sum(others, self._zeros())).clip(0, 1))

    def spread(self, channel: int) -> np.ndarray:
        """Return how far the models lie apart about a class, (i, j, k) float32 within 0..1."""
        voices = self.joint.voices[self.names[channel]] if self.names[channel] else ()
        total, squares = self._zeros(), self._zeros()
        if len(voices) < 2 or self.highest(channel) < _NEGLIGIBLE:
            return total
        for voice in voices:
            said = self.said(voice)
            total += said
            squares += said * said
        return spread(len(voices), total, squares)

    def said(self, voice: Voice) -> np.ndarray:
        """Return what one model says of a class, (i, j, k) float32."""
        slab, card = self.told[voice.member], self.joint.cards[voice.member]
        parts = [self.masks[name][self.box.slices].astype(np.float32) for name in voice.calibrated]
        if slab is not None:
            parts += [self._placed(slab, slab.probability(channel)) for channel in voice.channels]
        if len(parts) == 1:
            return parts[0]
        together = np.add if card.decide == "argmax" else np.maximum
        return np.asarray(np.minimum(together.reduce([self._zeros(), *parts]), 1), np.float32)

    def _highest(self, voice: Voice) -> float:
        slab = self.told[voice.member]
        bounds = [slab.highest(channel) for channel in voice.channels] if slab is not None else []
        return 1.0 if voice.calibrated else min(1.0, sum(bounds))

    def _zeros(self) -> np.ndarray:
        return np.zeros(self.box.shape, np.float32, order="F")

    def _placed(self, slab: Part, values: np.ndarray) -> np.ndarray:
        """Cut or pad what a model says to the box."""
        if slab.box == self.box:
            return values
        found = self._zeros()
        lo = np.maximum(slab.box.lo, self.box.lo)
        hi = np.minimum(slab.box.hi, self.box.hi)
        into, out_of = (
            tuple(slice(low - start, high - start) for low, high, start in zip(lo, hi, box.lo, strict=True))
            for box in (self.box, slab.box)
        )
        found[into] = values[out_of]
        return found


def mean_slabs(
    names: Sequence[str], answers: Sequence[Sequence[Part]], masks: Mapping[str, np.ndarray], joint: Joint
) -> list[MeanSlab]:
    """Lay the slabs of several models over one another.

    Parameters
    ----------
    names : sequence of str
        The class of every channel; "" is nothing of all that.
    answers : sequence of sequences of Slab
        By each model, in the order of the slices.
    masks : mapping of str to (i, j, k) bool
        What HU gives.
    joint : Joint
    """
    slabs = [slab for answer in answers for slab in answer]
    if not slabs:
        return []
    lo = np.min([slab.box.lo for slab in slabs], axis=0).tolist()
    hi = np.max([slab.box.hi for slab in slabs], axis=0).tolist()
    cuts = sorted({end for slab in slabs for end in (slab.box.lo[2], slab.box.hi[2])})
    found = []
    for first, last in pairwise(cuts):
        told = tuple(next((slab for slab in answer if _covers(slab, first)), None) for answer in answers)
        box = Box((lo[0], lo[1], first), (hi[0], hi[1], last))
        found.append(MeanSlab(box, tuple(names), told, masks, joint))
    return found


def fields_of(joint: Joint) -> list[tuple[ModelCard, tuple[str, ...]]]:
    """Return every field as a card to decide by, with the class of each of its channels."""
    by_name = {each.name: each for each in joint.card.classes}
    background = joint.card.classes[0]
    found = []
    for field in joint.fields:
        classes = [by_name[name] for name in field.names]
        if field.threshold is None:
            classes.insert(0, background)
        numbered = tuple(each.model_copy(update={"channel": number}) for number, each in enumerate(classes))
        decides = (
            {"decide": "argmax"} if field.threshold is None else {"decide": "threshold", "threshold": field.threshold}
        )
        names = tuple("" if each.role == "background" else each.name for each in classes)
        found.append((joint.card.model_copy(update={"classes": numbered, **decides}), names))
    return found


def disagreement_map(slabs: Sequence[MeanSlab], grid: Grid, *, progress: Progress = SILENT) -> np.ndarray:
    """Tell where models differ, (i, j, k) uint8: 255 where half are sure of a structure and half that it is not there.

    Notes
    -----
    Twice the standard deviation of what models say of a structure, as in the attention of an atlas; of all structures
    the one in which they differ most counts. 0 where one model speaks alone, and outside the slabs.
    """
    found = np.zeros(grid.shape, np.uint8, order="F")
    progress.stage("disagreement", len(slabs))
    for slab in slabs:
        most = np.zeros(slab.box.shape, np.float32)
        for channel in range(slab.n_classes):
            np.maximum(most, slab.spread(channel), out=most)
        found[slab.box.slices] = np.rint(most.clip(0, 1) * 255).astype(np.uint8)
        progress.advance()
    return found


def _covers(slab: Part, k: int) -> bool:
    return slab.box.lo[2] <= k < slab.box.hi[2]


def _body(scene: Scene, card: ModelCard) -> np.ndarray:
    """Return where a model looks; nnU-Net's look everywhere, and no body need be found for them."""
    return scene.calibrated.body if card.pipeline == "ctatlas" else np.ones((1, 1, 1), np.bool_)


def _alone(
    slabs: Sequence[Part], card: ModelCard, masks: Mapping[str, np.ndarray], grid: Grid, progress: Progress
) -> Inferred:
    """Decide what one model finds by itself."""
    found = decide(slabs, card, grid, progress=progress)
    return Inferred(found.with_masks({name: masks[name] for name in card.calibrated.structures}))


def _maps(slabs: Sequence[MeanSlab], card: ModelCard, asked: Collection[str], grid: Grid) -> ProbabilityMaps:
    channels = {name: channel for channel, name in card.foreground.items() if name in asked}
    return ProbabilityMaps(slabs, channels, grid)


def most_of(maps: Iterable[np.ndarray]) -> np.ndarray:
    """Return the largest value at each voxel of at least one map; the first is overwritten."""
    return reduce(lambda one, other: np.maximum(one, other, out=one), maps)
