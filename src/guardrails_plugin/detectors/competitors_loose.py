"""Names inside longer words, and misspelt ones: with endings, in handles and hosts, joined with others, with a slip.

How: one pass (Aho-Corasick, 1975) looks for whole names and for their halves. A word with a slip has one half intact
(pigeonhole principle), so that only words at such a place are compared with the name: one slip of the four kinds of
Damerau ("A technique for computer detection and correction of spelling errors", 1964), two in long names; a letter is
taken for another only when their keys are neighbours or their sounds are alike. What is a common word, or begins with
one longer than the name ("Revolution"), is no name.

Limits: names of five letters and more that are no common words; names of common words only as a whole host or handle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ahocorasick_rs import AhoCorasick

from guardrails_plugin.detectors.competitors_meant import Kind, deals, kind_of
from guardrails_plugin.detectors.letter_model import KEY_ROWS
from guardrails_plugin.detectors.vocabulary import vocabulary

__all__ = ["Loose", "LooseHit"]

_SHORTEST = 5
_LONG = 9
_SURE = 7
"""From this many letters on a slip needs no capital."""

_REST = 10
_CAMEL = re.compile(r"(?:[A-Z][a-z]|_|\d)")
_AFFIX_BEFORE = re.compile(r"(?:get|try|use|go|my|the|join|hello|team|with|ask|via)?[-_.]?\Z")
_AFFIX_BEHIND = re.compile(
    r"[-_.]?(?:hq|app|help|support|care|official|usa?|uk|eu|inc|io|ai|status|jobs|careers|news|dev|labs|\d+)?\Z"
)
_CHARS = re.compile(r"[\w-]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_HOST = re.compile(r"\.(?:[a-z]{2,6}\.)?[a-z]{2,6}(?![\w(])")
_ENDING = re.compile(r"(?:s|es|ed|ing|er|ers|ly|d|n|en|r)\Z")


class LooseHit(NamedTuple):
    """A place, the number of the name, and how it is written there."""

    start: int
    end: int
    number: int
    form: str


class _Pattern(NamedTuple):
    letters: str
    number: int
    """Of the name."""
    part: str
    """``whole``, or the half at the ``begin`` or ``end`` of the name."""


class Loose:
    """The names, ready to be looked for; ``names`` are in their shortest form."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = [re.sub(r"[^\w]", "", name).casefold() for name in names]
        self._kinds = [kind_of(name) for name in names]
        self._patterns = [pattern for number in range(len(names)) for pattern in self._of(number)]
        self._automaton = AhoCorasick([pattern.letters for pattern in self._patterns])

    def _of(self, number: int) -> Iterator[_Pattern]:
        name = self._names[number]
        if len(name) < _SHORTEST - 1 or not name.isalnum():
            return
        yield _Pattern(name, number, "whole")
        if self._kinds[number] is Kind.NOTHING and len(name) >= _SHORTEST and name.isascii() and name.isalpha():
            half = len(name) // 2
            yield _Pattern(name[:half], number, "begin")
            yield _Pattern(name[half:], number, "end")

    def find(self, text: str) -> Iterator[LooseHit]:
        """Hits in a text, those excepted in which a name stands as it is given."""
        if not self._patterns:
            return
        folded = text.lower()
        if len(folded) != len(text):
            folded = "".join(low if len(low := char.lower()) == 1 else char for char in text)
        for index, start, end in self._automaton.find_matches_as_indexes(folded, overlapping=True):
            pattern = self._patterns[index]
            before, behind = start and folded[start - 1].isalpha(), folded[end : end + 1].isalpha()
            if pattern.part == "whole":
                if before or behind or folded[start - 1 : start] == "_" or _CAMEL.match(text, end):
                    yield from self._longer(text, start, end, pattern.number)
            elif (pattern.part == "begin" and not before and behind) or (
                pattern.part == "end" and before and not behind
            ):
                yield from self._misspelt(text, start, end, pattern)

    def _longer(self, text: str, start: int, end: int, number: int) -> Iterator[LooseHit]:
        first, last = _around(_CHARS, text, start, end)
        left, right = text[first:start], text[end:last]
        common = self._kinds[number] is not Kind.NOTHING
        if text[first - 1 : first] in ("@", "#") or _HOST.match(text, last):
            fits = _AFFIX_BEFORE.match(left.lower()) and _AFFIX_BEHIND.match(right.lower())
            if fits or (not common and end - start > _SHORTEST and (not left or not right)):
                yield LooseHit(start, end, number, "handle")
            return
        if common:
            return
        camel = (not left or left[-1] in "_-" or (left[-1].islower() and text[start].isupper())) and (
            not right or right[0] in "_-" or _CAMEL.match(right)
        )
        if camel:
            yield LooseHit(start, end, number, "joined")
        elif not left and self._inflected(text[start:last], end - start):
            yield LooseHit(start, last, number, "inflected")

    def _inflected(self, word: str, size: int) -> bool:
        rest = len(word) - size
        if not word.isalpha() or rest > (_REST if word[0].isupper() else 4) or size < _SHORTEST + (rest > 3):
            return False
        low, common = word.lower(), vocabulary().costs
        if word[0].islower() and low[size:] in ("s", "es"):
            return False
        longer = any(low[:end] in common for end in range(size + 1, len(low) + 1))
        return not longer and not any(low[at:] in common for at in range(1, size) if len(low) - at > rest + 2)

    def _misspelt(self, text: str, start: int, end: int, pattern: _Pattern) -> Iterator[LooseHit]:
        first, last = _around(_LETTERS, text, start, end)
        name = self._names[pattern.number].replace("ph", "f")
        said, word = text[first:last], text[first:last].lower().replace("ph", "f")
        if pattern.part == "begin" and _is_clipped(said, name) and not _is_common(word):
            yield LooseHit(first, last, pattern.number, "clipped")
            return
        if (
            abs(len(word) - len(name)) > 2
            or word[0] != name[0]
            or _starts(said, self._names[pattern.number])
            or not word.isascii()
        ):
            return
        if not (said[0].isupper() or len(name) >= _SURE or deals(text, first)) or _is_common(word):
            return
        most = 2 if len(name) >= _LONG else 1
        if slips(word, name, most) <= most:
            yield LooseHit(first, last, pattern.number, "misspelt")


