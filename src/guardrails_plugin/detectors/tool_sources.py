"""Whether a value occurs in what the user said, or in what came from outside, and what stands beside it there.

Texts are read in every view (decoded base64, hidden characters ...) and in one form for comparison, see
`tool_targets.fold`; accounts and phone numbers without their separators, amounts as numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property, lru_cache
from itertools import islice

from guardrails_plugin.detectors import url_parts
from guardrails_plugin.detectors.tool_targets import NUMBER, Target, amounts, fold
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import Origin, Segment

__all__ = ["Sources"]

_SEPARATED = re.compile(r"[^0-9a-z]+")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[ ().\-/]+(?=\d)")
_BLANK = re.compile(r"\s+")
_SHORTEST_COMMAND = 8
"""Characters, blanks aside, from which a command can be said to be copied."""
_MOST_PLACES = 16
"""Places of one value that are looked at for what stands beside it."""
_BESIDE = 64
"""Characters either side of a value, on its line, that can name it."""
_SENTENCES = 240
"""Characters either side of a value, on its line, that can tell what to do with it."""
_EDGES: Mapping[str, str] = {
    "email": "@.+-_",
    "url": "@.-_",
    "path": "/-_",
    "id": "-_",
    "value": "-_",
    "recipient": "-_@.",
}
"""Beside letters and digits: characters that would make a value part of a longer one."""


@dataclass(frozen=True)
class _Reading:
    """One view of a text in its forms for comparison, each made when it is first needed."""

    text: str = field(repr=False)

    @cached_property
    def folded(self) -> str:
        return fold(self.text)

    @cached_property
    def squeezed(self) -> str:
        return _SEPARATED.sub("", self.folded)

    @cached_property
    def digits(self) -> str:
        return _BETWEEN_DIGITS.sub("", self.folded)

    @cached_property
    def packed(self) -> str:
        return _BLANK.sub("", self.folded)

    @cached_property
    def numbers(self) -> frozenset[Decimal]:
        return amounts(self.text)


@lru_cache(maxsize=64)
def _readings(text: str) -> tuple[_Reading, ...]:
    # Kept, because an agent shows the same conversation with each of its calls.
    return tuple(_Reading(view.text) for view in normalize(Segment(text, Origin.EXTERNAL)).views)


class Sources:
    """Texts of one side, trusted or not, asked for values.

    Args:
        texts: in any order.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._readings = [reading for text in texts if text for reading in _readings(text)]

    @property
    def numbers(self) -> frozenset[Decimal]:
        """Every number they state."""
        return frozenset().union(*(reading.numbers for reading in self._readings))

    def have(self, target: Target) -> bool:
        """True when the value stands in one of them, as a whole."""
        kind, key = target.kind, target.key
        if kind == "amount":
            return Decimal(key) in self.numbers
        if kind == "account":
            return any(key in reading.squeezed for reading in self._readings)
        if kind == "phone":
            return any(_ends(reading.digits, key) for reading in self._readings)
        if kind == "command":
            packed = _BLANK.sub("", key)
            return len(packed) >= _SHORTEST_COMMAND and any(packed in reading.packed for reading in self._readings)
        return any(True for _ in self._places(key, _EDGES.get(kind, "")))

    def have_domain(self, host: str) -> bool:
        """True when a host, or the registered domain above it, stands in one of them, also in an e-mail address."""
        above = _above(host)
        return any(True for name in above for _ in self._places(name, "-_", after="-_"))

    def matching(self, expression: re.Pattern[str]) -> bool:
        """True when an expression occurs in one of them, as they are compared."""
        return any(expression.search(reading.folded) for reading in self._readings)

    def beside(self, target: Target) -> Iterator[tuple[str, str]]:
        """What stands before and after the value on its line, wherever it is written as it was compared."""
        # Accounts and numbers are written with separators: their first characters find them.
        part = {"account": target.key[:4], "phone": target.key[-4:]}.get(target.kind)
        key = part or target.key
        for text, at in islice(self._places(key, None if part else ""), _MOST_PLACES):
            before = text[max(0, at - _BESIDE) : at].rpartition("\n")[2]
            after = text[at + len(key) : at + len(key) + _BESIDE].partition("\n")[0]
            yield before, after

    def around(self, target: Target) -> Iterator[tuple[str, str]]:
        """What stands before and after the value on its line, as far as a sentence or two reaches."""
        for text, start, end in islice(self._occurrences(target), _MOST_PLACES):
            before = text[max(0, start - _SENTENCES) : start].rpartition("\n")[2]
            yield before, text[end : end + _SENTENCES].partition("\n")[0]

    def _occurrences(self, target: Target) -> Iterator[tuple[str, int, int]]:
        """Folded texts and places of a value, also where it is written with separators or as another number."""
        kind, key = target.kind, target.key
        if kind == "amount":
            for reading in self._readings:
                for match in NUMBER.finditer(reading.folded):
                    if Decimal(key) in amounts(match[0]):
                        yield reading.folded, *match.span()
        elif kind in ("account", "phone"):
            spaced = re.compile(r"[ ().\-/]{0,2}".join(map(re.escape, key)))
            for reading in self._readings:
                for match in spaced.finditer(reading.folded):
                    yield reading.folded, *match.span()
        else:
            for text, at in self._places(key, _EDGES.get(kind, "")):
                yield text, at, at + len(key)

    def _places(self, key: str, edges: str | None, *, after: str | None = None) -> Iterator[tuple[str, int]]:
        """Folded texts and places where a value stands; without ``edges`` also as part of a longer one."""
        tail = edges if after is None else after
        for reading in self._readings:
            text = reading.folded
            at = text.find(key)
            while at >= 0:
                if edges is None or _free(text, at, at + len(key), edges, tail or ""):
                    yield text, at
                at = text.find(key, at + 1)


def _free(text: str, start: int, end: int, before: str, after: str) -> bool:
    """True when what stands beside a value does not go on with it; a full stop ends a sentence."""
    left, right = text[start - 1 : start], text[end : end + 1]
    if left == "@" and not text[max(0, start - 2) : start - 1].isalnum():  # a handle, no part of an address
        left = ""
    if left and (left.isalnum() or left in before) and text[start].isalnum():
        return False
    if right == "." and "." in after:
        following = text[end + 1 : end + 2]
        return not following.isalnum()
    return not (right and (right.isalnum() or right in after))


def _ends(text: str, digits: str) -> bool:
    """True when a number in the text ends with the digits."""
    at = text.find(digits)
    while at >= 0:
        if not text[at + len(digits) : at + len(digits) + 1].isdigit():
            return True
        at = text.find(digits, at + 1)
    return False


def _above(host: str) -> Iterator[str]:
    """A host and the domains above it, down to the one that somebody registered."""
    _, label, suffix = url_parts.registrable(host)
    lowest = f"{label}.{suffix}" if suffix else label
    while len(host) >= len(lowest):
        yield host
        host = host.partition(".")[2]
        if not host:
            return
