"""Trains the first tier: logistic regression over hashed words and pairs, on stretches as long as those it scores.

    python -m guardrails_plugin.training.first_tier --data FOLDER --own data/injection --out FILE

It is one table for the package, whichever model reads behind it: ``models/injection/first_tier.npz``.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from guardrails_plugin.models.first_tier import BUCKETS, STRETCH, Words, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardrails_plugin.training.data import Example

LONGEST_ATTACK = 1200
"""Characters of an attack in which every stretch may count as one: in longer ones most of the text is harmless."""

STRETCHES = {0: 6, 1: 3}
"""Stretches drawn from one text, by label."""

PENALTY, PASSES = 3e-6, 6
"""L2 penalty and passes over the data of averaged stochastic gradient descent; not tuned."""


def fit(examples: Sequence[Example], *, seed: int = 17) -> Any:
    """Weights of the table, int8, and their scale: ``{"weights": ..., "scale": ...}``.

    Args:
        examples: labelled texts; disguised and composed ones and long attacks are left out.
        seed: of the drawn stretches.
    """
    from sklearn.linear_model import SGDClassifier

    rng = random.Random(seed)
    rows = [(stretch, example.label) for example in examples if _useful(example) for stretch in _drawn(example, rng)]
    design = _design([stretch for stretch, _ in rows])
    model = SGDClassifier(
        loss="log_loss",
        alpha=PENALTY,
        max_iter=PASSES,
        tol=None,
        average=True,
        class_weight="balanced",
        random_state=seed,
    )
    model.fit(design, [label for _, label in rows])
    weights = model.coef_[0]
    scale = float(np.abs(weights).max()) / 127
    return {"weights": np.round(weights / scale).astype(np.int8), "scale": np.float32(scale)}


def write(examples: Sequence[Example], path: Path, *, seed: int = 17) -> None:
    """Fits the table and writes it."""
    np.savez_compressed(path, **fit(examples, seed=seed))


def _useful(example: Example) -> bool:
    """Disguised words are no words, and most of a document that holds an attack is harmless."""
    made = "obf" in example.category or example.category.endswith(("/composed", "/surrounded"))
    return example.label in (0, 1) and not made and (not example.label or len(example.text) <= LONGEST_ATTACK)


def _drawn(example: Example, rng: random.Random) -> list[Words]:
    """Stretches of a text, as many words as the scorer puts together."""
    found = words(example.text)
    size = len(found.hashes)
    if not size:
        return []
    most = min(STRETCHES[example.label], -(-size // STRETCH))
    firsts = {rng.randrange(max(1, size - STRETCH + 1)) for _ in range(most)}
    return [
        Words(found.hashes[first : first + STRETCH], found.starts[first:][:STRETCH], found.ends[first:][:STRETCH])
        for first in sorted(firsts)
    ]


def _design(stretches: Sequence[Words]) -> Any:
    """A sparse matrix: one row a stretch, one column a bucket, how often it occurs."""
    from scipy.sparse import csr_matrix

    columns = [np.concatenate(stretch.buckets) for stretch in stretches]
    ends = np.concatenate(([0], np.cumsum([len(column) for column in columns])))
    values = np.ones(int(ends[-1]), np.float32)
    matrix = csr_matrix((values, np.concatenate(columns), ends), shape=(len(columns), BUCKETS))
    matrix.sum_duplicates()
    return matrix


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Fit the table of the first tier.")
    parser.add_argument("--data", type=Path, help="folder with the corpus")
    parser.add_argument("--own", type=Path, help="folder with files of hand-written rows")
    parser.add_argument("--out", type=Path, required=True, help="the .npz file")
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args(arguments)
    # Deferred: reads the rows as a training does, with torch; those who fit their own rows need none of it.
    from guardrails_plugin.training.config import TrainConfig
    from guardrails_plugin.training.mixture import MixtureConfig
    from guardrails_plugin.training.pipeline import load_corpus

    out: Path = options.out
    config = TrainConfig(options.data, out, out, own=options.own, mixture=MixtureConfig(seed=options.seed))
    write(load_corpus(config).train, out, seed=options.seed)
    print(f"table written to {out}")


if __name__ == "__main__":
    main()
