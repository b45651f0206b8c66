"""Texts like the user's own examples, told by a small encoder and their spelling, offline, in any language.

How: a text is cut into windows of sentences; each becomes a vector of its meaning and its spelling (`example_vectors`).
The examples make a ridge classifier (`few_shot`) against 331 everyday texts, which are counter-examples of every
scanner, and the counter-examples that are given. How far a window scores above the everyday texts, in their standard
deviations, and how far it is spelled like an example, more than like a counter-example, become a probability by one
logistic curve for all scanners; the nearest window counts.

Measured (``training.similarity``, which compares other ways too; six examples and three counter-examples) against the
nearest neighbour among n-grams, in brackets. Seven invented scanners that were not fitted on, with texts that share few
words with the examples and near misses that share many: area under the curve .53 (.17), against ordinary texts .94
(.69); at probability .5 .16 (0) of the texts, .17 (.27) of the near misses, .0003 (0) of the ordinary. Thirty kinds
of assistant requests, which the curve was fitted on too: .75 (.59), .02 (.01), .0008 (.0004). What has hardly a word in
common with the examples is mostly missed; a lower threshold finds more, near misses too.
Costs one pass of the encoder a window (about 60 ms of processor time a KB on a busy machine; n-grams: under 1), none
for windows read before, by injection too if it is a short text of the user's; the model and the everyday texts take
some seconds at the first text, not at construction.

`embedder=` takes any other `Embedder`; then a window counts by its cosine to the nearest example, compared with that to
the nearest counter-example and with ``similar_at``. `NgramEmbedder()` is one without a model, far cheaper, which sees
shared words and spellings only.

Source: feature hashing after Weinberger et al. (2009), cosine of unit vectors; the threshold is judgement.
Limits: few or mixed examples give a vague border; a sentence inside a window about something else is drowned out; what
a text denies ("this is no invoice") is as near to the examples as what it states. Try your examples
(`guardrails-plugin scanners test`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.detectors.example_vectors import Kind, example_vectors
from guardrails_plugin.detectors.few_shot import Matrix
from guardrails_plugin.detectors.ngrams import NgramEmbedder
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.types import Context, Finding, Text, View

__all__ = ["Embedder", "NgramEmbedder", "Similarity", "probability"]

_SLOPE, SIMILAR_AT = 1.39, 2.14
"""Logistic curve of standard deviations: its steepness, and where it is .5; fitted by ``training.similarity``."""
_COSINE_SLOPE = 12.0
"""Steepness for an embedder's cosines: 0.1 either side of the middle is 0.77 and 0.23. Judgement."""
_SENTENCE = re.compile(r"[^.!?\u3002\uff01\uff1f\n]+[.!?\u3002\uff01\uff1f\n]*")
_WINDOW_CHARS = 240
_LEAST_WINDOW_CHARS = 80
"""Sentences are joined up to the length of the longest example, within these bounds: a longer window drowns them."""


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


@dataclass(frozen=True, config=SETTINGS)
class Similarity:
    """See the module.

    Attributes:
        examples: texts of the kind that is looked for.
        counter_examples: texts near to it that are fine.
        embedder: in place of the embedded encoder and its classifier.
    """

    examples: Annotated[tuple[str, ...], Field(min_length=1, max_length=2000)]
    counter_examples: Annotated[tuple[str, ...], Field(max_length=2000)] = ()
    entity_type: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] = "SIMILAR_TEXT"
    embedder: Any = field(default=None, repr=False)

    name: ClassVar[str] = "similarity"
    categories: ClassVar[Mapping[str, frozenset[str]]] = MappingProxyType({})

    def __post_init__(self) -> None:
        if self.embedder is not None and not isinstance(self.embedder, Embedder):
            given = type(self.embedder).__name__
            raise ConfigError(f"similarity: embedder: expected an object with embed(texts) and similar_at, got {given}")
        for number, example in enumerate(self.examples, 1):
            if not _says_something(example) or not (self.embedder is None or self._known[number - 1].any()):
                raise ConfigError(f"similarity: examples: number {number} has no words that could be compared")

    @property
    def entity_types(self) -> frozenset[str]:
        """The one type it finds."""
        return frozenset({self.entity_type})

    @cached_property
    def _known(self) -> Matrix:
        known: Matrix = self.embedder.embed([*self.examples, *self.counter_examples])
        return known

    @cached_property
    def _kind(self) -> Kind:
        vectors = example_vectors()
        rows = vectors.of([*self.examples, *self.counter_examples])
        return Kind.of(rows[: len(self.examples)], rows[len(self.examples) :], vectors.everyday)

    @property
    def _window_chars(self) -> int:
        return min(max(_LEAST_WINDOW_CHARS, *map(len, self.examples)), _WINDOW_CHARS)

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        windows = [
            (index, view, start, end)
            for index, text in enumerate(texts)
            for view in text.views
            for start, end in _windows(view, self._window_chars)
            if _says_something(view.text[start:end])
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
        if self.embedder is None:
            deviations = self._kind.deviations(example_vectors().of(texts))
            return [round(probability(float(deviation)), 4) for deviation in deviations]
        likeness = np.clip(self.embedder.embed(texts) @ self._known.T, -1.0, 1.0)
        count = len(self.examples)
        near = likeness[:, :count].max(axis=1)
        far = likeness[:, count:].max(axis=1, initial=-1.0)
        margins = near - np.maximum(far, self.embedder.similar_at)
        return [_logistic(_COSINE_SLOPE * float(margin)) for margin in margins]


def probability(deviation: float) -> float:
    """That a text is of the kind, by how many standard deviations it scores above everyday texts.

    >>> probability(SIMILAR_AT)
    0.5
    """
    return _logistic(_SLOPE * (deviation - SIMILAR_AT))


def _logistic(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-40.0, min(40.0, value))))


def _says_something(text: str) -> bool:
    return any(char.isalpha() for char in text)


_BATCH = 256
"""Windows embedded at once: bounds the memory that a long text takes."""
_LEAST = 0.05
"""Below it a score says no more than that there are words."""


def _windows(view: View, joined: int) -> Iterator[tuple[int, int]]:
    """Sentences in a row, joined up to the length of an example; longer ones stand alone, in pieces."""
    start = end = 0
    for match in _SENTENCE.finditer(view.text):
        if end > start and match.end() - start > joined:
            yield start, end
            start = match.start()
        end = match.end()
        while end - start > 2 * _WINDOW_CHARS:
            yield start, start + _WINDOW_CHARS
            start += _WINDOW_CHARS
    if end > start:
        yield start, end
