"""Options as nnU-Net takes them: `-f 0 1 2` is three values, `-h` asks for help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from typer.core import TyperCommand


class AsNnunet(TyperCommand):
    """A command whose options that may be given several times take all values that follow their name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.context_settings = {**self.context_settings, "help_option_names": ["-h", "--help"]}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give each value a name of its own before the words are read."""
        several = {name for option in self.params if getattr(option, "multiple", False) for name in option.opts}
        return super().parse_args(ctx, list(spread(args, several)))


def spread(words: Sequence[str], several: set[str]) -> Iterator[str]:
    """Repeat the names of options before each of their values.

    Examples
    --------
    >>> list(spread(["-f", "0", "1", "-o", "out"], {"-f"}))
    ['-f', '0', '-f', '1', '-o', 'out']
    """
    name, n_values = "", 0
    for word in words:
        if word.startswith("-"):
            name, n_values = word, 0
        elif name in several:
            n_values += 1
            if n_values > 1:
                yield name
        yield word
