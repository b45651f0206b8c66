"""Text that was written backwards, whole or word by word, in whatever language."""

from __future__ import annotations

import re

from guardrails_plugin.decoding import Run
from guardrails_plugin.detectors.letter_order import backward_stretches
from guardrails_plugin.detectors.stretches import LEAST_HITS, whole
from guardrails_plugin.detectors.vocabulary import Vocabulary
from guardrails_plugin.detectors.word_order import load_word_order
from guardrails_plugin.models.first_tier import merged
from guardrails_plugin.types import Span

__all__ = ["backward_runs"]

_TOLD = 4.0
"""Bits by which one order of words is likelier than the other, from which the other is not read."""

_SHORT, _MOSTLY = 1_000, 0.6
"""Characters of a text, and the share of its words that are common as they stand, at which its letters need no look."""

_EACH = re.compile(r"\S+")


def backward_runs(text: str, words: set[str], common: Vocabulary) -> tuple[list[Run], list[Run]]:
    """Stretches that read from their end, and stretches whose words do, one after the other.

    A stretch is in both where the order of its words does not tell which it is.
    """
    whole_runs: list[Run] = []
    word_runs: list[Run] = []
    for span in _stretches(text, words, common):
        run = text[span.start : span.end]
        one, other = _backward(run), _EACH.sub(lambda word: _backward(word.group()), run)
        difference = 0.0 if one == other else _order(one, other)
        if difference > -_TOLD:
            whole_runs.append((span.start, span.end, one))
        if one != other and difference < _TOLD:
            word_runs.append((span.start, span.end, other))
    return whole_runs, word_runs


def _stretches(text: str, words: set[str], common: Vocabulary) -> list[Span]:
    """Where letters or common words read backwards: letters tell it in any language, words to the end of a stretch."""
    plain = len(text) < _SHORT and len(words & common.costs.keys()) >= _MOSTLY * len(words) > 0
    by_letters = (Span(*stretch) for stretch in (() if plain else backward_stretches(text)))
    by_words = whole(text, _backward, common) if len(words & common.backwards) >= LEAST_HITS else ()
    spans = sorted([*by_letters, *(Span(*stretch) for stretch in by_words)])
    return list(merged(spans)) if spans else []


def _order(one: str, other: str) -> float:
    """Bits by which the words of the one reading stand in the likelier order; of other languages than English none."""
    table = load_word_order()
    return table.order(one) - table.order(other)


def _backward(word: str) -> str:
    return word[::-1]
