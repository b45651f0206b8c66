"""Texts taken apart, each beside the text it was made of: rows for the head that tells gibberish.

The head learns what a reader notices at once, whatever was done to the text: in which order words stand, letters stand,
and whether a sentence is about anything. Hand-written rows teach what people call nonsense, and what only looks so.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from guardrails_plugin.training.data import UNKNOWN, Example

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LABEL = "gibberish"

LEAST, MOST = 5, 60
"""Words of a text that is taken apart: fewer have too few orders, more take too long to read."""

_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_WORD = re.compile(r"[^\W\d_]{2,}")

Words = list[str]


def _orders(words: Words, _: Words, rng: random.Random) -> Words:
    return rng.sample(words, len(words))


def _letters(words: Words, _: Words, rng: random.Random) -> Words:
    return ["".join(rng.sample(word, len(word))) for word in words]


def _thrown(words: Words, others: Words, rng: random.Random) -> Words:
    """Words of many texts."""
    return rng.sample(others, min(len(words), len(others)))


def _mashed(words: Words, _: Words, rng: random.Random) -> Words:
    return ["".join(rng.choice(rng.choice(_KEYS)) for _ in word) for word in words]


def _half_mashed(words: Words, others: Words, rng: random.Random) -> Words:
    return [_mashed([word], others, rng)[0] if rng.random() < 0.5 else word for word in words]


def _worn(words: Words, _: Words, rng: random.Random) -> Words:
    """Two letters of three are gone or others."""
    return ["".join(rng.choice(("", rng.choice(_KEYS[1]), char)) for char in word) or word[:1] for word in words]


def _drifting(words: Words, others: Words, rng: random.Random) -> Words:
    """Two or three words of a text, then of another."""
    drifted: Words = []
    while len(drifted) < len(words):
        source = rng.choice((words, others))
        begin = rng.randrange(max(1, len(source) - 3))
        drifted += source[begin : begin + rng.randrange(1, 4)]
    return drifted


def _blended(words: Words, others: Words, rng: random.Random) -> Words:
    """Words that are none: the first half of one, the second of another."""
    made = []
    for word in words:
        other = rng.choice(others)
        made.append(word[: (len(word) + 1) // 2] + other[len(other) // 2 :])
    return made


WAYS: Sequence[Callable[[Words, Words, random.Random], Words]] = (
    _orders,
    _orders,
    _orders,
    _letters,
    _thrown,
    _thrown,
    _mashed,
    _half_mashed,
    _worn,
    _drifting,
    _drifting,
    _blended,
    _blended,
)


def scrambled(texts: Sequence[Example], count: int, *, seed: int) -> Iterator[Example]:
    """`count` times a text of `texts` and what is left of it when it was taken apart, as pairs."""
    rng = random.Random(seed)
    long_enough = [row for row in texts if LEAST <= row.text.count(" ") <= MOST]
    if not long_enough:
        return
    for number, row in enumerate(rng.choices(long_enough, k=count)):
        words = row.text.split()
        others = [word for other in rng.choices(long_enough, k=20) for word in _WORD.findall(other.text)] or words
        made = " ".join(rng.choice(WAYS)(words, others, rng))
        for text, answer in ((row.text, 0.0), (made, 1.0)):
            yield replace(
                row,
                text=text,
                label=UNKNOWN,
                category=LABEL,
                source=f"{LABEL}→{row.source}",
                pair=f"{LABEL}-{number}",
                also=((LABEL, answer),),
            )
