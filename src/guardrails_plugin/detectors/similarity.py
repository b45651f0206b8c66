"""Texts like the user's own examples: nearest neighbours among embeddings, without training.

How: a text is cut into windows of sentences, each is embedded, and its cosine similarity to the nearest example is
compared with that to the nearest counter-example; the nearest window counts. Score: a logistic curve over the distance
to the point where two texts are as likely as not about the same (``similar_at`` of the embedder). It orders texts; how
well it is calibrated depends on the examples, so try them (`guardrails-plugin scanners test`).

Embeddings come from any `Embedder`; without one, from hashed character n-grams (Weinberger et al., "Feature hashing for
large scale multitask learning", 2009), which see shared words and spellings, not meaning: write examples in the words
that the texts will use. A trained encoder sees paraphrases too.

Source: feature hashing after Weinberger et al. (2009), cosine of unit vectors; the threshold is judgement.
Limits: few or mixed examples give a vague border; a sentence inside a window about something else is drowned out; what
a text denies ("this is no invoice") is as near to the examples as what it states.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.types import Context, Finding, Text, View

__all__ = ["Embedder", "NgramEmbedder", "Similarity"]

Matrix = NDArray[np.float32]

_SLOPE = 12.0
"""Steepness of the logistic curve: 0.1 of cosine either side of the middle is 0.77 and 0.23. Judgement."""
_SENTENCE = re.compile(r"[^.!?\u3002\uff01\uff1f\n]+[.!?\u3002\uff01\uff1f\n]*")
_WINDOW_CHARS = 240
"""Sentences are joined up to this length: about the length of an example."""


@runtime_checkable
class Embedder(Protocol):
    """Texts to vectors; deterministic and thread-safe."""

    @property
    def similar_at(self) -> float:
        """Cosine at which two texts are as likely as not about the same."""
        ...

    def embed(self, texts: Sequence[str], /) -> Matrix:
        """One row per text, ``float32[n, d]``, of length 1 or, for a text that says nothing, 0."""
        ...


@plain_dataclass(frozen=True)
class NgramEmbedder:
    """Signed hashing of the character n-grams of all words over three letters, square roots of their counts.

    >>> NgramEmbedder().embed(["Any text", ""]).shape
    (2, 4096)
    """

    bits: int = 12
    sizes: tuple[int, ...] = (3, 4, 5)
    similar_at: float = 0.38
    """Half-way between paraphrases and unrelated sentences in the tests of this package."""

    def embed(self, texts: Sequence[str], /) -> Matrix:
        """See `Embedder`."""
        rows = np.zeros((len(texts), 1 << self.bits), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            self._count(text, row)
        rows = np.sign(rows) * np.sqrt(np.abs(rows))
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        normed: Matrix = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
        return normed

    def _count(self, text: str, row: Matrix) -> None:
        words = [word for word in _WORD.findall(text.casefold()) if len(word) > 3 or not word.isascii()]
        if not words:
            return
        codes = np.frombuffer(f" {' '.join(words)} ".encode("utf-32-le", "replace"), dtype=np.uint32).astype(np.uint64)
        for size in self.sizes:
            if len(codes) < size:
                continue
            hashes = np.zeros(len(codes) - size + 1, dtype=np.uint64)
            for offset in range(size):
                hashes = hashes * _MULTIPLIER + codes[offset : offset + len(hashes)]
            hashes = (hashes ^ (hashes >> np.uint64(29))) * _MULTIPLIER
            signs = np.where(hashes >> np.uint64(63), 1.0, -1.0).astype(np.float32)
            np.add.at(row, (hashes >> np.uint64(40)) & np.uint64((1 << self.bits) - 1), signs)


_WORD = re.compile(r"\w+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""Odd constant of multiplicative hashing (Knuth, TAOCP 3, section 6.4): 2^64 over the golden ratio."""


@dataclass(frozen=True, config=SETTINGS)
class Similarity:
    """See the module.

    Attributes:
        examples: texts of the kind that is looked for.
        counter_examples: texts near to it that are fine.
        embedder: hashed n-grams by default.
    """

    examples: Annotated[tuple[str, ...], Field(min_length=1, max_length=2000)]
    counter_examples: Annotated[tuple[str, ...], Field(max_length=2000)] = ()
    entity_type: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] = "SIMILAR_TEXT"
    embedder: Any = field(default_factory=NgramEmbedder, repr=False)

    name: ClassVar[str] = "similarity"
    categories: ClassVar[Mapping[str, frozenset[str]]] = MappingProxyType({})

    def __post_init__(self) -> None:
        if not isinstance(self.embedder, Embedder):
            given = type(self.embedder).__name__
            raise ConfigError(f"similarity: embedder: expected an object with embed(texts) and similar_at, got {given}")
        if not self._known.any(axis=1).all():
            number = int(np.argmin(self._known.any(axis=1))) + 1
            raise ConfigError(f"similarity: examples: number {number} has no words that could be compared")

    @property
    def entity_types(self) -> frozenset[str]:
        """The one type it finds."""
        return frozenset({self.entity_type})

    @cached_property
    def _known(self) -> Matrix:
        known: Matrix = self.embedder.embed([*self.examples, *self.counter_examples])
        return known

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        windows = [
            (index, view, *place) for index, text in enumerate(texts) for view in text.views for place in _windows(view)
        ]
        if not windows:
            return [()] * len(texts)
        read = [view.text[start:end] for _, view, start, end in windows]
        scores = [score for at in range(0, len(read), _BATCH) for score in self._scores(read[at : at + _BATCH])]
        best: dict[int, Finding] = {}
        for (index, view, start, end), score in zip(windows, scores, strict=True):
            if score > (best[index].score if index in best else _LEAST):
                span = view.span(start, end)
                evidence = {} if view.kind == "canonical" else {"view": view.kind}
                best[index] = Finding(
                    self.name, self.entity_type, score, span.start, span.end, texts[index].segment, evidence
                )
        return [by_place([best[index]] if index in best else []) for index in range(len(texts))]

    def _scores(self, texts: Sequence[str]) -> list[float]:
        likeness = np.clip(self.embedder.embed(texts) @ self._known.T, -1.0, 1.0)
        count = len(self.examples)
        near = likeness[:, :count].max(axis=1)
        far = likeness[:, count:].max(axis=1, initial=-1.0)
        margins = near - np.maximum(far, self.embedder.similar_at)
        return [1.0 / (1.0 + math.exp(-_SLOPE * float(margin))) for margin in margins]


_BATCH = 256
"""Windows embedded at once: bounds the memory that a long text takes."""
_LEAST = 0.05
"""Below it a score says no more than that there are words."""


def _windows(view: View) -> Iterator[tuple[int, int]]:
    """Sentences in a row, joined up to the length of an example; longer ones stand alone, in pieces."""
    start = end = 0
    for match in _SENTENCE.finditer(view.text):
        if end > start and match.end() - start > _WINDOW_CHARS:
            yield start, end
            start = match.start()
        end = match.end()
        while end - start > 2 * _WINDOW_CHARS:
            yield start, start + _WINDOW_CHARS
            start += _WINDOW_CHARS
    if end > start:
        yield start, end
