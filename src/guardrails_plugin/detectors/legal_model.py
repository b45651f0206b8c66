"""A linear model over hashed words and word pairs: probabilities of a few classes, from a table of some tens of KB.

Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (2009); the hash is CRC-32, the same everywhere.
Made by ``training.legal``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any
from zlib import crc32

import numpy as np

__all__ = ["BUCKETS", "LegalModel", "features", "load_model"]

BUCKETS = 1 << 14
_WORD = re.compile(r"[^\W\d_]+")


def features(text: str) -> tuple[Any, Any]:
    """Buckets and weights of a text: 1 + log(count) of its words and pairs, scaled to length one."""
    words = [word.encode() for word in _WORD.findall(text.lower())]
    hashed = [crc32(word) for word in words]
    pairs = [crc32(b" ", one) ^ crc32(other, 17) for one, other in zip(hashed, words[1:], strict=False)]
    if not hashed:
        return np.zeros(0, np.int64), np.zeros(0)
    buckets, counts = np.unique(np.array([*hashed, *pairs], np.int64) % BUCKETS, return_counts=True)
    weights = 1 + np.log(counts)
    return buckets, weights / np.sqrt((weights**2).sum())


@dataclass(frozen=True)
class LegalModel:
    """Classes, their weights by bucket, and the bias of each."""

    classes: tuple[str, ...]
    weights: Any
    bias: Any

    def probabilities(self, text: str) -> dict[str, float]:
        """Softmax over the classes."""
        buckets, values = features(text)
        scores = values @ self.weights[buckets] + self.bias
        raised = np.exp(scores - scores.max())
        return {name: float(p) for name, p in zip(self.classes, raised / raised.sum(), strict=True)}


def pack(classes: Sequence[str], weights: Any, bias: Any) -> dict[str, Any]:
    """Arrays to keep: eight bits a weight."""
    scale = float(np.abs(weights).max()) / 127
    return {
        "classes": np.array(classes),
        "weights": np.round(weights / scale).astype(np.int8),
        "scale": np.float64(scale),
        "bias": np.asarray(bias, np.float64),
    }


def unpack(table: Any) -> LegalModel:
    """The model behind `pack`'s arrays."""
    weights = table["weights"].astype(np.float64) * float(table["scale"])
    return LegalModel(tuple(map(str, table["classes"])), weights, table["bias"])


@cache
def load_model() -> LegalModel:
    """The embedded model."""
    data = (files("guardrails_plugin.detectors") / "data" / "legal.npz").read_bytes()
    with np.load(BytesIO(data), allow_pickle=False) as table:
        return unpack(table)
