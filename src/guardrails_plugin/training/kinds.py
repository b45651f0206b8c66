"""Fits what names the kinds of attacks (`models.kinds`) to a finished model's embeddings.

    python -m guardrails_plugin.training.kinds --attacks data/kinds/attacks.jsonl --out FOLDER

Every fifth pair is held back; by those the least probability is chosen at which `RIGHT` of what is told is right.
Prints how many of these are told, and rightly.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from guardrails_plugin.evaluation.datasets import read_rows
from guardrails_plugin.evaluation.split import is_held_back
from guardrails_plugin.models.encoder import EMBEDDED, Document, Encoder
from guardrails_plugin.models.kinds import KINDS, Kinds
from guardrails_plugin.types import Origin

RIGHT = 0.8
"""Share of what is told that is to be right: judgement. With less more would be told."""

PENALTY = 0.01
"""Inverse strength of the squared penalty, over standardised dimensions; of .003, .01 and .03 the best on what is held
back, by less than .02."""


def worst_embeddings(encoder: Encoder, documents: Sequence[Document]) -> NDArray[np.float32]:
    """The unit embedding of each document's worst window, ``[documents, dimensions]``."""
    readings = encoder.read(documents)
    parts = [
        Document(document.text[reading.start : reading.end], document.origin)
        for document, reading in zip(documents, readings, strict=True)
    ]
    return encoder.embed(parts)


def fit(vectors: NDArray[np.float32], kinds: Sequence[str]) -> Kinds:
    """The regression; it tells always."""
    from sklearn.linear_model import LogisticRegression

    mean, spread = vectors.mean(0), vectors.std(0) + 1e-6
    model = LogisticRegression(C=PENALTY, max_iter=1000).fit((vectors - mean) / spread, kinds)
    order = [list(model.classes_).index(kind) for kind in KINDS]
    weights = model.coef_[order] / spread
    return Kinds(np.float32(weights), np.float32(model.intercept_[order] - weights @ mean), 0.0)


def least(kinds: Kinds, vectors: NDArray[np.float32], truth: Sequence[str]) -> float:
    """The lowest probability from which on `RIGHT` of what is told is right; 1 if there is none."""
    found = np.stack([kinds.probabilities(vector) for vector in vectors])
    sure = found.max(1)
    right = np.asarray([KINDS[best] for best in found.argmax(1)]) == np.asarray(truth)
    order = np.argsort(-sure)
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(shares >= RIGHT)
    return float(sure[order][enough[-1]]) if len(enough) else 1.0


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Fit what names the kinds of attacks.")
    parser.add_argument("--attacks", type=Path, required=True, help="rows whose category is one of the kinds")
    parser.add_argument("--model", type=Path, default=EMBEDDED, help="folder of the model; the embedded one")
    parser.add_argument("--out", type=Path, required=True, help="folder for kinds.npz")
    options = parser.parse_args(arguments)

    rows = read_rows(options.attacks)
    encoder = Encoder(options.model)
    vectors = worst_embeddings(encoder, [Document(row.text, row.origin or Origin.USER) for row in rows])
    truth = np.asarray([row.category for row in rows])
    held = np.asarray([is_held_back(row.text, row.pair) for row in rows])
    fitted = fit(vectors[~held], truth[~held].tolist())
    fitted = replace(fitted, least=least(fitted, vectors[held], truth[held].tolist()))
    options.out.mkdir(parents=True, exist_ok=True)
    np.savez(options.out / "kinds.npz", weights=fitted.weights, bias=fitted.bias, least=np.float32(fitted.least))
    told = np.asarray([fitted.of(vector) for vector in vectors[held]])
    right = (told == truth[held]) & (told != "")
    share = right.sum() / max(1, (told != "").sum())
    print(f"{held.sum()} attacks held back: {(told != '').mean():.3f} told, {share:.3f} of these rightly")


if __name__ == "__main__":
    main()
