"""Disguises that no syntax gives away: leet, ciphers, reversal, words taken apart, stray accents and capitals, codes.

A guess becomes a view only where common words speak for it: a stretch of the text whose words mean nothing as they
stand and are common words once the disguise is undone. So ordinary text has no such views and costs no second look
of a classifier. Only classifiers and their rules read them; they are not part of a `Text`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from guardrails_plugin.decoding import Run
from guardrails_plugin.detectors.apart import glued_runs, linked_runs, marked_runs, upright_runs
from guardrails_plugin.detectors.ciphers import pig_latin_runs, rot13_runs, shifted_runs, turned_runs
from guardrails_plugin.detectors.codes import code_runs
from guardrails_plugin.detectors.reversals import backward_runs
from guardrails_plugin.detectors.stretches import WORD, Finder, Token, replaced, thrice, undone
from guardrails_plugin.detectors.vocabulary import Vocabulary, vocabulary
from guardrails_plugin.models.first_tier import merged
from guardrails_plugin.normalize import patched
from guardrails_plugin.types import Span, Text, View

__all__ = ["KINDS", "LINKED", "guesses", "readings"]

LINKED = "linked"
"""Kind of a view in which words joined by a sign are apart: many do that without a thought of hiding something."""

_AROUND = 400
"""Characters beside a decoded place in which guesses are made again."""

_LEET_WORD = re.compile(r"[A-Za-z0-9@$!|+\u20ac]{2,}")
_ODD_CAPITAL = re.compile(r"[a-z][A-Z]")

_LEET_GATE = thrice(r"[A-Za-z][013-9@$!|+\x{20ac}][A-Za-z]|\b[013-9@$][A-Za-z]{2}")
_ACCENT_GATE = thrice(r"[\x{c0}-\x{24f}\x{1e00}-\x{1eff}]")
_CAPITAL_GATE = thrice(r"[a-z][A-Z]{1,3}[a-z]{1,2}[A-Z]")
_LEET = tuple(
    str.maketrans("0134567892@$!|+\u20ac", f"o{one}eas{six}tb{nine}zas{one}{one}te")
    for one, six, nine in (("i", "g", "g"), ("l", "b", "q"))
)

_LEET_LETTERS = frozenset("aeiost")


def guesses(view: View) -> tuple[View, ...]:
    """The view with each disguise undone that the evidence speaks for; none for ordinary text."""
    view = _decoded_places(view)
    text, common = view.text, vocabulary()
    words = set(WORD.findall(text.lower()))
    found = {kind: list(find(text, words, common)) for kind, find in _FINDERS}
    found |= zip(_REVERSED, backward_runs(text, words, common), strict=True)
    return tuple(patched(view, runs, kind) for kind, runs in found.items() if runs)


def _decoded_places(view: View) -> View:
    """A decoded view without what is far from any decoded place: guesses at that are made of its parent."""
    if view.parent is None or all(piece.linear for piece in view.pieces):
        return view
    ends = [piece.at for piece in view.pieces[1:]] + [len(view.text)]
    decoded = [(piece.at, end) for piece, end in zip(view.pieces, ends, strict=True) if not piece.linear]
    near = list(merged([Span(max(0, start - _AROUND), min(len(view.text), end + _AROUND)) for start, end in decoded]))
    bounds = [0, *(bound for span in near for bound in (span.start, span.end)), len(view.text)]
    far = [(start, end, "\n") for start, end in zip(bounds[::2], bounds[1::2], strict=True) if start < end]
    return patched(view, far, view.kind) if far else view


def readings(text: Text) -> tuple[View, ...]:
    """The views of a text and what is guessed from each: all that a classifier should read."""
    return (*text.views, *(guess for view in text.views for guess in guesses(view)))


def _leet_runs(text: str, _: set[str], common: Vocabulary) -> Iterator[Run]:
    if _LEET_GATE.search(text):
        tokens = (_leet_token(match, common) for match in _LEET_WORD.finditer(text))
        yield from replaced(text, tokens, common)


def _leet_token(match: re.Match[str], common: Vocabulary) -> Token:
    word = match.group().rstrip("!|+").lower()
    end = match.start() + len(word)
    if word.isalpha():  # without letters that leet has signs for it may be part of either
        return Token(match.start(), end, word if _LEET_LETTERS.intersection(word) else "", "")
    read = [word.translate(table) for table in _LEET]
    return Token(match.start(), end, word, next((plain for plain in read if plain in common.costs), read[0]))


def _accent_runs(text: str, _: set[str], common: Vocabulary) -> Iterator[Run]:
    if not text.isascii() and _ACCENT_GATE.search(text):
        yield from replaced(text, undone(text, WORD, _unaccented), common)


def _unaccented(word: str) -> str:
    plain = "".join(char for char in unicodedata.normalize("NFD", word) if not unicodedata.combining(char))
    return plain if plain != word else ""


def _capital_runs(text: str, _: set[str], common: Vocabulary) -> Iterator[Run]:
    if _CAPITAL_GATE.search(text):
        tokens = (_capital_token(match) for match in WORD.finditer(text))
        yield from replaced(text, tokens, common)


def _capital_token(match: re.Match[str]) -> Token:
    """Words with a capital behind a small letter count as disguised, all others as they stand."""
    word = match.group()
    odd = _ODD_CAPITAL.search(word) is not None
    return Token(match.start(), match.end(), word if odd else word.lower(), word.lower() if odd else "")


_FINDERS: tuple[tuple[str, Finder], ...] = (
    ("rot13", rot13_runs),
    ("shifted", shifted_runs),
    ("turned", turned_runs),
    ("pig latin", pig_latin_runs),
    ("leet", _leet_runs),
    ("marked", marked_runs),
    ("upright", upright_runs),
    ("glued", glued_runs),
    (LINKED, linked_runs),
    ("accents", _accent_runs),
    ("capitals", _capital_runs),
    ("codes", code_runs),
)
_REVERSED = ("reversed", "words reversed")
KINDS = frozenset((*_REVERSED, *(kind for kind, _ in _FINDERS)))
"""Kinds of the views that guesses make."""
