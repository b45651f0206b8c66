"""Texts whose bytes were read in a wrong encoding ("mojibake"), or lost.

Three signs, each judged on the text as a whole, since a garbled line in a good text is a quotation:

- What some encoding writes as bytes that are UTF-8: characters that stand for lead and following bytes (Unicode
  Standard, table 3-7) in an order in which no language has them. Tried for the encodings of `_READ_AS`.
- One eight-bit encoding read as another: most characters are of Latin-1's upper half; or Cyrillic letters that make no
  words, and do when they are read as the other Cyrillic encoding.
- Replacement characters (U+FFFD), which stand for what could not be read.
"""

from __future__ import annotations

import re

from guardrails_plugin.detectors.letter_model import load_model

__all__ = ["lost", "misread"]

_READ_AS = ("cp1252", "latin-1", "cp1251", "cp1253", "koi8-r", "cp437")
_READ_AS_EAST = ("gbk", "shift_jis", "big5")
_EAST = re.compile("[\u3040-\u9fff\uac00-\ud7a3\uff61-\uff9f]")
_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH = re.compile(rb"[\x80-\xff]")
_SHARE = 0.6
"""Least share of the bytes above ASCII that have to spell UTF-8, and of a text's signs that have to be such."""

_SHARE_EAST, _LEAST_EAST = 0.7, 16
"""Two-byte encodings fit by chance more often."""

_OF_TEXT = 0.3
_EIGHT_BIT = re.compile(
    "(?<=[\u0080-\u00ff])['\"]"
    "|[\u0080-\u00ff\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
)
_UPPER_SHARE = 0.55
_LEAST = 5
_LEAST_EIGHT_BIT = 10
_CYRILLIC = (("cp1251", "koi8-r"), ("koi8-r", "cp1251"), ("cp1251", "cp866"))
_WORD = re.compile("[\u0400-\u04ff]{3,}")
_BETTER = 1.0
"""Bits a letter by which the other reading has to be likelier."""


def misread(text: str) -> int:
    """How many characters are those of bytes read wrongly; 0 when the text is sound.

    >>> misread("\u00c3\u00a9" * 6), misread("\u00e9t\u00e9 apr\u00e8s \u00e9t\u00e9")
    (12, 0)
    """
    if text.isascii():
        return 0
    size = len(text) - sum(map(str.isspace, text))
    found = max(_as_utf8(text), _eight_bit(text, size), _other_cyrillic(text))
    return found if found >= _LEAST and found > _OF_TEXT * size else 0


def lost(text: str) -> int:
    """How many characters were lost, if they are many."""
    number = text.count("\ufffd")
    return number if number > _LEAST and number > _OF_TEXT * len(text) else 0


def _as_utf8(text: str) -> int:
    most = 0
    east = 2 * len(_EAST.findall(text)) > len(text)
    for encoding in _READ_AS_EAST if east else _READ_AS:
        raw = text.encode(encoding, "ignore")
        high = len(_HIGH.findall(raw))
        if high >= (_LEAST_EAST if east else 2 * _LEAST):
            spelt = sum(map(len, _UTF8.findall(raw)))
            if spelt >= (_SHARE_EAST if east else _SHARE) * high and high >= _OF_TEXT * len(text):
                most = max(most, spelt)
    return most


def _eight_bit(text: str, size: int) -> int:
    number = len(_EIGHT_BIT.findall(text))
    return number if number >= max(_LEAST_EIGHT_BIT, _UPPER_SHARE * size) and len(set(text)) > _LEAST else 0


def _other_cyrillic(text: str) -> int:
    words = _WORD.findall(text[:_ENOUGH])
    letters = sum(map(len, words))
    if letters < _LEAST_EIGHT_BIT or 2 * sum(map(_is_turned, words)) < len(words):
        return 0
    model = load_model()["cyrillic"]
    own = sum(map(model.surplus, words))
    for read_as, really in _CYRILLIC:
        other = _WORD.findall(text[:_ENOUGH].encode(read_as, "ignore").decode(really, "ignore"))
        if sum(map(len, other)) >= 0.8 * letters and sum(map(model.surplus, other)) < own - _BETTER * letters:
            return letters
    return 0


_ENOUGH = 400
"""Characters from which it shows."""


def _is_turned(word: str) -> bool:
    """Capitals and small letters the other way round: the two Cyrillic encodings have them in each other's place."""
    return word[1:].isupper() or not (word.islower() or word.isupper() or word.istitle())
