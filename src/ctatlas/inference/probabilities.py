"""From logits to probabilities, some planes at a time, so that what is worked on stays in a core's cache."""

from __future__ import annotations

import numpy as np

from ctatlas.models import ModelCard

# Numbers at once: 1 MB float32.
_AT_ONCE = 2**18


def probabilities_of(logits: np.ndarray, card: ModelCard, *, in_place: bool = False) -> np.ndarray:
    """Turn logits (n, c, x, y, z) into probabilities: of one class among all, or of each class alone.

    In place, float32 logits that may be written to become the probabilities, so that no second array is held.
    """
    fits = in_place and logits.dtype == np.float32 and logits.flags.writeable
    found = logits if fits else np.empty(logits.shape, np.float32)
    each_of = _alone if card.decide == "threshold" else _among_all
    thickness = max(1, _AT_ONCE // max(1, logits[0, :, 0].size))
    for one, own in zip(logits, found, strict=True):
        for x in range(0, one.shape[1], thickness):
            each_of(one[:, x : x + thickness], own[:, x : x + thickness])
    return found


def _alone(logits: np.ndarray, out: np.ndarray) -> None:
    """Fill in 1 / (1 + exp(-logit))."""
    np.negative(logits, out=out)
    with np.errstate(over="ignore"):  # a probability too small for float32 is 0
        np.exp(out, out=out)
    out += 1
    np.reciprocal(out, out=out)


def _among_all(logits: np.ndarray, out: np.ndarray) -> None:
    """Fill in exp(logit) over the sum of all classes' (c, …), the largest logit subtracted first."""
    np.subtract(logits, logits.max(axis=0), out=out)
    np.exp(out, out=out)
    out /= out.sum(axis=0)
