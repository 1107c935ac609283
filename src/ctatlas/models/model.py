"""A card together with a network that runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ctatlas.errors import ModelError
from ctatlas.models.cards import ModelCard


class Backend(Protocol):
    """Run one network.

    Attributes
    ----------
    workers : int
        How many calls of `logits` may run at once, from threads, without changing any result.
    n_channels, n_classes : int or None
        What the network itself declares; None where it leaves that open.
    """

    @property
    def workers(self) -> int: ...

    @property
    def n_channels(self) -> int | None: ...

    @property
    def n_classes(self) -> int | None: ...

    def logits(self, windows: np.ndarray) -> np.ndarray:
        """Turn windows (n, channels, x, y, z) float32 into logits (n, classes, x, y, z) float32."""


@dataclass(frozen=True, slots=True)
class Model:
    """What `infer` needs of a model."""

    card: ModelCard
    backend: Backend

    def logits(self, windows: np.ndarray) -> np.ndarray:
        """Turn windows (n, channels, x, y, z) float32 into logits (n, classes, x, y, z) float32.

        Raises
        ------
        ModelError
            When the network gives another shape than its card promises.
        """
        found = self.backend.logits(windows)
        expected = (len(windows), len(self.card.classes), *windows.shape[2:])
        if found.shape != expected:
            raise ModelError(f"{self.card.name}: the network gave logits {found.shape}; its card promises {expected}")
        return found
