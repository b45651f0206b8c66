"""Texts as vectors by which a handful of examples can be told from anything else, offline and in any language.

Embeddings of this family point into one narrow cone and differ mostly in what says nothing of the matter (length,
style, language). So they are seen from the mean of everyday texts, and every direction counts less the more everyday
texts differ in it: whitening, with some of the average variance added (Ledoit and Wolf, 2004) since there are fewer
texts than dimensions. Beside it stand hashed n-grams with a small weight: what is spelled alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from guardrails_plugin.detectors import few_shot
from guardrails_plugin.detectors.few_shot import FewShot, Matrix
from guardrails_plugin.detectors.ngrams import NgramEmbedder
from guardrails_plugin.detectors.topic_vectors import embedded_vectors, everyday_texts
from guardrails_plugin.models.encoder import EMBEDDED, Document, load_encoder
from guardrails_plugin.types import Origin

__all__ = ["ExampleVectors", "Kind", "example_vectors", "joined", "whitening"]

_SHRUNK = 0.3
"""Share of the average variance added to each; about the same from .1 to 1 (``training.similarity``)."""
_SPELLING = 0.1
"""Share of the n-grams in the product of two rows; ``training.similarity`` compares."""
_NEAR_SHARE = 0.05
"""What counter-examples weigh, of all that is not of the kind; more finds less, near misses and others."""
_SPELLED = 3.2
"""Deviations for a whole cosine of n-grams above `_UNRELATED` or the nearest counter-example; fitted with the curve."""
_UNRELATED = 0.2


@dataclass(frozen=True, slots=True)
class Kind:
    """What examples and counter-examples have taught; see `detectors.similarity`."""

    trained: FewShot
    spelled: Matrix
    near_spelled: Matrix

    @classmethod
    def of(cls, examples: Matrix, near: Matrix, everyday: Matrix) -> Kind:
        """From rows of examples, of counter-examples (or none) and of everyday texts."""
        return cls(few_shot.fit(examples, everyday, near, near_share=_NEAR_SHARE), _spelled(examples), _spelled(near))

    def deviations(self, rows: Matrix) -> Matrix:
        """By how many standard deviations texts score above everyday texts, and more for the spelling of an example."""
        spelled = _spelled(rows)
        near = (spelled @ self.near_spelled.T).max(axis=1, initial=_UNRELATED)
        excess = np.maximum((spelled @ self.spelled.T).max(axis=1) - near, 0.0)
        scores = (rows @ self.trained.weights - self.trained.mean) / self.trained.spread
        return np.asarray(scores + _SPELLED * excess, np.float32)


class ExampleVectors:
    """Makes the vectors. Thread-safe; the everyday texts are embedded once a process, at first use.

    Args:
        model: folder of the encoder (``models.encoder``).
    """

    def __init__(self, model: Path = EMBEDDED) -> None:
        self._model = model

    def of(self, texts: Sequence[str]) -> Matrix:
        """One row a text, ``float32[n, dimensions]``, of length 1; shorter for a text without any long word."""
        return self._joined(load_encoder(self._model).embed([Document(text, Origin.USER) for text in texts]), texts)

    @cached_property
    def everyday(self) -> Matrix:
        """The rows of the everyday texts."""
        return self._joined(embedded_vectors(self._model).everyday_meaning, everyday_texts())

    def _joined(self, embedded: Matrix, texts: Sequence[str]) -> Matrix:
        return joined(
            _unit(np.asarray((embedded - self._middle) @ self._whitening, np.float32)),
            NgramEmbedder().embed(texts),
            _SPELLING,
        )

    @cached_property
    def _middle(self) -> Matrix:
        middle: Matrix = embedded_vectors(self._model).everyday_meaning.mean(axis=0)
        return middle

    @cached_property
    def _whitening(self) -> Matrix:
        return whitening(embedded_vectors(self._model).everyday_meaning, _SHRUNK)


@cache
def example_vectors(model: Path = EMBEDDED) -> ExampleVectors:
    """Those of a model folder, shared by all detectors of the process."""
    return ExampleVectors(model)


def whitening(rows: Matrix, shrunk: float) -> Matrix:
    """What to multiply centred rows with, so that these differ about equally in every direction.

    >>> whitening(np.array([[2, 0], [-2, 0]], np.float32), shrunk=1.0).astype(float).round(2).tolist()
    [[0.41, 0.0], [0.0, 0.71]]
    """
    centred = (rows - rows.mean(axis=0)).astype(np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred / len(rows))
    scale = 1.0 / np.sqrt(np.maximum(variances, 0.0) + shrunk * variances.mean())
    return np.asarray((directions * scale) @ directions.T, np.float32)


def joined(meaning: Matrix, spelling: Matrix, share: float) -> Matrix:
    """Rows whose products are the means of the products of both parts, weighted by the share of the spelling."""
    return np.concatenate([(1 - share) ** 0.5 * meaning, share**0.5 * spelling], axis=1, dtype=np.float32)


def _spelled(rows: Matrix) -> Matrix:
    """The rows' n-grams alone, of length 1 again."""
    return np.asarray(rows[:, -(1 << NgramEmbedder().bits) :] / _SPELLING**0.5, np.float32)


def _unit(rows: Matrix) -> Matrix:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32)
