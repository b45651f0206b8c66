"""Text without the marks that only change how it looks: Markdown's emphasis, HTML's ``<b>`` and the like.

``__SSN__: **536904399**`` says "SSN: 536904399"; patterns that ask for a word's edge or for a colon behind a label
must not stumble over the marks. Every mark becomes as many spaces, so that all else stays in its place.

Only pairs count, within a line and `_LONGEST` characters: what stands alone may belong to a password or to a name in a
program (``snake_case``, ``**options``).
"""

from __future__ import annotations

import re

__all__ = ["open_mark", "unmarked"]

_LONGEST = 64

# The first character stands first, not what must stand before it: `re` skips to it.
_LEAD = r"(?<![^\s(\[{|>\"'*~_].)"
_TAIL = r"(?![\w{mark}])"
_PAIRS = {
    "*": re.compile(
        rf"\*{_LEAD}(?<!\*\*)(?P<more>\*{{0,2}})(?=[^\s*])(?P<inner>[^*\n]{{0,{_LONGEST}}})(?<!\s)\*(?P=more)"
        + _TAIL.format(mark="*")
    ),
    "~": re.compile(
        rf"~{_LEAD}(?<!~~)(?P<more>~)(?=[^\s~])(?P<inner>[^~\n]{{0,{_LONGEST}}})(?<!\s)~(?P=more)"
        + _TAIL.format(mark="~")
    ),
    "_": re.compile(
        rf"_{_LEAD}(?<!__)(?P<more>_{{0,2}})(?=[^\W_]|[+(])(?P<inner>[^\n]{{0,{_LONGEST}}}?)(?<=[^\W_]|[!?.)])"
        r"_(?P=more)(?![^\s.,;:!?)\]}|>\"'*~])"
    ),
}
"""By their first character; the outer pair is taken first, so what stands within another kind is found, too."""

_TAG = re.compile(r"<(?:/?(?:b|i|u|s|em|strong|code|mark|del|ins|small|big|tt))>", re.IGNORECASE)

_SPACES = (" ", "  ", "   ")

_OPEN = {mark: re.compile(rf"{re.escape(mark)}{_LEAD}{re.escape(mark)}{{0,2}}[^\s{mark}][^\n]*\Z") for mark in _PAIRS}


def unmarked(text: str) -> str:
    """The text with every pair of emphasis marks blanked; of the same length.

    >>> unmarked("**Password:** a*b, _536-90-4399_, __init__.py")
    '  Password:   a*b,  536-90-4399 , __init__.py'
    """
    if "</" in text:
        text = _TAG.sub(lambda tag: " " * len(tag[0]), text)
    for mark, pair in _PAIRS.items():
        if mark in text:
            text = pair.sub(_blanked, text)
    return text


def _blanked(pair: re.Match[str]) -> str:
    more, inner = pair.group("more", "inner")
    if more == "_" and inner.isidentifier():
        return pair[0]  # ``__init__``
    marks = _SPACES[len(more)]
    return f"{marks}{inner}{marks}"


def open_mark(text: str) -> int:
    """Where a mark stands in an unmarked text whose pair may still come; the text's length when there is none."""
    near = text[-_LONGEST - 8 :]
    ends = (found.start() for mark, pattern in _OPEN.items() if mark in near and (found := pattern.search(near)))
    return len(text) - len(near) + min(ends, default=len(near))
