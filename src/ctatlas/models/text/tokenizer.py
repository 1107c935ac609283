"""CLIP's tokenizer: byte-pair encoding after the `vocab.json` and `merges.txt` in an encoder's folder.

Source: Radford et al. 2021, `simple_tokenizer.py`; Sennrich et al. 2016.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import cast

from ctatlas.errors import ModelError

START, END = "<|startoftext|>", "<|endoftext|>"
_SUFFIX = "</w>"
_CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")
_AT_MOST_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """Pieces of words, and which pairs of them are joined first.

    Attributes
    ----------
    vocabulary : mapping of str to int
    ranks : mapping of (str, str) to int
        A pair of pieces -> its line in the table of merges.
    """

    vocabulary: Mapping[str, int]
    ranks: Mapping[tuple[str, str], int]

    @property
    def end(self) -> int:
        """Return the number that ends a text."""
        return self.vocabulary[END]

    def numbers(self, text: str, at_most: int) -> list[int]:
        """Cut a text into numbers, with that of its start and its end.

        Raises
        ------
        ModelError
            When the text is empty, or makes more than `at_most` numbers.
        """
        pieces = [piece for word in words_of(text) for piece in self._pieces(word)]
        if not pieces:
            raise ModelError(f"{text!r}: no text to embed")
        if unknown := [piece for piece in pieces if piece not in self.vocabulary]:
            raise ModelError(
                f"{text!r}: the vocabulary does not have {unknown[0]!r}: vocab.json and merges.txt don't fit"
            )
        if len(pieces) + 2 > at_most:
            raise ModelError(
                f"{text[:60]!r}…: {len(pieces)} pieces of words, the encoder reads {at_most - 2}; say it shorter"
            )
        return [self.vocabulary[START], *(self.vocabulary[piece] for piece in pieces), self.end]

    def _pieces(self, word: str) -> list[str]:
        """Join the bytes of a word, pair by pair, the earliest pair of the table first."""
        letters = [_LETTER_OF[byte] for byte in word.encode()]
        parts = [*letters[:-1], letters[-1] + _SUFFIX]
        while len(parts) > 1:
            pair = min(pairwise(parts), key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if pair not in self.ranks:
                break
            parts = _joined(parts, pair)
        return parts


def read_tokenizer(folder: Path) -> Tokenizer:
    """Read `vocab.json` and `merges.txt`.

    Raises
    ------
    ModelError
        When one is missing or broken.
    """
    vocabulary = _json(folder / "vocab.json")
    if not vocabulary or not all(isinstance(number, int) and number >= 0 for number in vocabulary.values()):
        raise ModelError(f"{folder / 'vocab.json'}: expected pieces of words with their numbers")
    if missing := [mark for mark in (START, END) if mark not in vocabulary]:
        raise ModelError(f"{folder / 'vocab.json'}: has no {missing[0]}: not the vocabulary of a CLIP")
    lines = _text(folder / "merges.txt").splitlines()
    pairs = [line.split() for line in lines if line.strip() and not line.startswith("#version")]
    if wrong := [pair for pair in pairs if len(pair) != 2]:
        raise ModelError(f"{folder / 'merges.txt'}: expected two pieces a line, found {' '.join(wrong[0])[:60]!r}")
    return Tokenizer(cast("dict[str, int]", vocabulary), {(a, b): rank for rank, (a, b) in enumerate(pairs)})


def words_of(text: str) -> Iterator[str]:
    """Cut a text into words, contractions, single digits and runs of signs, all lower case.

    Examples
    --------
    >>> list(words_of("Vertebra L1's  (left)"))
    ['vertebra', 'l', '1', "'s", '(', 'left', ')']
    """
    text = re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip().lower()
    at = 0
    while at < len(text):
        found = next((each for each in (START, END, *_CONTRACTIONS) if text.startswith(each, at)), None)
        if found is None:
            kind, end = _kind(text[at]), at + 1
            while kind in "LS" and end < len(text) and _kind(text[end]) == kind:
                end += 1
            found = text[at:end] if kind != " " else ""
            at = end
        else:
            at += len(found)
        if found:
            yield found


def _kind(letter: str) -> str:
    """Tell letters (L), numbers (N), white space and all other signs (S) apart."""
    category = unicodedata.category(letter)[0]
    return category if category in "LN" else " " if letter.isspace() else "S"


def _joined(parts: list[str], pair: tuple[str, str]) -> list[str]:
    joined: list[str] = []
    at = 0
    while at < len(parts):
        whole = tuple(parts[at : at + 2]) == pair
        joined.append("".join(pair) if whole else parts[at])
        at += 2 if whole else 1
    return joined


def _letters() -> dict[int, str]:
    """Give every byte a letter that can be seen, as the tables of merges write it."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in seen]
    return {byte: chr(byte) for byte in seen} | {byte: chr(256 + number) for number, byte in enumerate(others)}


_LETTER_OF = _letters()


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _AT_MOST_BYTES:
            raise ModelError(f"{path}: larger than any tokenizer's table; refused")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ModelError(f"{path}: can't be read: {why}; an encoder's folder has vocab.json and merges.txt") from None


def _json(path: Path) -> dict[str, object]:
    try:
        found = json.loads(_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ModelError(f"{path}: no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path}: expected a table of pieces of words and numbers")
    return found
