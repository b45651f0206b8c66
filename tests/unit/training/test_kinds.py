"""What names the kinds of attacks is fitted to embeddings, and tells as often as it may be right."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn")

from guardrails_plugin.models.kinds import KINDS
from guardrails_plugin.training import kinds

TRUTH = [KINDS[number % len(KINDS)] for number in range(300)]


def vectors(noise: float) -> NDArray[np.float32]:
    rng = np.random.default_rng(5)
    places = np.eye(32, dtype=np.float32)[[KINDS.index(kind) for kind in TRUTH]]
    found = places + noise * rng.normal(size=places.shape).astype(np.float32)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def test_kinds_that_lie_apart_are_all_told_rightly() -> None:
    seen = vectors(0.05)
    fitted = kinds.fit(seen, TRUTH)
    assert [fitted.of(vector) for vector in seen] == TRUTH


def test_the_least_probability_is_what_makes_enough_right() -> None:
    seen = vectors(0.9)
    fitted = kinds.fit(seen[:200], TRUTH[:200])
    limit = kinds.least(fitted, seen[200:], TRUTH[200:])
    found = np.stack([fitted.probabilities(vector) for vector in seen[200:]])
    told = found.max(1) >= limit
    right = np.asarray([KINDS[best] for best in found.argmax(1)]) == np.asarray(TRUTH[200:])
    assert 0 < told.sum() < len(told)
    assert right[told].mean() >= kinds.RIGHT


def test_nothing_is_told_where_nothing_can_be() -> None:
    seen = vectors(0.05)
    fitted = kinds.fit(seen, TRUTH)
    wrong = [KINDS[(KINDS.index(kind) + 1) % len(KINDS)] for kind in TRUTH]
    assert kinds.least(fitted, seen, wrong) == 1.0
