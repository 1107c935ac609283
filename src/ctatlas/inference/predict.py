"""Stage 2: the network's probabilities on its own grid, averaged over overlapping windows, some planes at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from ctatlas.inference.planes import Planes, Sums
from ctatlas.inference.prepare import Prepared, normalised
from ctatlas.inference.probabilities import probabilities_of
from ctatlas.inference.windows import SCHEMES, window_boxes
from ctatlas.kernels.boxes import Box, Index
from ctatlas.models import Model, ModelCard
from ctatlas.progress import SILENT, Progress


def predict(prepared: Prepared, model: Model, *, progress: Progress = SILENT) -> np.ndarray:
    """Run the network over all windows that touch the body.

    Parameters
    ----------
    prepared : Prepared
    model : Model
    progress : Progress, optional

    Returns
    -------
    (c, x, y, z) float32
        What `predicted` gives, put together.
    """
    found = np.empty((len(model.card.classes), *prepared.inputs.shape[1:]), np.float32)
    in_scan_order = prepared.route.from_network(found)
    for planes in predicted(prepared, model, progress=progress):
        in_scan_order[:, :, :, planes.first : planes.end] = planes.values
    return found


def predicted(prepared: Prepared, model: Model, *, progress: Progress = SILENT) -> Iterator[Planes]:
    """Run the network over all windows that touch the body, in the order of the scan's slices.

    Parameters
    ----------
    prepared : Prepared
    model : Model
    progress : Progress, optional

    Yields
    ------
    Planes
        Probabilities on the network's grid, as soon as no later window reaches them, one after the other: they sum to 1
        where the card decides by arg-max, and are each in [0, 1] where it decides by threshold. Where no window looked
        there is background, if the card has one. What is held is as thick as a window, however long the scan.

    Notes
    -----
    Probabilities are averaged rather than logits: the average is a probability again, so that after linear
    interpolation the winner of n classes still has at least 1/n, which `restore` makes use of, and one window that is
    very sure cannot outshout the others. Cards whose scheme is that of others average what theirs averages: logits.
    Windows are added in a fixed order, whichever thread or batch they come from, so the sums are always the same.
    """
    card, route = model.card, prepared.route
    inputs, inner = _padded(prepared.inputs, card)
    axis, descending = route.slices
    boxes = _boxes_on_body(prepared.body, inner, inputs.shape[1:], card)
    boxes.sort(key=lambda box: box.lo[axis], reverse=descending)
    groups = [boxes[at : at + card.window.batch] for at in range(0, len(boxes), card.window.batch)]
    sums = Sums(inputs.shape[1:], inner, route, card)
    progress.stage("windows", len(boxes))
    for group, windows in zip(groups, _in_order(model, inputs, groups), strict=True):
        for box, said in zip(group, windows, strict=True):
            yield from sums.done_before(box)
            sums.add(box, said)
        progress.advance(len(group))
    yield from sums.rest()


def _padded(inputs: np.ndarray, card: ModelCard) -> tuple[np.ndarray, Box]:
    """Put the inputs in the middle of at least one window of the card's padding; say where they are."""
    shape = inputs.shape[1:]
    missing = [max(0, length - size) for length, size in zip(card.window.shape, shape, strict=True)]
    a, b, c = (size // 2 for size in missing)
    d, e, f = (lo + size for lo, size in zip((a, b, c), shape, strict=True))
    inner = Box((a, b, c), (d, e, f))
    if not any(missing):
        return inputs, inner
    air = normalised(np.full((1, 1, 1), card.input.padding_hu, np.float32), card.input)
    padded = np.tile(air, (1, *(size + more for size, more in zip(shape, missing, strict=True))))
    padded[(slice(None), *inner.slices)] = inputs
    return padded, inner


def _boxes_on_body(body: np.ndarray, inner: Box, shape: Index, card: ModelCard) -> list[Box]:
    """List the windows of a padded grid in which there is body."""
    padded = np.zeros(shape, np.bool_)
    padded[inner.slices] = body
    boxes = window_boxes(shape, card.window.shape, card.window.overlap, SCHEMES[card.window.scheme])
    return [box for box in boxes if padded[box.slices].any()]


def _in_order(model: Model, inputs: np.ndarray, groups: Sequence[Sequence[Box]]) -> Iterator[np.ndarray]:
    """Yield what is averaged (n, c, x, y, z), group after group; as many run ahead as the backend has workers."""
    blends = SCHEMES[model.card.window.scheme].blends

    def said(group: Sequence[Box]) -> np.ndarray:
        logits = model.logits(np.stack([inputs[(slice(None), *box.slices)] for box in group]))
        return logits if blends == "logits" else probabilities_of(logits, model.card, in_place=True)

    running: deque[Future[np.ndarray]] = deque()
    with ThreadPoolExecutor(model.backend.workers) as pool:
        for group in groups:
            running.append(pool.submit(said, group))
            if len(running) >= model.backend.workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
