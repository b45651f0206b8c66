"""What of a text is prose: everything that is code, an address, an identifier or a number is blanked.

Blanks have the length of what they stand for, so that places in the result are places in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["letters", "passages", "prose"]

_CODE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]{1,200}`", re.DOTALL)
_URL = re.compile(r"\b(?:https?|ftp)://[^\s<>\"]+")
# Anchored at the run's first character and with one way to match, so linear: anything with a digit or a sign of
# markup, paths, addresses or code in it, dotted names, calls and camelCase.
_SYMBOL = re.compile(r"(?<![!-~])[!-~]*?(?:[0-9_@\\/<>{}=$#|&~^+]|[a-z][A-Z]|[A-Za-z](?:\.|::|\()[A-Za-z])[!-~]*")
_LETTERS = re.compile(r"[^\W\d_]+")
_BREAK = re.compile(r"\n\s*\n|\n|(?<=[.!?\u3002\uff01\uff1f\u061f\u0964])\s*")


def prose(text: str) -> str:
    """The text with everything blanked that nobody would read aloud.

    >>> prose("see https://x.y/z, then do_it(1) now")
    'see                then          now'
    """
    if "`" in text or "~~~" in text:
        text = _CODE.sub(_blank, text)
    if "://" in text:
        text = _URL.sub(_blank, text)
    return _SYMBOL.sub(_blank, text)


def letters(text: str) -> int:
    """How many letters there are."""
    return sum(run.end() - run.start() for run in _LETTERS.finditer(text))


def passages(text: str, size: int) -> Iterator[tuple[int, int]]:
    """The text in pieces of at most about ``size`` characters, cut behind sentences where that can be done."""
    start = last = 0
    for end in _cuts(text, size):
        if end - start > size and last > start:
            yield start, last
            start = last
        last = end
    if start < len(text):
        yield start, len(text)


def _cuts(text: str, size: int) -> Iterator[int]:
    """Ends of sentences and lines; where none comes for long, a place between words or, without words, anywhere."""
    at = 0
    for found in _BREAK.finditer(text):
        yield from _forced(text, at, found.end(), size)
        at = found.end()
        yield at
    yield from _forced(text, at, len(text), size)
    yield len(text)


def _forced(text: str, at: int, end: int, size: int) -> Iterator[int]:
    while end - at > size:
        space = text.rfind(" ", at + 1, at + size)
        at = space + 1 if space > 0 else at + size
        yield at


def _blank(match: re.Match[str]) -> str:
    return " " * (match.end() - match.start())
