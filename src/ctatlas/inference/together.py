"""Several models and one scan: their mean probability, structure by structure, and where they differ.

Each model works at its own spacing and in its own order of axes. They meet on the scan's grid, a slab of slices at a
time: a `MeanSlab` is to the stages after it what the slab of one model is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np

from ctatlas.inference.certainty import MapsWhenAsked, ProbabilityMaps, note_entropy
from ctatlas.inference.decide import Deciding, deciding_by
from ctatlas.inference.engine import Inferred, answer, answering, calibrated_masks
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
    grid, steps = scene.volume.grid, _Sum(progress)
    masks = calibrated_masks(scene, joined.cards, progress=progress)
    looks = [(model, _body(scene, model.card)) for model in models]
    answers: list[Iterable[Part]]
    if save_probabilities:  # maps are made when they are asked for, so that slabs are held
        answers = [answer(scene, model, body, progress=steps).slabs for model, body in looks]
    else:
        answers = [answering(scene, model, body, progress=steps) for model, body in looks]
    alone = [deciding_by(model.card, grid) for model in models if keep_members]
    if keep_members:
        answers = [_noting(told, deciding) for told, deciding in zip(answers, alone, strict=True)]
    fields = [_Field(card, names, deciding_by(card, grid)) for card, names in fields_of(joined)]
    doubts = [np.zeros(grid.shape, np.uint8, order="F") for _ in fields if save_entropy]
    differ = np.zeros(grid.shape, np.uint8, order="F") if save_disagreement else None
    for number, slab in mean_slabs(fields, answers, masks, joined):
        fields[number].deciding.take(slab)
        if save_entropy:
            note_entropy(slab, fields[number].card, doubts[number])
        if differ is not None:
            slab.note_disagreement(differ)
        if save_probabilities:
            fields[number].held.append(slab)
    found = Segmentation(grid)
    for one in fields:
        found = found.with_masks(one.deciding.segmentation().items())
    found = found.select(joined.card.foreground.values())
    asked = [each.name for each in joined.card.classes if each.is_structure] if save_probabilities else []
    mean = Inferred(
        found.with_masks({name: masks[name] for name in joined.card.calibrated.structures}),
        MapsWhenAsked.of(*(_maps(one.held, one.card, asked, grid) for one in fields)),
        most_of(doubts) if save_entropy else None,
        why_nothing=scene.calibrated.why_nothing if masks else "",
    )
    theirs = zip(alone, models, strict=False)
    return Together(mean, tuple(_whole(deciding, model.card, masks) for deciding, model in theirs), differ)


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """Classes that are decided together: a card to decide by, the class of each channel, and what was decided."""

    card: ModelCard
    names: tuple[str, ...]
    deciding: Deciding
    held: list[MeanSlab] = field(default_factory=list)


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

    def note_disagreement(self, into: np.ndarray) -> None:
        """Put where the models differ into a map (i, j, k) uint8, if it is more than what stands there.

        Notes
        -----
        255: half are sure of a structure and half that it is not there. Twice the standard deviation of what models
        say, as in the attention of an atlas; of all structures the one in which they differ most counts. 0 where one
        model speaks alone.
        """
        most = self._zeros()
        for channel in range(self.n_classes):
            np.maximum(most, self.spread(channel), out=most)
        here = into[self.box.slices]
        np.maximum(here, np.rint(most.clip(0, 1) * 255).astype(np.uint8), out=here)

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
    fields: Sequence[_Field], answers: Sequence[Iterable[Part]], masks: Mapping[str, np.ndarray], joined: Joint
) -> Iterator[tuple[int, MeanSlab]]:
    """Lay the slabs of several models over one another as they come, and yield them for one field after the other.

    Parameters
    ----------
    fields : sequence of _Field
    answers : sequence of iterables of Part
        By each model, in the order of the slices; each is gone through once.
    masks : mapping of str to (i, j, k) bool
        What HU gives.
    joined : Joint
    """
    for first, last, told in meeting(answers):
        boxes = [part.box for part in told if part is not None]
        (a, b), (d, e) = (
            np.min([box.lo[:2] for box in boxes], axis=0).tolist(),
            np.max([box.hi[:2] for box in boxes], axis=0).tolist(),
        )
        for number, one in enumerate(fields):
            yield number, MeanSlab(Box((a, b, first), (d, e, last)), one.names, told, masks, joined)


def meeting(answers: Sequence[Iterable[Part]]) -> Iterator[tuple[int, int, tuple[Part | None, ...]]]:
    """Yield slices first to last with what each model says of them, None where one did not look.

    Models may cut the scan differently: slices end where the slab of any ends.
    """
    coming = [iter(answer) for answer in answers]
    now = [next(each, None) for each in coming]
    k = 0
    while there := [part.box for part in now if part is not None]:
        k = max(k, min(box.lo[2] for box in there))
        told = tuple(part if part is not None and part.box.lo[2] <= k else None for part in now)
        last = min(box.hi[2] if box.lo[2] <= k else box.lo[2] for box in there)
        yield k, last, told
        now = [
            next(each, None) if part is not None and part.box.hi[2] <= last else part
            for each, part in zip(coming, now, strict=True)
        ]
        k = last


def fields_of(joint: Joint) -> list[tuple[ModelCard, tuple[str, ...]]]:
    """Return every field as a card to decide by, with the class of each of its channels."""
    by_name = {each.name: each for each in joint.card.classes}
    background = joint.card.classes[0]
    found = []
    for one in joint.fields:
        classes = [by_name[name] for name in one.names]
        if one.threshold is None:
            classes.insert(0, background)
        numbered = tuple(each.model_copy(update={"channel": number}) for number, each in enumerate(classes))
        decides = {"decide": "argmax"} if one.threshold is None else {"decide": "threshold", "threshold": one.threshold}
        names = tuple("" if each.role == "background" else each.name for each in classes)
        found.append((joint.card.model_copy(update={"classes": numbered, **decides}), names))
    return found


def _body(scene: Scene, card: ModelCard) -> np.ndarray:
    """Return where a model looks; nnU-Net's look everywhere, and no body need be found for them."""
    return scene.calibrated.body if card.pipeline == "ctatlas" else np.ones((1, 1, 1), np.bool_)


def _noting(parts: Iterable[Part], deciding: Deciding) -> Iterator[Part]:
    """Pass on what a model says, and decide it as by that model alone."""
    for part in parts:
        deciding.take(part)
        yield part


def _whole(deciding: Deciding, card: ModelCard, masks: Mapping[str, np.ndarray]) -> Inferred:
    found = deciding.segmentation()
    return Inferred(found.with_masks({name: masks[name] for name in card.calibrated.structures}))


class _Sum:
    """Tell of the steps of several models, which run side by side, as of one."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.total, self.done = progress, 0, 0

    def stage(self, name: str, total: int) -> None:
        """Hear that a model begins."""
        self.total += total
        self.progress.stage(name, self.total)
        self.progress.advance(self.done)

    def advance(self, steps: int = 1) -> None:
        """Hear that so many steps are done."""
        self.done += steps
        self.progress.advance(steps)


def _maps(slabs: Sequence[MeanSlab], card: ModelCard, asked: Collection[str], grid: Grid) -> ProbabilityMaps:
    channels = {name: channel for channel, name in card.foreground.items() if name in asked}
    return ProbabilityMaps(slabs, channels, grid)


def most_of(maps: Iterable[np.ndarray]) -> np.ndarray:
    """Return the largest value at each voxel of at least one map; the first is overwritten."""
    return reduce(lambda one, other: np.maximum(one, other, out=one), maps)
