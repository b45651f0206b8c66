"""Terms in disguise: spelt with digits and signs (1337), stretched, spaced out.

How: a text's skeleton has one letter for every run of equal letters, with digits and signs read as the letters they
are drawn like, accents and separators left out; every run knows its place. A term whose skeleton occurs in that of
the text is then compared letter by letter (`Skeleton.place`). Texts are read a piece at a time (`Runs.pieces`): arrays
over a whole text would outgrow the processor's caches, and cost would grow faster than the text.

Source: leet table after Wikipedia, "Leet".
Limits: a sign stands for one letter (two for 1 and 9); terms under three letters have no skeleton.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise
from typing import Any

import numpy as np

__all__ = ["Runs", "Skeleton", "bounded"]

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u318f\u31a0-\u9fff\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Scripts written without spaces, or (Korean) with endings attached: there every place may begin and end a term."""


def bounded(text: str, start: int, end: int) -> bool:
    """True when no letter or digit continues the word at either end."""
    return not (_continues(text, start) or _continues(text, end))


def _continues(text: str, place: int) -> bool:
    before, after = text[place - 1 : place] if place else "", text[place : place + 1]
    if not (_wordy(before) and _wordy(after)):
        return False
    return not (_UNSPACED.match(before) or _UNSPACED.match(after))


def _wordy(char: str) -> bool:
    return char.isalnum() or char == "_"


_LEET = {
    "0": "o", "1": "i", "2": "z", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t", "8": "b", "9": "g",
    "@": "a", "$": "s", "!": "i", "|": "i", "+": "t", "\u20ac": "e", "\u00a3": "l", "\u00a2": "c", "(": "c",
}  # fmt: skip
_MERGED = {"l": "i", "q": "g"}
"""Letters that share a sign (1 is i or l, 9 is g or q): one in the skeleton, told apart when a hit is checked."""

_GAP = 3
"""Most separators between two letters of a disguised term."""

_STRETCHED = 3
"""From this many a repeated letter counts as stretched."""


_SHORTEST = 3
"""Shorter terms would be found everywhere in disguise."""

_LEAST_LEET = 4
"""Shorter words with digits are sizes, models and the like: "a55"."""


@lru_cache(16_384)
def _letter(char: str) -> tuple[str, str]:
    """What a character stands for in a skeleton, and what it is; empty for separators."""
    if char in _LEET:
        return _LEET[char], char
    if not char.isalnum():
        return "", ""
    plain = unicodedata.normalize("NFD", char.casefold())[0]
    return _MERGED.get(plain, plain), plain


def _stands_for(code: int) -> int:
    return ord(_letter(chr(code))[0] or "\0")


_ASCII = np.array([_stands_for(code) for code in range(128)], np.uint32)

_PIECE = 8_192
"""Characters read at a time: arrays of 64-bit places that fit the second-level cache."""

_MARGIN = 16
"""What a piece needs around it, to tell how its first and last runs go on: more than `_GAP` and `_spaced_on` look."""


@dataclass(frozen=True, slots=True)
class Runs:
    """The skeleton of a text: a letter for each run of equal letters, and where each run stands."""

    letters: str
    first: Any
    last: Any

    @staticmethod
    def pieces(text: str, longest: int) -> Iterator[tuple[str, int, range, Runs]]:
        """Overlapping pieces of a text: characters, place of the first, places of its own, and runs.

        A hit of at most ``longest`` characters that begins at one of a piece's own places lies in that piece, and its
        runs are those it has in the whole text.
        """
        step = max(_PIECE, 2 * longest)
        for start in range(0, len(text), step):
            offset = max(0, start - _MARGIN)
            piece = text[offset : start + step + longest + _MARGIN]
            yield piece, offset, range(start - offset, start - offset + step), Runs.of(piece)

    @staticmethod
    def of(text: str) -> Runs:
        """The runs of a text."""
        stands = _stand_for(text)
        places = np.flatnonzero(stands)
        letters = stands[places]
        changes = (letters[1:] != letters[:-1]) | (places[1:] - places[:-1] > _GAP + 1)
        at = np.flatnonzero(np.concatenate((np.ones(min(1, len(places)), bool), changes)))
        first, last = places[at], places[np.append(at[1:], len(places))[: len(at)] - 1]
        return Runs(letters[at].tobytes().decode("utf-32-le"), first, last)

    def span(self, run: int) -> tuple[int, int]:
        """Where a run stands in the text."""
        return int(self.first[run]), int(self.last[run]) + 1


