"""A card together with a network that runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ctatlas.errors import ModelError
from ctatlas.models.cards import ModelCard

if TYPE_CHECKING:
    import numpy as np


class Backend(Protocol):
    """Run one network."""

    @property
    def workers(self) -> int:
        """Say how many calls of `logits` may run at once, from threads, without changing any result."""

    @property
    def n_channels(self) -> int | None:
        """Say how many channels the network declares to take; None where it leaves that open."""

    @property
    def n_classes(self) -> int | None:
        """Say how many classes the network declares to give; None where it leaves that open."""

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