def _starts(said: str, name: str) -> bool:
    return said.lower().startswith(name)


def _is_clipped(said: str, name: str) -> bool:
    """A name's beginning with a capital, as it is or with the ending of a nickname ("Insta", "Instie")."""
    word = _PET.sub("", said.lower())
    long = len(name) >= _CLIPPED and len(word) >= max(_SHORTEST - 1, len(name) // 2)
    return (
        long
        and len(word) < len(name) - 1
        and said[0].isupper()
        and name.startswith(word)
        and kind_of(said) is Kind.NOTHING
    )


_CLIPPED = 8
_PET = re.compile(r"(?:ies?|y|s|o)\Z")


def _around(run: re.Pattern[str], text: str, start: int, end: int) -> tuple[int, int]:
    """The run of characters that holds a place; at most 40 of them on either side."""
    low = max(0, start - 40)
    for found in run.finditer(text, low, min(len(text), end + 40)):
        if found.start() <= start and end <= found.end():
            return found.start(), found.end()
    return start, end


def _is_common(word: str) -> bool:
    common = vocabulary().costs
    stem = _ENDING.sub("", word)
    return word in common or stem in common or stem + "e" in common


_NEAR = frozenset(
    pair
    for row, below in zip(KEY_ROWS["latin"], (*KEY_ROWS["latin"][1:], ""), strict=True)
    for at, key in enumerate(row)
    for other in (*row[at + 1 : at + 2], *below[max(0, at - 1) : at + 1])
    for pair in (key + other, other + key)
)
_ALIKE = tuple(map(frozenset, ("aeiouy", "ckqx", "szcx", "vwf", "td", "gj", "bp", "mn")))


def _may_be(one: str, other: str) -> bool:
    return one + other in _NEAR or any(one in group and other in group for group in _ALIKE)


def slips(word: str, name: str, most: int) -> int:
    """Slips that make the word of the name: letters lost, added, swapped, or taken for like ones; ``most`` + 1 if more.

    >>> slips("mailchmp", "mailchimp", 2), slips("notoin", "notion", 1), slips("motion", "notion", 1)
    (1, 1, 1)
    """
    if not most:
        return 0 if word == name else 1
    at = next((n for n, (a, b) in enumerate(zip(word, name, strict=False)) if a != b), min(len(word), len(name)))
    word, name = word[at:], name[at:]
    if not word or not name:
        return min(len(word) + len(name), most + 1)
    left = most - 1
    ways = [slips(word[1:], name, left), slips(word, name[1:], left)]
    if _may_be(word[0], name[0]):
        ways.append(slips(word[1:], name[1:], left))
    if word[:2] == name[1::-1][:2] and len(word) > 1:
        ways.append(slips(word[2:], name[2:], left))
    return 1 + min(ways)
