"""Which parts of a long text a classifier should read: a linear scorer over words, some thousand times cheaper.

Words and pairs of neighbouring words are hashed into a table of weights (``injection/first_tier.npz``, trained by
``training.first_tier``); a stretch of words is as suspicious as the sum of its weights. The most suspicious stretches
of a text, its beginning and its end are read by the classifier, the rest is not. Source of hashed linear scorers:
Weinberger et al. 2009, "Feature hashing for large scale multitask learning".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrails_plugin.types import Span

__all__ = ["BUCKETS", "STRETCH", "FirstTier", "Words", "first_tier", "merged", "words"]

BUCKETS = 1 << 17
"""Weights in the table, one byte each."""

STRETCH = 24
"""Words that are scored together: a sentence or two."""

_STEP = 6
_EXCERPT = 400
"""Characters that are read round a suspicious stretch: about one window of the embedded classifier."""

_MULTIPLIER = 0x9E3779B97F4A7C15
_INVERSE = pow(_MULTIPLIER, -1, 1 << 64)
_PAIR = 0xD6E8FEB86659FD93

Codes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text: their hashes, and where each begins and ends."""

    hashes: Codes
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @property
    def buckets(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The table places of each word, and of each word with the next one (one fewer)."""
        return _bucket(self.hashes), _bucket(self.hashes[:-1] * np.uint64(_PAIR) + self.hashes[1:])


def words(text: str) -> Words:
    """Runs of letters and digits in lower case; of scripts without spaces, every character.

    The hash of a word is that of its characters as digits of a number, made for all words at once from running sums.
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    codes = codes + 32 * ((codes >= 65) & (codes <= 90))
    lettered = ((codes >= 97) & (codes <= 122)) | ((codes >= 48) & (codes <= 57)) | (codes >= 0xC0)
    lettered &= ((codes < 0x2000) | (codes > 0x206F)) & ((codes < 0x1F000) | (codes > 0x1FAFF))
    alone = ((codes >= 0x2E80) & (codes < 0xAC00)) | ((codes >= 0x0E00) & (codes < 0x0E80))
    before = np.concatenate(([False], lettered[:-1] & ~alone[:-1]))[: len(codes)]
    begins = np.flatnonzero(lettered & (alone | ~before))
    after = np.concatenate((lettered[1:] & ~alone[1:], [False]))[: len(codes)]
    ends = np.flatnonzero(lettered & (alone | ~after)) + 1
    powers = np.cumprod(np.full(len(codes), _MULTIPLIER, np.uint64))
    inverses = np.cumprod(np.full(len(codes), _INVERSE, np.uint64))
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(codes.astype(np.uint64) * powers)))
    hashes = (sums[ends] - sums[begins]) * inverses[begins] if len(begins) else np.zeros(0, np.uint64)
    return Words(hashes, begins, ends)


def _bucket(hashes: Codes) -> NDArray[np.int64]:
    mixed = (hashes ^ (hashes >> np.uint64(29))) * np.uint64(_PAIR)
    places: NDArray[np.int64] = (mixed >> np.uint64(64 - BUCKETS.bit_length() + 1)).astype(np.int64)
    return places


class FirstTier:
    """A table of weights.

    Args:
        weights: one for each bucket.
    """

    def __init__(self, weights: NDArray[np.float32]) -> None:
        self._weights = weights

    def scores(self, found: Words) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """First word of every stretch, and how suspicious it is (a logit without offset)."""
        single, pair = found.buckets
        weights = self._weights[single]
        weights[:-1] += self._weights[pair]
        sums = np.concatenate((np.zeros(1, np.float32), np.cumsum(weights, dtype=np.float64).astype(np.float32)))
        firsts = np.arange(0, max(1, len(weights) - STRETCH + _STEP), _STEP)
        return firsts, sums[np.minimum(firsts + STRETCH, len(weights))] - sums[firsts]

    def excerpts(self, text: str, most: int) -> list[Span]:
        """What to read of a long text: beginning, end and the most suspicious stretches, sorted and disjoint.

        Args:
            text: longer than ``most`` excerpts, or all of it is read.
            most: excerpts that are chosen, beside beginning and end.
        """
        found = words(text)
        if not len(found.starts):
            return [Span(0, len(text))]
        firsts, scores = self.scores(found)
        chosen = [Span(0, min(_EXCERPT, len(text))), Span(max(0, len(text) - _EXCERPT), len(text))]
        covered = np.zeros(len(firsts), bool)
        reach = STRETCH // _STEP
        for number in np.argsort(-scores, kind="stable"):
            if len(chosen) >= most + 2:
                break
            if not covered[number]:
                covered[max(0, number - reach + 1) : number + reach] = True
                chosen.append(_around(found, int(firsts[number]), len(text)))
        return list(merged(sorted(chosen)))


def _around(found: Words, first: int, size: int) -> Span:
    """The characters of a stretch, with what stands beside it, cut between words."""
    start, end = int(found.starts[first]), int(found.ends[min(first + STRETCH, len(found.ends)) - 1])
    margin = max(0, _EXCERPT - (end - start)) // 2
    left = int(np.searchsorted(found.starts, start - margin))
    right = int(np.searchsorted(found.ends, end + margin, side="right"))
    return Span(int(found.starts[left]) if left else 0, int(found.ends[right - 1]) if right < len(found.ends) else size)


def merged(spans: Sequence[Span]) -> Iterator[Span]:
    """Spans sorted by start, those that overlap made one."""
    start, end = spans[0].start, spans[0].end
    for span in spans[1:]:
        if span.start > end:
            yield Span(start, end)
            start = span.start
        end = max(end, span.end)
    yield Span(start, end)


@cache
def first_tier() -> FirstTier:
    """The table of the package, read once."""
    with (resources.files("guardrails_plugin.models") / "injection" / "first_tier.npz").open("rb") as file:
        table: Any = np.load(file)
        return FirstTier(table["weights"].astype(np.float32) * np.float32(table["scale"]))
