"""The operating points that a training chooses."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra `train` is not installed")
pytest.importorskip("transformers", reason="the extra `train` is not installed")

from guardrails_plugin.training import artifact, calibrate
from guardrails_plugin.training.data import EXTERNAL, USER, Example

PLAIN = {USER: calibrate.Platt(), EXTERNAL: calibrate.Platt(), "model": calibrate.Platt()}


def scored(source: str, logits: np.ndarray) -> artifact.Scored:
    rows = [Example("", 0, origin, source=source) for origin in (USER, EXTERNAL) for _ in logits]
    return artifact.Scored(rows, np.concatenate([logits, logits])[:, None].astype(np.float32))


def flagged(part: artifact.Scored, limit: float) -> float:
    return float(np.mean(artifact.probabilities(part.where(USER), PLAIN) >= limit))


def test_the_balanced_point_holds_on_the_mean_of_the_sources_and_on_all_texts_together() -> None:
    rng = np.random.default_rng(0)
    large, small = scored("large", rng.normal(0, 2, 4000)), scored("small", rng.normal(-4, 1, 50))
    twins = scored("own", rng.normal(-6, 1, 100))
    points = artifact._thresholds(PLAIN, twins, large, small)
    balanced = points["balanced"][USER]
    assert (
        flagged(large, balanced) * 4000 + flagged(small, balanced) * 50
    ) / 4050 <= 0.01 + 1 / 4050  # the point is rounded
    assert points["strict"][USER] <= balanced <= points["permissive"][USER]
    assert points["balanced"]["model"] == points["balanced"][EXTERNAL]


def test_few_of_the_twins_are_flagged_at_the_balanced_point() -> None:
    rng = np.random.default_rng(0)
    ordinary, twins = scored("plain", rng.normal(-6, 1, 500)), scored("own", rng.normal(0, 1, 500))
    assert flagged(twins, artifact._thresholds(PLAIN, twins, ordinary)["balanced"][USER]) <= artifact.TWINS_FLAGGED
