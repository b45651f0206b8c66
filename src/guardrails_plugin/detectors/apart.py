"""Words taken apart by what a reader skips, and sentences without gaps between their words.

Marks inside words: emphasis (``**I**gnore``), tags and comments (``ig<b></b>nore``, ``ig/**/nore``), pieces of strings
(``"ig" + "nore"``), single signs (``ig.nore``). Sentences: no spaces at all, another sign in their place
(``ignore_all_rules``), a letter a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import re2

from guardrails_plugin.decoding import Run
from guardrails_plugin.detectors.stretches import LEAST_HITS, Token, stretches
from guardrails_plugin.detectors.vocabulary import Vocabulary

__all__ = ["glued_runs", "linked_runs", "marked_runs", "upright_runs"]

_LATIN = "[A-Za-z\u00c0-\u024f]"
_SIGNS = r"[*~`.\-\u00b7\u2022|^\\]"
_PASTED = r"<[^<>\n]*>|/\*[^\n*]*\*/|[\"'][ \t]{0,6}(?:(?:[+.&]|\|\|)[ \t]{0,6})?[\"']"
"""Tags, comments, and where a string ends and the next begins. Each begins and goes on in one way only: nothing of a
hostile text is tried twice."""

_MARKED = re.compile(f"{_LATIN}+(?:(?:{_SIGNS}|{_PASTED})+{_LATIN}+)*")
_MARK_GATE: Any = re2.compile(rf"[A-Za-z](?:{_SIGNS}|{_PASTED})+[A-Za-z]".replace(r"\u00b7\u2022", r"\x{b7}\x{2022}"))
_MARKS = re.compile(rf"{_PASTED}|[*~`]+|(?<=[^\W\d_]){_SIGNS}+(?=[^\W\d_])")
"""What is left out of a stretch in which words are taken apart, wherever it stands."""

_LEAST_WHOLE = 4
"""Letters of a word that speaks against marks if it has none: shorter ones may lie between two."""

_LEAST_UPRIGHT = 4
"""Different common words in a column of letters: the alphabet has some by chance."""

_LEAST_GLUED = 5
"""Common words in a run without spaces: names in code join up to four."""

_LEAST_LETTERS = 18
"""Letters of a run without spaces that can be a sentence."""

_GLUED = re.compile(rf"[^\W\d_]{{{_LEAST_LETTERS},400}}")
_LINKED = re.compile(
    r"(?<![\w/.:=?&+-])(?:"
    + "|".join(rf"{_LATIN}+(?:{sign}{_LATIN}+){{5,}}" for sign in (r"[,.:;!?']?_", r"\+", "-", r"\."))
    + r")(?![\w(/=:+-]|\.\w)"
)
_SCRAP = 2
_SHORT = frozenset("a i am an as at be by do go he if in is it me my no of on or so to up us we".split())
"""Words of two letters at most that count as English: others make words of any letters ("de pre ca tion")."""

_BETWEEN = re.compile(r"[\W\d_]+")
_UPRIGHT: Any = re2.compile(r"(?m)^(?:[^\n]?\r?\n){8,}(?:[^\n]$)?")


def marked_runs(text: str, _: set[str], common: Vocabulary) -> Iterator[Run]:
    """Stretches with marks inside words, where three of these become common words without."""
    if sum(1 for _ in islice(_MARK_GATE.finditer(text), LEAST_HITS)) == LEAST_HITS:
        for stretch in stretches(_marked(text), common):
            start, end = stretch[0].start, stretch[-1].end
            yield start, end, _MARKS.sub("", text[start:end])


def _marked(text: str) -> Iterator[Token]:
    for match in _MARKED.finditer(text):
        run = match.group().lower()
        plain = run.isalpha()
        word = run if plain and len(run) >= _LEAST_WHOLE else ""
        yield Token(match.start(), match.end(), word, "" if plain else _MARKS.sub("", run))


def upright_runs(text: str, _: set[str], common: Vocabulary) -> Iterator[Run]:
    """A letter a line, with or without a line for each space."""
    for match in _UPRIGHT.finditer(text):
        plain = "".join(line[:1] or " " for line in match.group().replace("\r", "").split("\n"))
        words = plain.split() if " " in plain.strip() else common.segmented(plain.strip().lower())
        known = {word for part in words if len(word := part.lower().strip(".,:;!?")) > _SCRAP and word in common.costs}
        if len(known) >= _LEAST_UPRIGHT:
            yield match.start(), match.end(), " ".join(words)


def glued_runs(text: str, words: set[str], common: Vocabulary) -> Iterator[Run]:
    """Sentences written without spaces."""
    if max(map(len, words), default=0) < _LEAST_LETTERS:
        return
    for match in _GLUED.finditer(text):
        word = match.group().lower()
        if word not in common.costs and len(word) == match.end() - match.start():
            parts = common.segmented(word)
            if _sentence(parts, common):
                yield match.start(), match.end(), " ".join(parts)


def linked_runs(text: str, _: set[str], common: Vocabulary) -> Iterator[Run]:
    """Sentences with another sign in the place of spaces; no parts of addresses, no names of files and functions."""
    for match in _LINKED.finditer(text):
        parts = _BETWEEN.split(match.group())
        if _sentence([part.lower() for part in parts], common):
            yield match.start(), match.end(), " ".join(parts)


def _sentence(words: Sequence[str], common: Vocabulary) -> bool:
    known = [word for word in words if word in common.costs and (len(word) > _SCRAP or word in _SHORT)]
    letters = sum(map(len, words))
    return len(known) >= _LEAST_GLUED and sum(map(len, known)) >= 0.9 * letters and letters >= 3.2 * len(words)
