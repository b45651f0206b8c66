"""Whether English words stand in an order in which people put them: classes of words in one small table.

The table (``data/word_order.npz``, made by ``training.word_order``) puts each common word into a class of words with
like neighbours and holds, for each pair of classes, how much likelier than by chance one follows the other, in bits
(pointwise mutual information; Church and Hanks, "Word Association Norms", 1990). Every pair of a text that is less
likely than chance speaks for words thrown together, every other one against it (with signs and numbers, as in tables
and compounds, only against it). The heaviest stretch (Kadane, 1984) is
the candidate; what the heaviest of many stretches weighs by chance grows with the logarithm of the text's length
(Karlin and Altschul, 1990), and is taken off.

Limits: English; under some ten words nothing can be said; lists of nouns are in no order, and weigh nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import BytesIO
from itertools import pairwise
from typing import Any, NamedTuple

__all__ = ["SHAPES", "UNIT", "Disorder", "Token", "WordOrder", "load_word_order", "shape", "tokens"]

UNIT = 8
"""Steps of a bit in the table."""

SHAPES = (".", ",", "0", "~", "", "ing", "ed", "ly", "tion", "s", "er", "al", "ic", "y", "en")
"""Classes of what is no common word: ends of sentences, commas, numbers, other signs, and words by their endings."""

_TOKEN = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*|[0-9]+|[.!?\n:;]+|\S")
_KNOWN = 0.6
"""Least share of common words: of other languages, jargon and names the table says nothing."""

_USUAL = 16
"""Words of a text in which there is one stretch to choose."""


class Token(NamedTuple):
    """A word, a number or a sign; words in lower case."""

    text: str
    start: int
    end: int


class Disorder(NamedTuple):
    """The stretch whose words are in the least likely order."""

    start: int
    end: int
    letters: int
    bits: float


def tokens(text: str) -> Iterator[Token]:
    """Words and signs of a text; sentences are divided by one full stop, whatever divides them."""
    last = ""
    for found in _TOKEN.finditer(text):
        word = found.group().lower().replace("\u2019", "'")
        if word[0] in ".!?\n:;":
            word = "."
        elif word[0].isdigit():
            word = "0"
        elif not word[0].isalpha() and word != ",":
            word = "~"
        if word != "." or last != ".":
            yield Token(word, found.start(), found.end())
        last = word


def shape(word: str) -> int:
    """Place among `SHAPES` of what is no common word.

    >>> SHAPES[shape("slithering")]
    'ing'
    """
    if not word[0].isalpha():
        return SHAPES.index(word)
    return next((n for n, s in enumerate(SHAPES[5:], 5) if len(word) > len(s) + 2 and word.endswith(s)), 4)


@dataclass(frozen=True, slots=True)
class WordOrder:
    """The table.

    Attributes:
        classes: of common words.
        first_shape: class of the first of `SHAPES`; the others follow.
        gains: for two classes in a row, bits by which the second is likelier than by chance, times `UNIT`.
    """

    classes: dict[str, int]
    first_shape: int
    gains: Sequence[Sequence[int]]

    def number(self, word: str) -> int:
        """Class of a token."""
        found = self.classes.get(word)
        return self.first_shape + shape(word) if found is None else found

    def order(self, text: str) -> float:
        """Bits by which its words' order is likelier than by chance; 0 where the table knows few of them."""
        read = list(tokens(text))
        if not self._knows(read):
            return 0.0
        numbers = [self.number(token.text) for token in read]
        return sum(self.gains[one][other] for one, other in pairwise(numbers)) / UNIT

    def _knows(self, read: Sequence[Token]) -> bool:
        words = [token.text for token in read if token.text[0].isalpha()]
        return bool(words) and sum(word in self.classes for word in words) >= _KNOWN * len(words)

    def disorder(self, text: str) -> Disorder | None:
        """The heaviest stretch of a text, where it consists of common words."""
        read = list(tokens(text))
        numbers = [self.number(token.text) for token in read]
        words = [token.text[0].isalpha() for token in read]
        best: tuple[int, int, float] | None = None
        first, total = 0, 0.0
        for at, (one, other) in enumerate(pairwise(numbers)):
            if total <= 0:
                first, total = at, 0.0
            gain = self.gains[one][other] / UNIT
            total -= gain if words[at] and words[at + 1] else max(gain, 0.0)
            if total > 0 and (best is None or total > best[2]):
                best = first, at + 2, total
        return self._stretch(read, best) if best is not None else None

    def _stretch(self, read: Sequence[Token], best: tuple[int, int, float]) -> Disorder | None:
        first, last, total = best
        words = [token for token in read[first:last] if token.text[0].isalpha()]
        if not self._knows(words):
            return None
        chance = max(0.0, math.log2(len(read) / _USUAL))
        return Disorder(words[0].start, words[-1].end, sum(len(token.text) for token in words), total - chance)


@cache
def load_word_order() -> WordOrder:
    """The embedded table."""
    # Deferred: costs more than the detector itself, and only this needs it.
    import numpy as np

    data = (files("guardrails_plugin.detectors") / "data" / "word_order.npz").read_bytes()
    with np.load(BytesIO(data), allow_pickle=False) as table:
        return unpack({name: table[name] for name in ("words", "classes", "gains")})


def unpack(table: dict[str, Any]) -> WordOrder:
    """A table from its arrays."""
    words = bytes(table["words"]).decode().split()
    gains = table["gains"].tolist()
    return WordOrder(dict(zip(words, table["classes"].tolist(), strict=True)), len(gains) - len(SHAPES), gains)
