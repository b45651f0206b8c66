"""Texts that a machine garbled: look-alike signs inside words, bytes read in a wrong encoding, lost characters, signs.

Each kind is judged on the text as a whole, since a garbled line in a good text is a quotation:

- Words of which some letters are digits or signs (``r3ad1ng``, ``m@tt€r``, what optical readers and leetspeak have in
  common), and tokens of letters, digits and odd signs at random: each weighs `_BROKEN` bits, a sound word as much less.
- Bytes read in a wrong encoding (``Ã©``), or lost (`misread`).
- Walks from key to key of a Latin keyboard, rows and columns, digits included (``1qaz2wsx``).
- The letters that AltGr gives on Latin keyboards (``ŋ ħ ĸ ŧ``), which no language has together.
- Signs without words, of many kinds in no period: rules and tables repeat theirs, drawings use few.

Weights and shares are judgement, set so that source code, identifiers, formulas and moves of chess weigh nothing.
Limits: code is told by its signs, so that a line of a language without them may pass for random tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from guardrails_plugin.detectors.misread import lost, misread

__all__ = ["Garbled", "garbled"]


class Garbled(NamedTuple):
    """What is wrong with a text, and how many bits speak for it."""

    kind: str
    bits: float
    characters: int


_BROKEN = 6.0
"""Bits of a broken word: as if one in thirty tokens of ordinary texts were one, and every one of garbled texts."""

_CODE = re.compile(r"[;{}]\s*$|\w\[\w|\w\(\w*\)|[=!]=|\w=\S|::|->|=>|&&|</?\w+>|%\w+,|\$\w+ ", re.MULTILINE)
# Addresses are looked for from the first character of a token only, so that a long one is read once.
_FENCED = re.compile(r"```.*?(?:```|\Z)|`[^`\n]{1,200}`|(?<!\S)\S*?(?:://|@[^\s@.]+\.\w)\S*", re.DOTALL)
_TOKEN = re.compile(r"\S+")
_SOUND = re.compile(r"[^\w\s]*[^\W\d_]{3,}(?:['\u2019-][^\W\d_]+)*[^\w\s]*\Z")
_INTRUDER = re.compile(r"[^\W\d_A-Z](?:[013457@$\u20ac|\u00a1!#*^~%]{1,2})[^\W\d_]|(?<!\w)[013457@$|][^\W\d_A-Z]{3,}\Z")
_JOINED = re.compile(r"[=+/\\_.(){}<>\[\]]|\d{3}")
"""Of identifiers, paths, formulas and code."""

_CLASSES = (re.compile(r"[a-z]"), re.compile(r"[A-Z]"), re.compile(r"\d"), re.compile(r"[!#$^&*~@|\u20ac\u00a3]"))
_KINDS = 3
"""Of these four kinds of characters, one of them odd signs, in a token that nobody can read."""

_LEAST = 5
"""Broken words, or odd things of another kind, under which there is no garbled text."""


def garbled(text: str) -> Garbled | None:
    """The first kind that fits.

    >>> garbled("pl3ase c@ll th€ 0ffice ab0ut y0ur p@rcel").kind
    'words'
    >>> garbled("please call the office about your parcel")
    """
    return next((found for check in _CHECKS if (found := check(text)) is not None), None)


def _words(text: str) -> Garbled | None:
    if len(_CODE.findall(text)) > 1:
        return None
    broken = sound = characters = 0
    for token in _TOKEN.findall(_FENCED.sub(" ", text)):
        if _SOUND.match(token):
            sound += 1
        elif _is_broken(token):
            broken += 1
            characters += len(token)
    bits = _BROKEN * (broken - sound)
    return Garbled("words", bits, characters) if broken >= _LEAST and bits > 0 else None


def _is_broken(token: str) -> bool:
    if _JOINED.search(token.rstrip(".,")):
        return False
    if _INTRUDER.search(token):
        return True
    return _CLASSES[3].search(token) is not None and sum(bool(kind.search(token)) for kind in _CLASSES) >= _KINDS


def _encoding(text: str) -> Garbled | None:
    number = misread(text)
    return Garbled("encoding", 2.0 * number + _BROKEN * _LEAST, number) if number else None


def _lost(text: str) -> Garbled | None:
    number = lost(text)
    return Garbled("lost", 2.0 * number + _BROKEN * _LEAST, number) if number else None


_WALK = re.compile(r"(?<!\S)[^\W_]{8,}(?!\S)")
_KEYS = {
    key: (row, place)
    for row, keys in enumerate(("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"))
    for place, key in enumerate(keys)
}
_ROWS = 4
_WALKED = 0.85
"""Least share of steps to a neighbouring key: words have at most half."""


def _walk(text: str) -> Garbled | None:
    found = [token for token in _WALK.findall(text) if not token.isdigit() and _is_walk(token.lower())]
    number = sum(map(len, found))
    size = len(text) - sum(map(str.isspace, text))
    return Garbled("keys", 2.0 * number + _BROKEN, number) if 2 * number > size else None


def _is_walk(token: str) -> bool:
    if not (_is_step(token[0], token[1]) or _is_step(token[1], token[2])):
        return False
    steps = sum(_is_step(one, other) for one, other in pairwise(token))
    return steps >= _WALKED * (len(token) - 1) and len(set(token)) > _LEAST


def _is_step(one: str, other: str) -> bool:
    """To a neighbouring key, or back to the top of the next column."""
    here, there = _KEYS.get(one), _KEYS.get(other)
    if here is None or there is None:
        return False
    (row, place), (next_row, next_place) = here, there
    return (abs(row - next_row) <= 1 and abs(place - next_place) <= 1) or row - next_row == _ROWS - 1


_THIRD_LEVEL = frozenset("ŋŧħĸđłøþðæßµ¶ñ«»¢ŁØÞÐÆŊŦĦĐ")
_THIRD_SHARE = 0.5
_THIRD_KINDS = 6


def _third_level(text: str) -> Garbled | None:
    found = [char for char in text if char in _THIRD_LEVEL]
    return _shared("keys", len(found), text, _THIRD_SHARE) if len(set(found)) >= _THIRD_KINDS else None


_SIGN = re.compile(r"[!-/:-@\[-`{-~\u00a1-\u00bf\u2010-\u2027]")
_SIGN_SHARE = 0.85
_SIGNS, _SIGN_KINDS, _SIGN_TOKENS = 16, 6, 8


def _signs(text: str) -> Garbled | None:
    found = _SIGN.findall(text)
    pairs = set(pairwise(found))
    if len(found) < _SIGNS or len(set(found)) < _SIGN_KINDS or 2 * len(pairs) < len(found):
        return None
    return _shared("signs", len(found), text, _SIGN_SHARE) if len(text.split()) >= _SIGN_TOKENS else None


def _shared(kind: str, number: int, text: str, share: float) -> Garbled | None:
    """Two bits for each character, if they are so much of the text."""
    size = len(text) - sum(map(str.isspace, text))
    return Garbled(kind, 2.0 * number + _BROKEN * _LEAST, number) if number > _LEAST and number > share * size else None


_CHECKS: tuple[Callable[[str], Garbled | None], ...] = (_words, _encoding, _lost, _third_level, _signs, _walk)
