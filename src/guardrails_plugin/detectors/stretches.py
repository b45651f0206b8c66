"""Where words mean nothing as they stand and are common words once a disguise is undone.

Each finder of a disguise gives tokens; a stretch of them is believed where what is gained by undoing outweighs what
speaks against it. Common words are the evidence: see `vocabulary`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import re2

from guardrails_plugin.decoding import Run
from guardrails_plugin.detectors.vocabulary import Vocabulary

__all__ = ["LEAST_HITS", "WORD", "Finder", "Token", "disjoint", "replaced", "stretches", "thrice", "undone", "whole"]

Finder = Callable[[str, set[str], Vocabulary], Iterable[Run]]
"""Takes a text and its words in lower case; gives runs with what they say."""

LEAST_HITS = 3
"""Different common words that a stretch must show."""

WORD = re.compile(r"[^\W\d_]{2,}")

_ENOUGH = 9
"""Letters beyond the first of each common word that a stretch must show: "ignore all rules" has eleven."""

_PLAIN, _STRANGE = 4, 1
"""What a word that is common as it stands, and one that is common neither way, take from a stretch."""

_DROP = 4 * _ENOUGH
"""How far the sum may fall below its best within a stretch."""

_NEAR = 400
"""Characters from a believed stretch within which single words in the same disguise count, too. Farther away they are
names and codes: in 400 KB of mixed documents one stretch made 721 of them words."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word as it stands, and as it reads without the disguise ("" when it is not disguised)."""

    start: int
    end: int
    word: str = field(repr=False)
    undone: str = field(repr=False)


def thrice(sign: str) -> Any:
    """A linear-time gate: the sign three times, wherever."""
    return re2.compile(rf"(?s)(?:{sign}).*?(?:{sign}).*?(?:{sign})")


def undone(text: str, pattern: re.Pattern[str], undo: Callable[[str], str]) -> Iterator[Token]:
    """A token for each match, its word in lower case."""
    for match in pattern.finditer(text):
        word = match.group().lower()
        yield Token(match.start(), match.end(), word, undo(word))


def whole(text: str, undo: Callable[[str], str], common: Vocabulary) -> Iterator[tuple[int, int]]:
    """Stretches without gaps, with the words beside them that are not common as they stand."""
    tokens = list(undone(text, WORD, undo))
    at = {token.start: number for number, token in enumerate(tokens)}
    last = -1
    for stretch in stretches(tokens, common):
        first, end = max(at[stretch[0].start], last + 1), at[stretch[-1].start]
        if end <= last:
            continue
        while first > last + 1 and _open(tokens[first - 1], common):
            first -= 1
        while end + 1 < len(tokens) and _open(tokens[end + 1], common):
            end += 1
        yield tokens[first].start, tokens[end].end
        last = end


def disjoint(runs: Iterable[Run]) -> Iterator[Run]:
    """The runs in order, without those that begin inside of another."""
    taken = 0
    for start, end, plain in sorted(runs):
        if start >= taken:
            yield start, end, plain
            taken = end


def replaced(text: str, tokens: Iterable[Token], common: Vocabulary) -> Iterator[Run]:
    """The disguised words of believed stretches in their plain form, and those near them that make a word."""
    every = list(tokens)
    believed = [token for stretch in stretches(every, common) for token in stretch]
    starts = [token.start for token in believed]
    chosen = frozenset(believed)
    for token in every if believed else ():
        makes_word = token.undone in common.costs and token.word not in common.costs
        if token.undone and (token in chosen or (makes_word and _near(token.start, starts))):
            plain = _like(text[token.start : token.end], token.undone)
            if plain != text[token.start : token.end]:
                yield token.start, token.end, plain


def stretches(tokens: Iterable[Token], common: Vocabulary) -> Iterator[list[Token]]:
    """Where common words appear by undoing: the stretches of highest sum of gains (Kadane's algorithm).

    A stretch ends where its sum has fallen far below its best (the X-drop of Altschul et al., 1990), else a heavy one
    would hide what comes behind it.
    """
    stretch: list[Token] = []
    total = best = size = 0
    for token in tokens:
        total += _gain(token, common)
        if total <= 0 or best - total > _DROP:
            yield from _believable(stretch[:size], best, common)
            stretch, total, best, size = [], 0, 0, 0
            continue
        stretch.append(token)
        if total >= best:
            best, size = total, len(stretch)
    yield from _believable(stretch[:size], best, common)


def _gain(token: Token, common: Vocabulary) -> int:
    if token.word in common.costs:
        return -_PLAIN
    return len(token.undone) - 1 if token.undone in common.costs else -_STRANGE


def _believable(stretch: list[Token], total: int, common: Vocabulary) -> Iterator[list[Token]]:
    if total >= _ENOUGH and len({t.undone for t in stretch if t.undone in common.costs}) >= LEAST_HITS:
        yield stretch


def _open(token: Token, common: Vocabulary) -> bool:
    """Whether a word beside a stretch may belong to it: it is not common as it stands, or both ways ("now", "won")."""
    return token.word not in common.costs or token.undone in common.costs


def _near(at: int, places: Sequence[int]) -> bool:
    """Whether one of the places, which rise, is near."""
    first = bisect_left(places, at - _NEAR)
    return first < len(places) and places[first] <= at + _NEAR


def _like(disguised: str, plain: str) -> str:
    """The plain word with the disguised one's capitals."""
    letters = [char for char in disguised if char.isalpha()]
    if len(letters) > 1 and all(char.isupper() for char in letters):
        return plain.upper()
    return plain.capitalize() if disguised[:1].isupper() and plain[:1] == disguised[:1].lower() else plain
