"""A prompt told in other words or another language: passages that speak of instructions, and mean what the prompt does.

How, cheapest first: a passage is looked at when it speaks of its writer's instructions, or gives a role and orders
(`prompt_talk`). One that speaks of instructions and shares enough words with the prompt is a leak. Else the encoder's
embedding of the passage is compared with that of the whole prompt, both seen from the mean of everyday texts
(`topic_vectors`); the score is a logistic curve over the cosine, with slope 12 and the middle at `TELLING` where the
passage speaks of instructions, at `COMMANDING` where it only commands.

Single sentences say nothing this way: innocent answers are as near to a sentence of the prompt as paraphrases are, and
only the whole tells them apart. The middles were set on the rows of `data/blind` and on the examples of its tests.
Limits: a paraphrase that neither speaks of instructions nor commands passes; so do riddles. Passages of a stream are
cut where it holds back.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from guardrails_plugin.detectors.prompt_talk import commands, tells
from guardrails_plugin.detectors.prose import passages

__all__ = ["COMMANDING", "TELLING", "Retold", "likeness", "retold"]

TELLING, COMMANDING = 0.25, 0.305
_SLOPE = 12.0

_PASSAGE = 480
"""Characters: about as much as the encoder reads at once."""

_LOOKED_AT = 4
"""Passages of a text that are embedded: bounds what an answer costs."""

_EVERY = 12
"""One everyday text in so many: all of them would take seconds when the first answer comes."""

_SHARED = 3
"""Words that a passage which speaks of instructions has from them; of a prompt with fewer, all."""

_ALIKE = 2
"""Those of a passage that only commands, before its meaning is looked at."""

_SHARED_SCORE = 0.8
_STEM = 5
_WORD = re.compile(r"\w{4,}")
_EMPTY = frozenset(
    "about always answer answers cannot could does from have help into just like never only other please questions "
    "should some talk tell that their them then there these they this what when which with will would your you're "
    "instructions instruction prompt system rules assistant anything something".split()
)


class Retold(NamedTuple):
    """A passage that means what the prompt does."""

    start: int
    end: int
    score: float
    kind: str


def retold(text: str, prompt: str, *, meaning: bool) -> Iterator[Retold]:
    """The passages of a text that retell the prompt; without ``meaning``, by shared words alone."""
    asked = 0
    if not (tells(text) or commands(text)):
        return
    for start, end in passages(text, _PASSAGE):
        passage = text[start:end]
        telling = tells(passage)
        if telling and _shares(passage, prompt, _SHARED):
            yield Retold(start, end, _SHARED_SCORE, "told")
        elif meaning and asked < _LOOKED_AT and (telling or _commands_alike(passage, prompt)):
            asked += 1
            middle = TELLING if telling else COMMANDING
            score = 1 / (1 + math.exp(_SLOPE * (middle - likeness(passage, prompt))))
            yield Retold(start, end, round(score, 3), "meaning")


def likeness(passage: str, prompt: str) -> float:
    """Cosine of two texts' embeddings, seen from the mean of everyday texts."""
    one, other = _vector(passage), _prompt_vector(prompt)
    return float(one @ other)


def _commands_alike(passage: str, prompt: str) -> bool:
    """Whether it orders, in another language or with some of the prompt's words."""
    kind = commands(passage)
    return kind == "foreign" or (kind == "plain" and _shares(passage, prompt, _ALIKE))


def _shares(passage: str, prompt: str, number: int) -> bool:
    known = _stems(prompt)
    return bool(known) and len(known & _stems(passage)) >= min(number, len(known))


@lru_cache(maxsize=256)
def _stems(text: str) -> frozenset[str]:
    return frozenset(word[:_STEM] for word in _WORD.findall(text.lower()) if word not in _EMPTY)


def _vector(text: str) -> Any:
    found = _embedded([text])[0] - _middle()
    return found / max(float((found @ found) ** 0.5), 1e-9)


@cache
def _middle() -> Any:
    """The mean of some everyday texts: what is common to all texts tells none apart."""
    from guardrails_plugin.detectors.topic_vectors import everyday_texts

    return _embedded(everyday_texts()[::_EVERY]).mean(axis=0)


def _embedded(texts: Sequence[str]) -> Any:
    # Deferred: loads the encoder, which only few answers need.
    from guardrails_plugin.detectors.meaning import MeaningEmbedder

    return MeaningEmbedder().embed(texts)


_prompt_vector = lru_cache(maxsize=64)(_vector)
