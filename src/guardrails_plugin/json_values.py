"""Bare numbers in JSON text: what replaces one must be quoted, or no parser reads the text any more.

Judged by what stands close by, so that a stream and the whole text come to the same.
"""

from __future__ import annotations

import re

__all__ = ["quote_for"]

_NEAR = 128
"""Characters before a number that are looked at; a stream remembers as many."""

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_SCALAR = r"""(?:-?\d[\d.eE+-]*|\\*"[^"\n]*"|true|false|null)"""
_FIELD = re.compile(r"""(?P<escape>\\*)"\s*:\s*\Z""")
_ARRAY = re.compile(rf"""(?:(?P<escape>\\*)"\s*:\s*|(?:\A|\n|[\[,])[ \t]*)\[\s*(?:{_SCALAR}\s*,\s*)*\Z""")
_LONG_ARRAY = re.compile(r"[\d\s,.-]*,\s*")
_END = re.compile(r"\s*[,}\]]")


def quote_for(text: str, start: int, end: int, new: str) -> str:
    r"""The quote that ``new`` needs on both sides in place of ``text[start:end]``: none, ``"``, or ``\"`` in a string.

    >>> quote_for('{"card": 4111111111111111}', 9, 25, "<CREDIT_CARD>")
    '"'
    >>> quote_for('{"card": 4111111111111111}', 9, 25, "4000001234567899")
    ''
    """
    if not text[start:end].replace(".", "", 1).isdecimal() or _NUMBER.fullmatch(new) or not _END.match(text, end):
        return ""
    first = max(0, start - _NEAR)
    lead = text[first:start]
    if found := _FIELD.search(lead) or _ARRAY.search(lead):
        return f'{found["escape"] or ""}"'
    return '"' if first and _LONG_ARRAY.fullmatch(lead) else ""
