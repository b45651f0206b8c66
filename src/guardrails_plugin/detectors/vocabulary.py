"""Common words: the cheap evidence that a guess at a disguise is right.

``data/common_words.txt`` has the words that stand in most texts of this project's training data, a line a language,
the most frequent first: 6,500 English ones and some hundreds each of 14 other languages in Latin script.
"""

from __future__ import annotations

import codecs
import math
from dataclasses import dataclass
from functools import cache
from importlib import resources

__all__ = ["Vocabulary", "vocabulary"]

_LONGEST = 16
"""Letters of the longest word that segmentation looks for."""

_UNKNOWN = 14.0
"""Cost in nats of a letter that belongs to no word: dearer than any word."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words by their cost (negative log probability), and how they look in disguises that words survive whole."""

    costs: dict[str, float]
    rot13: frozenset[str]
    backwards: frozenset[str]

    def segmented(self, letters: str) -> list[str]:
        """The likeliest words of a text written without spaces (Viterbi, unigrams); unknown letters stay single.

        >>> vocabulary().segmented("ignoreallpreviousinstructions")
        ['ignore', 'all', 'previous', 'instructions']
        """
        best, last = [0.0], [0]
        for end in range(1, len(letters) + 1):
            cost, start = best[end - 1] + _UNKNOWN, end - 1
            for begin in range(max(0, end - _LONGEST), end - 1):
                own = self.costs.get(letters[begin:end])
                if own is not None and best[begin] + own < cost:
                    cost, start = best[begin] + own, begin
            if letters[end - 1] in "ai" and best[end - 1] + 7.0 < cost:
                cost, start = best[end - 1] + 7.0, end - 1
            best.append(cost)
            last.append(start)
        words: list[str] = []
        end = len(letters)
        while end:
            words.append(letters[last[end] : end])
            end = last[end]
        return words[::-1]


@cache
def vocabulary() -> Vocabulary:
    """The vocabulary, read once."""
    file = resources.files("guardrails_plugin.detectors") / "data" / "common_words.txt"
    lines = file.read_text("utf-8").splitlines()
    costs: dict[str, float] = {}
    for line in lines:
        _, _, words = line.partition("\t")
        for rank, word in enumerate(words.split(), 1):
            # Zipf: the word of rank r has probability 1 / (10 r); other languages start as if at rank 100.
            costs.setdefault(word, math.log(10 * (rank if line.startswith("en\t") else rank + 100)))
    known = frozenset(costs)
    rot13 = frozenset(codecs.encode(word, "rot13") for word in known if word.isascii())
    return Vocabulary(costs, rot13 - known, frozenset(word[::-1] for word in known) - known)
