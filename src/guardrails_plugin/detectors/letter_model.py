"""How likely a word's letters are in a language, and how likely under random keys: trigrams in one small table.

The table (``data/gibberish.npz``, made by ``training.gibberish``) holds for each script an alphabet and, for each
letter after two others, its cost in sixteenths of a bit; smoothing happened when it was made.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from io import BytesIO
from itertools import pairwise
from operator import eq
from typing import Any

__all__ = ["ALPHABETS", "KEY_ROWS", "UNIT", "LetterModel", "load_model", "plain"]

UNIT = 16
"""Steps of a bit in the table."""

ALPHABETS = {
    "latin": "abcdefghijklmnopqrstuvwxyz",
    "cyrillic": "абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґјљњћђџў",
    "greek": "αβγδεζηθικλμνξοπρσςτυφχψω",
    "hebrew": "אבגדהוזחטיךכלםמןנסעףפץצקרשת",
    "arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهويءآأإؤئىةپچژگیک",
}
"""Letters of the scripts that are modelled."""

KEY_ROWS = {
    "latin": ("qwertyuiop", "asdfghjkl", "zxcvbnm"),
    "cyrillic": ("йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю"),
    "greek": ("ςερτυθιοπ", "ασδφγηξκλ", "ζχψωβνμ"),
    "hebrew": ("קראטוןםפ", "שדגכעיחלךף", "זסבהנמצתץ"),
    "arabic": ("ضصثقفغعهخحج", "شسيبلاتنمكط", "ئءؤرىةوزظ"),
}
"""Rows of the usual keyboards: fingers that hit keys at random stay in one."""

_FOLDED = {"ß": "s", "ø": "o", "ł": "l", "đ": "d", "ı": "i", "æ": "e", "œ": "e", "þ": "t", "ð": "d", "ə": "e"}


@lru_cache(8_192)
def plain(char: str) -> str:
    """A lower-case letter without accents; Cyrillic keeps its own ("й", "ї"), it has keys for them."""
    char = char.lower()[:1]
    if char in _FOLDED:
        return _FOLDED[char]
    if "\u0400" <= char <= "\u052f" or "\u0620" <= char <= "\u06ff":
        return char
    return unicodedata.normalize("NFD", char)[:1]


@dataclass(frozen=True, slots=True)
class LetterModel:
    """One script's trigrams. Costs are in bits."""

    places: dict[str, int]
    """Number of each letter, from 1; 0 stands for the ends of a word."""
    rows: dict[str, int]
    costs: bytes

    def surplus(self, word: str) -> float:
        """Bits by which random keys explain the letters better than a language does; negative for words.

        Random keys: every letter alike, or, for half a bit and as often the same row as not, one row of the keyboard.
        """
        letters = self._numbers(word)
        if not letters:
            return 0.0
        size, language, first, second = len(self.places) + 1, 0, 0, 0
        for place in (*letters, 0):
            language += self.costs[(first * size + second) * size + place]
            first, second = second, place
        bits = language / UNIT
        alike = _BITS[size - 1] * len(letters)
        if bits > _STEP * len(letters):  # else no way of hitting keys explains it better
            alike = min(alike, self._in_rows(word))
        return bits - alike - _END

    def _numbers(self, word: str) -> list[int]:
        if word.isascii() and "a" in self.places:
            return [code - 96 for code in word.lower().encode()]
        return [place for char in word if (place := self.places.get(plain(char)))]

    def _in_rows(self, word: str) -> float:
        """Bits of hitting keys, half of them in the row of the key before."""
        rows = [self.rows.get(plain(char), -1) for char in word]
        stays = sum(map(eq, rows, rows[1:]))
        low = word.lower()
        walked = sum(one + other in _NEXT for one, other in pairwise(low)) if 2 * stays > len(rows) else 0
        saved = max(0.0, walked * _SAVED - _WALK_AT_ALL)
        return float(_LEAP * (len(rows) - stays) + _STEP * stays + 0.5) - saved


_STEP, _LEAP = 3.85, 5.7
"""Bits of a key in the same row, p = .5 / 10 + .5 / 26, and of one in another, p = .5 / 26."""

_SAVED, _WALK_AT_ALL = 2.0, 4.0
"""Bits less for the key next to the last one, and the price of walking at all."""

_NEXT = frozenset(
    pair
    for rows in KEY_ROWS.values()
    for row in rows
    for one, other in pairwise(row)
    for pair in (one + other, other + one)
)


_END = 3.0
"""Bits for the length of a random word."""

_BITS = (0.0, *(number.bit_length() - 1 + (number / (1 << (number.bit_length() - 1)) - 1) for number in range(1, 65)))
"""Logarithm to base two, by linear interpolation between powers."""


@cache
def load_model() -> dict[str, LetterModel]:
    """The embedded table, by script."""
    # Deferred: costs more than the detector itself, and only this needs it.
    import numpy as np

    data = (files("guardrails_plugin.detectors") / "data" / "gibberish.npz").read_bytes()
    with np.load(BytesIO(data), allow_pickle=False) as table:
        return {script: from_costs(script, table[script]) for script in ALPHABETS if script in table}


def from_costs(script: str, costs: Any) -> LetterModel:
    """A script's model from its array of costs."""
    places = {letter: number for number, letter in enumerate(ALPHABETS[script], 1)}
    rows = {letter: number for number, row in enumerate(KEY_ROWS[script]) for letter in row}
    return LetterModel(places, rows, costs.tobytes())
