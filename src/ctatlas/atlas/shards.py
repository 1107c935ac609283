"""A part of the cases, for one of several jobs that share an atlas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from ctatlas.errors import AtlasError

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Shard:
    """Job `number` of `total`, counted from 1; together they do every case once.

    Examples
    --------
    >>> [Shard.of("2/3").part_of(list("abcdefg"))]
    [['b', 'e']]
    """

    number: int
    total: int

    @classmethod
    def of(cls, text: str) -> Shard:
        """Read what a person wrote, such as "2/8".

        Raises
        ------
        AtlasError
            When it is not that.
        """
        number, _, total = text.partition("/")
        if not (number.isdecimal() and total.isdecimal() and 1 <= int(number) <= int(total)):
            raise AtlasError(f"--shard {text}: expected NUMBER/TOTAL, such as 2/8, counted from 1")
        return cls(int(number), int(total))

    def part_of(self, items: Sequence[Item]) -> list[Item]:
        """Return every `total`-th item from the `number`-th on."""
        return list(items[self.number - 1 :: self.total])
