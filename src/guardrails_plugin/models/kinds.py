"""What an attack is after, told from the embedding of its worst window.

A multinomial logistic regression over unit embeddings, fitted by `training.kinds` to hand-written attacks that readers
have named. Where no kind is likely enough nothing is told: a wrong name would be worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["KINDS", "Kinds", "load_kinds"]

KINDS = ("exfiltration", "extraction", "jailbreak", "manipulation", "override", "tool_hijack")
"""Somebody's data sent away; the model's instructions or secrets shown; its limits dropped; its answer bent; earlier
instructions set aside without more; a tool made to do something."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """Weights ``[kinds, dimensions]``, a bias each, and the probability from which a kind is told."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    least: float

    def probabilities(self, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """One a kind, in the order of `KINDS`."""
        logits = self.weights @ (embedding / max(float(np.linalg.norm(embedding)), 1e-12)) + self.bias
        odds = np.exp(logits - logits.max())
        return np.asarray(odds / odds.sum(), np.float32)

    def of(self, embedding: NDArray[np.float32] | None) -> str:
        """The likeliest kind, or "" where none is likely enough."""
        if embedding is None:
            return ""
        found = self.probabilities(embedding)
        best = int(found.argmax())
        return KINDS[best] if found[best] >= self.least else ""


def load_kinds(folder: Path) -> Kinds | None:
    """What lies in a model's folder as ``kinds.npz``; None where it does not."""
    path = folder / "kinds.npz"
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as table:
        return Kinds(table["weights"], table["bias"], float(table["least"]))