def _stand_for(text: str) -> Any:
    """The code of the letter that each character stands for; 0 for separators."""
    if text.isascii():
        return _ASCII[np.frombuffer(text.encode(), np.uint8)]
    kinds, where = np.unique(np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32), return_inverse=True)
    return np.array([_stands_for(int(code)) for code in kinds], np.uint32)[where]


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A term as it is looked for in disguise; ``runs`` are its own letters, equal ones together."""

    number: int
    letters: str
    runs: tuple[str, ...]
    words: int
    length: int

    @staticmethod
    def of(term: str, number: int) -> Skeleton | None:
        """The skeleton of a term; None for terms too short, or with digits of their own."""
        pairs = [pair for pair in map(_letter, term) if pair[0]]
        runs = [("".join(plain for _, plain in run), letter) for letter, run in groupby(pairs, key=_first)]
        written = "".join(run for run, _ in runs)
        if len(written) < _SHORTEST or len(runs) == 1 or not written.isalpha():
            return None
        letters = "".join(letter for _, letter in runs)
        return Skeleton(number, letters, tuple(run for run, _ in runs), len(term.split()), len(term))

    def place(self, text: str, runs: Runs, first: int) -> tuple[int, int] | None:
        """Where the runs from ``first`` on spell the term, letter by letter and not by chance; else None."""
        spans = [runs.span(first + index) for index in range(len(self.runs))]
        if any(after[0] - before[1] > _GAP for before, after in pairwise(spans)):
            return None
        start, end = self._trimmed(text, spans)
        spans = [(start, spans[0][1]), *spans[1:-1], (spans[-1][0], end)]
        written = ["".join(_letter(char)[1] for char in text[start:end]) for start, end in spans]
        if not all(map(_fits, written, self.runs)):
            return None
        size, real = sum(map(len, written)), sum(char.isalpha() for run in written for char in run)
        if real * 3 < size or (real < size < _LEAST_LEET):
            return None
        whole = text[start:end]
        words = whole.split()
        # Words that happen to stand side by side ("as s...") are no disguise: with spaces, every letter stands alone,
        # and not in a longer spaced-out word ("s e x u a l").
        apart = len(words) > self.words and (
            any(len({_letter(char)[0] for char in word} - {""}) > 1 for word in words) or _spaced_on(text, start, end)
        )
        contracted = size == len(whole) - 1 and len(words) == 1 and "'" in whole  # "who're"
        return None if apart or contracted else (start, end)

    def _trimmed(self, text: str, spans: list[tuple[int, int]]) -> tuple[int, int]:
        """Start and end without signs around the term that only look like more of its letters (the "!" of "h3ll!")."""
        (start, first_end), (last_start, end) = spans[0], spans[-1]
        while first_end - start > len(self.runs[0]) and not text[start].isalnum():
            start += 1
        while end - last_start > len(self.runs[-1]) and not text[end - 1].isalnum():
            end -= 1
        return start, end


_LETTER_BEFORE = re.compile(r"(?:^|\W)[^\W_]\W{1,3}$")
_LETTER_AFTER = re.compile(r"\W{1,3}[^\W_](?:\W|$)")


def _spaced_on(text: str, start: int, end: int) -> bool:
    """True when further single letters stand before or behind."""
    before = text[max(0, start - 6) : start]
    return _LETTER_BEFORE.search(before) is not None or _LETTER_AFTER.match(text, end) is not None


def _first(pair: tuple[str, str]) -> str:
    return pair[0]


def _fits(written: str, own: str) -> bool:
    """True when a run of the text can be the term's run: the same letters or signs for them, as many or stretched."""
    if len(written) != len(own) and len(written) < max(len(own), _STRETCHED):
        return False
    return all(not char.isalpha() or char in own for char in written)
