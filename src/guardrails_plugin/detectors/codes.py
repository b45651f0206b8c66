"""Texts spelt in other signs: decimal and binary character codes, ``U+0069``, Morse, Braille, flag letters, base32.

Sources: ASCII; ITU-R M.1677-1 for Morse; Unicode, Braille Patterns (English uncontracted letters) and Regional
Indicator Symbols; RFC 4648 for base32.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from typing import Any

import re2

from guardrails_plugin.decoding import Run
from guardrails_plugin.detectors.vocabulary import Vocabulary

__all__ = ["code_runs"]

_MORSE = dict(
    zip(
        ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.."
        " ----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----.".split(),
        "abcdefghijklmnopqrstuvwxyz0123456789",
        strict=True,
    )
)
_MORSE_LIKE = str.maketrans("\u00b7\u2022\u2212\u2013\u2014_", "..----")

_DECIMAL = re.compile(r"(?<![\d.])\d{2,3}(?:[ ,;]{1,2}\d{2,3}){9,}(?![\d.])")
_BINARY = re.compile(r"(?<!\d)[01]{8}(?:[ ,]{0,2}[01]{8}){7,}(?!\d)")
_POINTS = re.compile(r"U\+[0-9A-Fa-f]{4,6}(?:[ ,]{0,2}U\+[0-9A-Fa-f]{4,6}){7,}")
_DASHED = re.compile(
    r"(?<!\S)[.\u00b7\u2022\u2212\u2013\u2014_-]{1,5}(?:[ /|\n]{1,4}[.\u00b7\u2022\u2212\u2013\u2014_-]{1,5}){9,}"
)
_BRAILLE = re.compile("[\u2801-\u283f][\u2800-\u283f\\s]{9,}")
_FLAGS = re.compile("[\U0001f1e6-\U0001f1ff](?:[^\\w\\s\U0001f1e6-\U0001f1ff]{0,2}[\U0001f1e6-\U0001f1ff]|\\s){9,}")
_NO_BYTES = (1, 3, 6)
"""Letters of base32 beyond a multiple of eight that no number of bytes makes."""

_BASE32 = re.compile(r"(?<![A-Za-z0-9])[A-Z2-7]{24,}={0,6}(?![A-Za-z0-9])")
_GATE = re2.compile(
    r"(?:\d{2,3}[ ,;]{1,2}){9}|[01]{8}|(?:U\+[0-9A-Fa-f]{4,6}[ ,]{0,2}){7}|(?:[.·•−–—_-]{1,5}[ /|\n]{1,4}){9}"
    r"|[\x{2801}-\x{283f}]{2}|[A-Z2-7]{24}|[\x{1f1e6}-\x{1f1ff}]"
)
_GAP = re.compile(r"\s*[/|]\s*|\s{2,}")

_LEAST_WORDS = 3
_LEAST_KNOWN = 0.5
"""Common words in a decoded run, and their share of its letters: a column of numbers says some words by chance."""


def code_runs(text: str, _: set[str], common: Vocabulary) -> Iterator[Run]:
    """Runs that spell at least three common words; the first spelling that fits a place counts."""
    if _GATE.search(text) is None:
        return
    taken = 0
    found = ((m.start(), m.end(), decode(m.group())) for sign, decode in _SPELLINGS for m in sign.finditer(text))
    for start, end, plain in sorted(found):
        if start >= taken and _says(plain.lower(), common):
            taken = end
            yield start, end, plain


def _says(plain: str, common: Vocabulary) -> bool:
    known = [word for word in re.findall(r"[^\W\d_]{3,}", plain) if word in common.costs]
    return len(set(known)) >= _LEAST_WORDS and sum(map(len, known)) >= _LEAST_KNOWN * sum(map(str.isalpha, plain))


def _decimal(run: str) -> str:
    codes = [int(code) for code in re.findall(r"\d+", run)]
    return "".join(map(chr, codes)) if all(31 < code < 127 or code in (9, 10, 13) for code in codes) else ""


def _binary(run: str) -> str:
    return bytes(int(code, 2) for code in re.findall(r"[01]{8}", run)).decode("utf-8", "replace")


def _points(run: str) -> str:
    codes = [int(code, 16) for code in re.findall(r"U\+([0-9A-Fa-f]+)", run)]
    return "".join(chr(code) if code <= 0x10FFFF and not 0xD800 <= code < 0xE000 else "\ufffd" for code in codes)


def _morse(run: str) -> str:
    words: list[Any] = _GAP.split(run.translate(_MORSE_LIKE))
    return " ".join("".join(_MORSE.get(letter, "") for letter in word.split()) for word in words)


_LETTERS = dict(
    zip(
        "\u2801\u2803\u2809\u2819\u2811\u280b\u281b\u2813\u280a\u281a\u2805\u2807\u280d"
        "\u281d\u2815\u280f\u281f\u2817\u280e\u281e\u2825\u2827\u283a\u282d\u283d\u2835\u2800",
        "abcdefghijklmnopqrstuvwxyz ",
        strict=True,
    )
) | {chr(0x1F1E6 + place): chr(ord("a") + place) for place in range(26)}


def _lettered(run: str) -> str:
    return "".join(_LETTERS.get(char, char if char.isspace() else "") for char in run)


def _base32(run: str) -> str:
    packed = run.rstrip("=")
    packed = packed[: len(packed) - (len(packed) % 8 in _NO_BYTES)]
    return base64.b32decode(packed + "=" * (-len(packed) % 8)).decode("utf-8", "replace")


_SPELLINGS: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (_DECIMAL, _decimal),
    (_BINARY, _binary),
    (_POINTS, _points),
    (_DASHED, _morse),
    (_BRAILLE, _lettered),
    (_FLAGS, _lettered),
    (_BASE32, _base32),
)
