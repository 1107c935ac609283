"""Which structures of a case need attention."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ctatlas.atlas.attention.published import published_rules


def untrusted(structures: Iterable[str], trusted: Collection[str]) -> list[str]:
    """Return the structures without a trusted label, in the order given.

    Which labels are trusted is the caller's choice: those that annotators revised, and those that came with the scan
    unless these are to be checked as well.
    """
    return [name for name in structures if name not in trusted]


def published_targets(annotated: Collection[str]) -> list[str]:
    """Return the nine structures of the published list less those the dataset annotates, which it never checks."""
    return untrusted(published_rules().targets, annotated)
