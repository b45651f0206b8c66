"""Which feeling the words of an English text name most: anger, disgust, fear, joy, sadness or surprise.

How: words of ``data/feelings.toml`` are counted; one of the three words behind a negator ("not happy") counts for
nothing. The feeling named most often is given, of equals the one named first. The six are those of Ekman.

Source: Ekman, "An argument for basic emotions" (1992), for the classes; the words were written for this project.
Limits: English; what is said, whoever feels it; a feeling that is told without its words ("I sat there all night") is
not seen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from functools import cache

from guardrails_plugin.detectors.table import read_table

__all__ = ["FEELINGS", "feeling"]

FEELINGS: Mapping[str, frozenset[str]] = {
    "POSITIVE": frozenset({"joy", "surprise"}),
    "NEGATIVE": frozenset({"anger", "disgust", "fear", "sadness", "surprise"}),
    "NEUTRAL": frozenset({"surprise"}),
}
"""Feelings that go with a polarity."""

_WORD = re.compile(r"[a-z]+(?:['\u2019-][a-z]+)*")
_REACH = 3
"""Words that a negator turns round."""


def feeling(text: str, among: Container[str]) -> str | None:
    """The feeling among these that is named most; None when none is.

    >>> feeling("I was so sad, I cried all day.", FEELINGS["NEGATIVE"])
    'sadness'
    >>> feeling("I am not angry.", FEELINGS["NEGATIVE"])
    """
    counts = Counter(name for name in _named(text.lower().replace("\u2019", "'")) if name in among)
    return max(counts, key=lambda name: counts[name]) if counts else None


def _named(text: str) -> Iterator[str]:
    exact, stems, negators = _words()
    turned = 0
    for found in _WORD.finditer(text):
        word = found.group()
        if word in negators:
            turned = _REACH
            continue
        name = exact.get(word) or next((name for stem, name in stems if word.startswith(stem)), None)
        if name is not None and not turned:
            yield name
        turned = max(0, turned - 1)


@cache
def _words() -> tuple[Mapping[str, str], tuple[tuple[str, str], ...], frozenset[str]]:
    """Whole words and beginnings, each with its feeling; and the negators."""
    table = read_table("feelings")
    pairs = [(word, name) for name, words in table["feeling"].items() for word in words.split()]
    exact = {word: name for word, name in pairs if not word.endswith("*")}
    stems = tuple((word.removesuffix("*"), name) for word, name in pairs if word.endswith("*"))
    return exact, stems, frozenset(table["negators"].split())
