"""Disguises that no syntax gives away: leet, rot13, reversal, words without spaces, stray accents and capitals, codes.

A guess becomes a view only where common words speak for it: a stretch of the text whose words mean nothing as they
stand and are common words once the disguise is undone. So ordinary text has no such views and costs no second look
of a classifier. Only classifiers and their rules read them; they are not part of a `Text`.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import re2

from guardrails_plugin.decoding import Run
from guardrails_plugin.detectors.codes import code_runs
from guardrails_plugin.detectors.letter_order import backward_stretch
from guardrails_plugin.detectors.vocabulary import Vocabulary, vocabulary
from guardrails_plugin.detectors.word_order import load_word_order
from guardrails_plugin.models.first_tier import merged
from guardrails_plugin.normalize import patched
from guardrails_plugin.types import Span, Text, View

__all__ = ["guesses", "readings"]

_ENOUGH = 9
"""Letters beyond the first of each common word that a stretch must show: "ignore all rules" has eleven."""

_LEAST_HITS = 3
"""Different common words that a stretch must show."""

_LEAST_GLUED = 5
"""Common words in a run without spaces: names in code join up to four."""

_NEAR = 400
"""Characters from a believable stretch within which single words in the same disguise count, too. Farther away they are
names and codes: in 400 KB of mixed documents one stretch made 721 of them words."""

_PLAIN, _STRANGE = 4, 1
"""What a word that is common as it stands, and one that is common neither way, take from a stretch."""

_TOLD = 4.0
"""Bits by which one order of words is likelier than the other, from which the other is not read."""

_WORD = re.compile(r"[^\W\d_]{2,}")
_EACH = re.compile(r"\S+")
_LEAST_LETTERS = 18
"""Letters of a run without spaces that can be a sentence."""

_GLUED = re.compile(rf"[^\W\d_]{{{_LEAST_LETTERS},400}}")
_LEET_WORD = re.compile(r"[A-Za-z0-9@$!|+\u20ac]{2,}")
_ODD_CAPITAL = re.compile(r"[a-z][A-Z]")


def _thrice(sign: str) -> Any:
    """A linear-time gate: the sign three times, wherever."""
    return re2.compile(rf"(?s)(?:{sign}).*?(?:{sign}).*?(?:{sign})")


_LEET_GATE = _thrice(r"[A-Za-z][013-9@$!|+\x{20ac}][A-Za-z]|\b[013-9@$][A-Za-z]{2}")
_ACCENT_GATE = _thrice(r"[\x{c0}-\x{24f}\x{1e00}-\x{1eff}]")
_CAPITAL_GATE = _thrice(r"[a-z][A-Z]{1,3}[a-z]{1,2}[A-Z]")
_LEET = tuple(
    str.maketrans("0134567892@$!|+\u20ac", f"o{one}eas{six}tb{nine}zas{one}{one}te")
    for one, six, nine in (("i", "g", "g"), ("l", "b", "q"))
)

_LEET_LETTERS = frozenset("aeiost")


def guesses(view: View) -> tuple[View, ...]:
    """The view with each disguise undone that the evidence speaks for; none for ordinary text."""
    view = _decoded_places(view)
    text, common = view.text, vocabulary()
    words = set(_WORD.findall(text.lower()))
    found = {kind: list(find(text, words, common)) for kind, find in _FINDERS}
    return tuple(patched(view, runs, kind) for kind, runs in found.items() if runs)


def _decoded_places(view: View) -> View:
    """A decoded view without what is far from any decoded place: guesses at that are made of its parent."""
    if view.parent is None or all(piece.linear for piece in view.pieces):
        return view
    ends = [piece.at for piece in view.pieces[1:]] + [len(view.text)]
    decoded = [(piece.at, end) for piece, end in zip(view.pieces, ends, strict=True) if not piece.linear]
    near = list(merged([Span(max(0, start - _NEAR), min(len(view.text), end + _NEAR)) for start, end in decoded]))
    bounds = [0, *(bound for span in near for bound in (span.start, span.end)), len(view.text)]
    far = [(start, end, "\n") for start, end in zip(bounds[::2], bounds[1::2], strict=True) if start < end]
    return patched(view, far, view.kind) if far else view


def readings(text: Text) -> tuple[View, ...]:
    """The views of a text and what is guessed from each: all that a classifier should read."""
    return (*text.views, *(guess for view in text.views for guess in guesses(view)))


@dataclass(frozen=True, slots=True)
class _Token:
    """A word as it stands, and as it reads without the disguise ("" when it is not disguised)."""

    start: int
    end: int
    word: str
    undone: str


def _stretches(tokens: Iterable[_Token], common: Vocabulary) -> Iterator[list[_Token]]:
    """Where common words appear by undoing: the stretches of highest sum of gains (Kadane's algorithm)."""
    stretch: list[_Token] = []
    total = best = size = 0
    for token in tokens:
        total += _gain(token, common)
        if total <= 0:
            yield from _believable(stretch[:size], best, common)
            stretch, total, best, size = [], 0, 0, 0
            continue
        stretch.append(token)
        if total >= best:
            best, size = total, len(stretch)
    yield from _believable(stretch[:size], best, common)


def _gain(token: _Token, common: Vocabulary) -> int:
    if token.word in common.costs:
        return -_PLAIN
    return len(token.undone) - 1 if token.undone in common.costs else -_STRANGE


def _believable(stretch: list[_Token], total: int, common: Vocabulary) -> Iterator[list[_Token]]:
    if total >= _ENOUGH and len({t.undone for t in stretch if t.undone in common.costs}) >= _LEAST_HITS:
        yield stretch


def _undone(text: str, pattern: re.Pattern[str], undo: Callable[[str], str]) -> Iterator[_Token]:
    for match in pattern.finditer(text):
        word = match.group().lower()
        yield _Token(match.start(), match.end(), word, undo(word))


def _rot13_runs(text: str, words: set[str], common: Vocabulary) -> Iterator[Run]:
    if len(words & common.rot13) >= _LEAST_HITS:
        for start, end in _whole(text, _rot13, common):
            yield start, end, _rot13(text[start:end])


def _rot13(text: str) -> str:
    return codecs.encode(text, "rot13")


def _backward_runs(text: str, words: set[str], common: Vocabulary) -> Iterator[Run]:
    """Stretches that read from their end."""
    for span in _backward_stretches(text, words, common):
        one, other = _both_orders(text[span.start : span.end])
        if one == other or _order(one, other) > -_TOLD:
            yield span.start, span.end, one


def _backward_word_runs(text: str, words: set[str], common: Vocabulary) -> Iterator[Run]:
    """Stretches whose words read from their ends, one after the other."""
    for span in _backward_stretches(text, words, common):
        one, other = _both_orders(text[span.start : span.end])
        if one != other and _order(one, other) < _TOLD:
            yield span.start, span.end, other


def _backward_stretches(text: str, words: set[str], common: Vocabulary) -> list[Span]:
    """Where letters or common words read backwards: letters tell it in any language, words to the end of a stretch."""
    by_letters = [Span(*stretch)] if (stretch := backward_stretch(text)) else []
    by_words = _whole(text, _backward, common) if len(words & common.backwards) >= _LEAST_HITS else ()
    spans = sorted([*by_letters, *(Span(*stretch) for stretch in by_words)])
    return list(merged(spans)) if spans else []


def _both_orders(run: str) -> tuple[str, str]:
    return _backward(run), _EACH.sub(lambda word: _backward(word.group()), run)


def _order(one: str, other: str) -> float:
    """Bits by which the words of the one reading stand in the likelier order; of other languages than English few."""
    table = load_word_order()
    return table.order(one) - table.order(other)


def _backward(word: str) -> str:
    return word[::-1]


def _whole(text: str, undo: Callable[[str], str], common: Vocabulary) -> Iterator[tuple[int, int]]:
    """Stretches without gaps, with the words beside them that are not common as they stand."""
    tokens = list(_undone(text, _WORD, undo))
    at = {token.start: number for number, token in enumerate(tokens)}
    last = -1
    for stretch in _stretches(tokens, common):
        first, end = at[stretch[0].start], at[stretch[-1].start]
        while first > last + 1 and _open(tokens[first - 1], common):
            first -= 1
        while end + 1 < len(tokens) and _open(tokens[end + 1], common):
            end += 1
        if first > last:
            yield tokens[first].start, tokens[end].end
        last = end


def _open(token: _Token, common: Vocabulary) -> bool:
    """Whether a word beside a stretch may belong to it: it is not common as it stands, or both ways ("now", "won")."""
    return token.word not in common.costs or token.undone in common.costs


def _leet_runs(text: str, _: set[str], common: Vocabulary) -> Iterator[Run]:
    if _LEET_GATE.search(text):
        tokens = (_leet_token(match, common) for match in _LEET_WORD.finditer(text))
        yield from _replaced(text, tokens, common)


def _leet_token(match: re.Match[str], common: Vocabulary) -> _Token:
    word = match.group().rstrip("!|+").lower()
    end = match.start() + len(word)
    if word.isalpha():  # without letters that leet has signs for it may be part of either
        return _Token(match.start(), end, word if _LEET_LETTERS.intersection(word) else "", "")
    read = [word.translate(table) for table in _LEET]
    mixed = [a if a in common.costs else b for a, b in pairwise(read)]
    return _Token(match.start(), end, word, next((w for w in (*read, *mixed) if w in common.costs), read[0]))


def _accent_runs(text: str, _: set[str], common: Vocabulary) -> Iterator[Run]:
    if not text.isascii() and _ACCENT_GATE.search(text):
        yield from _replaced(text, _undone(text, _WORD, _unaccented), common)


def _unaccented(word: str) -> str:
    plain = "".join(char for char in unicodedata.normalize("NFD", word) if not unicodedata.combining(char))
    return plain if plain != word else ""


def _capital_runs(text: str, _: set[str], common: Vocabulary) -> Iterator[Run]:
    if _CAPITAL_GATE.search(text):
        tokens = (_capital_token(match) for match in _WORD.finditer(text))
        yield from _replaced(text, tokens, common)


def _capital_token(match: re.Match[str]) -> _Token:
    """Words with a capital behind a small letter count as disguised, all others as they stand."""
    word = match.group()
    odd = _ODD_CAPITAL.search(word) is not None
    return _Token(match.start(), match.end(), word if odd else word.lower(), word.lower() if odd else "")


def _replaced(text: str, tokens: Iterable[_Token], common: Vocabulary) -> Iterator[Run]:
    """The disguised words of believable stretches in their plain form, and those near them that make a word."""
    every = list(tokens)
    believed = [token for stretch in _stretches(every, common) for token in stretch]
    starts = [token.start for token in believed]
    chosen = frozenset(believed)
    for token in every if believed else ():
        makes_word = token.undone in common.costs and token.word not in common.costs
        if token.undone and (token in chosen or (makes_word and _near(token.start, starts))):
            plain = _like(text[token.start : token.end], token.undone)
            if plain != text[token.start : token.end]:
                yield token.start, token.end, plain


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


def _glued_runs(text: str, words: set[str], common: Vocabulary) -> Iterator[Run]:
    """Sentences written without spaces."""
    if max(map(len, words), default=0) < _LEAST_LETTERS:
        return
    for match in _GLUED.finditer(text):
        word = match.group().lower()
        if word not in common.costs and len(word) == match.end() - match.start():
            parts = common.segmented(word)
            if _sentence(parts, common):
                yield match.start(), match.end(), " ".join(parts)


def _sentence(words: Sequence[str], common: Vocabulary) -> bool:
    known = [word for word in words if word in common.costs]
    letters = sum(map(len, words))
    return len(known) >= _LEAST_GLUED and sum(map(len, known)) >= 0.9 * letters and letters >= 3.2 * len(words)


_FINDERS: tuple[tuple[str, Callable[[str, set[str], Vocabulary], Iterator[Run]]], ...] = (
    ("rot13", _rot13_runs),
    ("reversed", _backward_runs),
    ("words reversed", _backward_word_runs),
    ("leet", _leet_runs),
    ("glued", _glued_runs),
    ("accents", _accent_runs),
    ("capitals", _capital_runs),
    ("codes", code_runs),
)
