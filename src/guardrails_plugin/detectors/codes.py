"""Texts spelt in numbers and Morse: decimal and binary character codes, ``U+0069``, dots and dashes.

Sources: ASCII; ITU-R M.1677-1 for Morse.
"""

from __future__ import annotations

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
_GATE = re2.compile(
    r"(?:\d{2,3}[ ,;]{1,2}){9}|[01]{8}|(?:U\+[0-9A-Fa-f]{4,6}[ ,]{0,2}){7}|(?:[.·•−–—_-]{1,5}[ /|\n]{1,4}){9}"
)
_GAP = re.compile(r"\s*[/|]\s*|\s{2,}")

_LEAST_WORDS = 3
"""Common words in a decoded run: a table of numbers says nothing."""


def code_runs(text: str, _: set[str], common: Vocabulary) -> Iterator[Run]:
    """Runs that spell at least three common words; the first spelling that fits a place counts."""
    if _GATE.search(text) is None:
        return
    taken = 0
    found = ((m.start(), m.end(), decode(m.group())) for sign, decode in _SPELLINGS for m in sign.finditer(text))
    for start, end, plain in sorted(found):
        words = set(re.findall(r"[^\W\d_]{2,}", plain.lower()))
        if start >= taken and len(words & common.costs.keys()) >= _LEAST_WORDS:
            taken = end
            yield start, end, plain


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


_SPELLINGS: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (_DECIMAL, _decimal),
    (_BINARY, _binary),
    (_POINTS, _points),
    (_DASHED, _morse),
)
