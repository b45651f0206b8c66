"""Hard benign rows for the next run."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
mining = pytest.importorskip("guardrails_plugin.training.mining")

from guardrails_plugin.training.data import USER, Example  # noqa: E402


def test_the_highest_scores_come_first_and_no_family_takes_all() -> None:
    examples = [Example(str(n), 0, USER, source="loud" if n < 50 else f"s{n}") for n in range(100)]
    scores = np.linspace(1, 0, 100).astype(np.float32)
    chosen = mining.hardest(examples, scores, count=20)
    assert len(chosen) == 20
    assert chosen[0].text == "0"
    assert sum(example.source == "loud" for example in chosen) == 5
