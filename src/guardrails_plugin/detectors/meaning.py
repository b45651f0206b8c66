"""Texts as vectors of what they mean: the embeddings of the encoder in the package.

Source: fitted to multilingual-e5-small by ``training.meaning``.
Limits: half of that model's layers, and fitted to some 20,000 texts: it tells less than the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from guardrails_plugin.models.encoder import EMBEDDED, Document, load_encoder
from guardrails_plugin.types import Origin

__all__ = ["MeaningEmbedder"]


@dataclass(frozen=True)
class MeaningEmbedder:
    """One pass of the encoder for each window of a text; loaded at the first.

    Attributes:
        model: folder of the encoder (``models.encoder``).
    """

    model: Path = EMBEDDED
    similar_at: float = 0.33
    """Flags .003 of ordinary texts (``training.similarity``). Its fitted .38, where near misses count as much as all
    ordinary texts together, finds two thirds as much."""

    def embed(self, texts: Sequence[str], /) -> NDArray[np.float32]:
        """See `similarity.Embedder`."""
        return load_encoder(self.model).embed([Document(text, Origin.USER) for text in texts])
