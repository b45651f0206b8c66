"""Texts as vectors of their spellings: hashed character n-grams, without any model.

Source: Weinberger et al., "Feature hashing for large scale multitask learning", 2009.
Limits: it sees shared words and spellings, not meaning.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["NgramEmbedder"]

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class NgramEmbedder:
    """Signed hashing of the character n-grams of all words over three letters, square roots of their counts.

    >>> NgramEmbedder().embed(["Any text", ""]).shape
    (2, 4096)
    """

    bits: int = 12
    sizes: tuple[int, ...] = (3, 4, 5)
    similar_at: float = 0.25
    """About where ``training.similarity`` puts it."""

    def embed(self, texts: Sequence[str], /) -> Matrix:
        """See `similarity.Embedder`."""
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
