"""A threshold from a benign log keeps its promise, and says when it cannot."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails_plugin.evaluation.recalibration import needed, recalibrated, recipe_lines

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.mark.parametrize("rate", [0.05, 0.01, 0.001])
def test_fewer_texts_than_needed_give_no_threshold(rate: float) -> None:
    scores = np.linspace(0, 0.5, needed(rate))
    assert recalibrated(scores, rate, np.full(len(scores), 0.9)).threshold is not None
    short = recalibrated(scores[1:], rate, np.full(len(scores) - 1, 0.9))
    assert short.threshold is None
    assert short.needed == len(scores)


@pytest.mark.parametrize("rate", [0.05, 0.01])
def test_the_rate_holds_for_texts_that_were_not_in_the_log(rate: float) -> None:
    rng = np.random.default_rng(7)
    flagged = []
    for _ in range(400):
        log, later = rng.beta(1, 8, 500), rng.beta(1, 8, 500)
        limit = recalibrated(log, rate, np.ones(500)).threshold
        assert limit is not None
        flagged.append((later >= limit).mean())
    assert rate / 2 < np.mean(flagged) <= rate * 1.1


def test_scores_at_the_top_give_no_threshold() -> None:
    assert recalibrated(np.ones(200), 0.05, np.full(200, 0.5)).threshold is None


def test_what_was_flagged_so_far() -> None:
    found = recalibrated(np.array([0.1] * 95 + [0.9] * 5), 0.01, np.full(100, 0.5))
    assert found.flagged_before == pytest.approx(0.05)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4))
def test_the_rule_is_toml_whatever_is_allowed(allow: list[str]) -> None:
    rule = tomllib.loads(recipe_lines("prompt_injection", {"user": 0.97, "external": "balanced"}, allow))["rules"][0]
    assert rule["threshold"] == {"user": 0.97, "external": "balanced"}
    assert rule.get("settings", {"allow": []})["allow"] == allow
