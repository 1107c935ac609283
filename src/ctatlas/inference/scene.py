"""One scan before several networks: what is found in it, or made of it, once for all that look."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TypeVar, cast

from ctatlas.inference.calibrated import Calibrated, find_calibrated
from ctatlas.volume.scan import Volume

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A scan, and what was made of it so far.

    Attributes
    ----------
    volume : Volume
    made : dict
        What `once` keeps.
    """

    volume: Volume
    made: dict[Hashable, object] = field(default_factory=dict)

    @property
    def calibrated(self) -> Calibrated:
        """What calibrated HU gives, looked for when it is asked for first."""
        return self.once("calibrated", lambda: find_calibrated(self.volume))

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what `make` gives, made for the first that asks; a key says all that decides it."""
        if key not in self.made:
            self.made[key] = make()
        return cast("Made", self.made[key])
