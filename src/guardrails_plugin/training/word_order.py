"""The table of words that stand in order, of the ``gibberish`` detector: classes of English words, and of pairs.

The most frequent words are classes of their own; other common words are put together by their neighbours among these
(k-means on square roots of shares, so by Hellinger distance), as in Schuetze, "Distributional Part-of-Speech Tagging"
(1995). Pairs back off to single classes (Witten-Bell smoothing; Chen and Goodman, 1998). No text can be read from it.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from guardrails_plugin.detectors.prose import prose
from guardrails_plugin.detectors.word_order import SHAPES, UNIT, shape, tokens
from guardrails_plugin.training.gibberish import rows

__all__ = ["gains", "main", "put_together", "table"]

_OWN, _SHARED = 170, 70
"""Classes of one word, and of many; with the shapes under 256."""

_COMMON = 5_500
"""Words with a class."""

_FEWEST = 8
_ROUNDS = 25


def table(texts: Iterable[Sequence[str]], *, own: int = _OWN, shared: int = _SHARED) -> dict[str, Any]:
    """Arrays of the table, from the words of texts."""
    kept = [[".", *text, "."] for text in texts]
    counts = Counter(word for text in kept for word in text if word[0].isalpha() and word.isascii())
    common = [word for word, number in counts.most_common(_COMMON) if number >= _FEWEST]
    alone, others = common[:own], common[own:]
    places = put_together(kept, alone, others, shared)
    classes = {word: number for number, word in enumerate(alone)}
    classes.update((word, len(alone) + place) for word, place in zip(others, places, strict=True))
    first = len(alone) + shared
    numbers = ([classes.get(word, first + shape(word)) for word in text] for text in kept)
    return {
        "words": np.frombuffer(" ".join(classes).encode(), np.uint8),
        "classes": np.array(list(classes.values()), np.uint8),
        "gains": gains(numbers, first + len(SHAPES)),
    }


def put_together(texts: Sequence[Sequence[str]], alone: Sequence[str], others: Sequence[str], size: int) -> list[int]:
    """A class for each of the other words, by what stands before and behind it."""
    column = {word: number for number, word in enumerate((*alone, ".", ","))}
    row = {word: number for number, word in enumerate(others)}
    beside = np.zeros((len(others), 2 * len(column)))
    for text in texts:
        for one, other in pairwise(text):
            if one in row and other in column:
                beside[row[one], column[other]] += 1
            if other in row and one in column:
                beside[row[other], len(column) + column[one]] += 1
    points = np.sqrt(beside / np.maximum(beside.sum(1, keepdims=True), 1))
    return _means(points, size)


def _means(points: Any, size: int) -> list[int]:
    """k-means; an empty class gets a point by chance."""
    chance = np.random.default_rng(1)
    if not len(points):
        return []
    centres = points[chance.choice(len(points), size, replace=len(points) < size)]
    nearest = np.zeros(len(points), int)
    for _ in range(_ROUNDS):
        nearest = ((centres**2).sum(1) - 2 * points @ centres.T).argmin(1)
        for number in range(size):
            own = points[nearest == number]
            centres[number] = own.mean(0) if len(own) else points[chance.integers(len(points))]
    return [int(number) for number in nearest]


def gains(texts: Iterable[Sequence[int]], size: int) -> Any:
    """Bits by which each class is likelier than by chance behind each other one; int8, eighths of a bit."""
    pairs = np.zeros((size, size))
    for text in texts:
        np.add.at(pairs, (np.asarray(text[:-1]), np.asarray(text[1:])), 1)
    chance = (pairs.sum(0) + 1) / (pairs.sum() + size)
    kinds = (pairs > 0).sum(1, keepdims=True) + 1.0
    likely = (pairs + kinds * chance) / (pairs.sum(1, keepdims=True) + kinds)
    return np.clip(np.round(np.log2(likely / chance) * UNIT), -128, 127).astype(np.int8)


def main(arguments: list[str] | None = None) -> None:
    """Count the English texts of files of training rows and write the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    texts = (text for path in options.files for language, text in rows(path) if language == "en")
    np.savez_compressed(options.out, **table([token.text for token in tokens(prose(text))] for text in texts))


if __name__ == "__main__":
    main()
