"""Texts like the user's own examples: nearest neighbours among embeddings, offline, in any language, without training.

How: a text is cut into windows of sentences, each is embedded, and the mean of its cosines to the three nearest
examples (of few examples: to half of them) is taken; what the nearest counter-example has above the cosine of unrelated
texts takes half of itself away from that. The nearest window counts. Score: a logistic curve over the distance to the
embedder's ``similar_at``; it orders texts, and how well it is calibrated depends on the examples, so try them
(`guardrails-plugin scanners test`).

Embeddings come from the encoder in the package, whose branch for meaning is fitted to multilingual-e5-small
(``training.meaning``). It costs one pass of the encoder a window, none for windows read before (by injection too, if it
is a short text of the user's); the model is loaded at the first text, not at construction. `embedder=` takes any other
`Embedder`: `NgramEmbedder()` needs no model, is far cheaper, and sees shared words and spellings only.

Source: k nearest neighbours by cosine (Cover and Hart, 1967); ``training.similarity`` measures, and fits the curve.
Limits: few or mixed examples give a vague border; a sentence inside a window about something else is drowned out; what
a text denies ("this is no invoice") is as near to the examples as what it states; texts that share the examples' words
and mean something else are told from paraphrases little better than by chance where there are no counter-examples.
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
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from guardrails_plugin.detectors.base import SETTINGS, by_place
from guardrails_plugin.detectors.guesses import readings
from guardrails_plugin.detectors.meaning import MeaningEmbedder
from guardrails_plugin.detectors.ngrams import NgramEmbedder
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.types import Context, Finding, Text, View

__all__ = ["Embedder", "MeaningEmbedder", "NgramEmbedder", "Similarity", "likeness"]

Matrix = NDArray[np.float32]

_SLOPE = 16.0
"""Steepness of the logistic curve: 0.1 of cosine either side of the middle is .83 and .17. Fitted: 16 and 18."""
_NEIGHBOURS = 3
"""Most examples that count, and no more than half of them: nearer to one alone are near misses, too
(``training.similarity`` compares), and nothing is near to all."""
_COUNTER = 0.5
_UNRELATED = 0.15
"""What a cosine to the nearest counter-example weighs above that of texts that have nothing to do with one another. All
of it loses as many texts as near misses."""
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
        embedder: the encoder in the package by default.
    """

    examples: Annotated[tuple[str, ...], Field(min_length=1, max_length=2000)]
    counter_examples: Annotated[tuple[str, ...], Field(max_length=2000)] = ()
    entity_type: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] = "SIMILAR_TEXT"
    embedder: Any = field(default_factory=MeaningEmbedder, repr=False)

    name: ClassVar[str] = "similarity"
    categories: ClassVar[Mapping[str, frozenset[str]]] = MappingProxyType({})

    def __post_init__(self) -> None:
        if not isinstance(self.embedder, Embedder):
            given = type(self.embedder).__name__
            raise ConfigError(f"similarity: embedder: expected an object with embed(texts) and similar_at, got {given}")
        for number, example in enumerate(self.examples, 1):
            # The encoder has a vector for every word, and is not to be loaded before the first text.
            vector = _says_something(example) and (self._late or self._known[0][number - 1].any())
            if not vector:
                raise ConfigError(f"similarity: examples: number {number} has no words that could be compared")

    @property
    def _late(self) -> bool:
        return isinstance(self.embedder, MeaningEmbedder)

    @property
    def entity_types(self) -> frozenset[str]:
        """The one type it finds."""
        return frozenset({self.entity_type})

    @cached_property
    def _known(self) -> tuple[Matrix, Matrix]:
        """Rows of the examples and of the counter-examples."""
        known: Matrix = self.embedder.embed([*self.examples, *self.counter_examples])
        return known[: len(self.examples)], known[len(self.examples) :]

    @property
    def _window_chars(self) -> int:
        return min(max(_LEAST_WINDOW_CHARS, *map(len, self.examples)), _WINDOW_CHARS)

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """See `protocols.Detector`."""
        del context
        windows = [
            (index, view, start, end)
            for index, text in enumerate(texts)
            for view in readings(text)
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
        likenesses = likeness(self.embedder.embed(texts), *self._known)
        return [round(_logistic(_SLOPE * (float(value) - self.embedder.similar_at)), 4) for value in likenesses]


def likeness(rows: Matrix, examples: Matrix, counter_examples: Matrix) -> Matrix:
    """How much like the examples texts are, as a cosine; see the module.

    Args:
        rows: unit vectors of the texts.
        examples: unit vectors, one or more.
        counter_examples: unit vectors, or none.
    """
    neighbours = min(_NEIGHBOURS, (len(examples) + 1) // 2)
    near = np.sort(rows @ examples.T, axis=1)[:, -neighbours:].mean(axis=1)
    counter = (rows @ counter_examples.T).max(axis=1, initial=_UNRELATED)
    return np.asarray(near - _COUNTER * (counter - _UNRELATED), np.float32)


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
