"""Public checkpoints of others: what they are, where they lie, under which terms; not one of them is brought along.

`cards/` holds a card for each that runs here as it is, `checkpoints.toml` the others, `public` reads both. The files
behind the addresses belong to their authors.
"""

from ctatlas.models.catalogue.public import Entry, entries, entry_of_file

__all__ = ["Entry", "entries", "entry_of_file"]
