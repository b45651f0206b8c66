"""Texts as vectors by which topics can be told: what they mean, and which words they use.

The embedding of an encoder, seen from the mean of everyday texts (embeddings of this family all point into one narrow
cone), beside the hashed character n-grams of `ngrams.NgramEmbedder`. Meaning alone tells little of short requests,
words alone nothing of words that no example has; weights in `_PARTS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrails_plugin.detectors.ngrams import NgramEmbedder
from guardrails_plugin.errors import ConfigError, DetectorError
from guardrails_plugin.models.encoder import EMBEDDED, Document, load_encoder
from guardrails_plugin.types import Origin

__all__ = ["TopicVectors", "embedded_vectors", "everyday_texts"]

Matrix = NDArray[np.float32]

_PARTS = (0.8**0.5, 0.2**0.5)
"""Lengths of the two halves: the n-grams have half the weight of the meaning. Best of 0, .3, .4, .5, .7 and 1 at ten
examples of CLINC domains."""


@cache
def everyday_texts() -> tuple[str, ...]:
    """Some 300 short texts about anything: what a text that is about no topic in particular looks like."""
    file = files("guardrails_plugin.detectors") / "data" / "everyday_texts.txt"
    _, _, texts = file.read_text("utf-8").partition("\n\n")
    return tuple(texts.splitlines())


class TopicVectors:
    """Makes the vectors. Thread-safe; the everyday texts are embedded once, at first use.

    Args:
        embedder: a LangChain ``Embeddings`` (``embed_documents``); None for the embedded encoder.
        model: folder of the encoder (``models.encoder``).
    """

    def __init__(self, embedder: Any = None, model: Path = EMBEDDED) -> None:
        if embedder is not None and not callable(getattr(embedder, "embed_documents", None)):
            given = type(embedder).__name__
            raise ConfigError(f"topics: embedder: expected LangChain embeddings (embed_documents), got {given}")
        self._embedder = embedder
        self._model = model

    def of(self, texts: Sequence[str]) -> Matrix:
        """One row a text, ``float32[n, dimensions]``, of length 1; shorter for a text without any long word.

        Raises:
            DetectorError: the embedder of the caller failed.
        """
        return self._joined(self._embedded(texts), texts)

    @cached_property
    def everyday(self) -> Matrix:
        """The rows of the everyday texts."""
        return self._joined(self._everyday, everyday_texts())

    @cached_property
    def _everyday(self) -> Matrix:
        return self._embedded(everyday_texts())

    @cached_property
    def _middle(self) -> Matrix:
        middle: Matrix = self._everyday.mean(axis=0)
        return middle

    def _joined(self, embedded: Matrix, texts: Sequence[str]) -> Matrix:
        meaning = _unit(embedded - self._middle)
        return np.concatenate([_PARTS[0] * meaning, _PARTS[1] * NgramEmbedder().embed(texts)], axis=1, dtype=np.float32)

    def _embedded(self, texts: Sequence[str]) -> Matrix:
        if self._embedder is None:
            return load_encoder(self._model).embed([Document(text, Origin.USER) for text in texts])
        try:
            rows = np.asarray(self._embedder.embed_documents(list(texts)), np.float32)
        except Exception as error:  # noqa: BLE001 - any client, any error; its message might hold the text
            raise DetectorError("topics", f"embedder: {type(error).__name__}") from None
        if rows.ndim != 2 or len(rows) != len(texts) or not np.isfinite(rows).all():
            raise DetectorError("topics", f"embedder: an array of shape {rows.shape} for {len(texts)} texts")
        return _unit(rows)


@cache
def embedded_vectors(model: Path = EMBEDDED) -> TopicVectors:
    """Those of a model folder, shared by all detectors of the process."""
    return TopicVectors(model=model)


def _unit(rows: Matrix) -> Matrix:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32)
