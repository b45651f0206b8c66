"""A threshold from a benign log keeps its promise, and says when it cannot."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails_plugin.evaluation.recalibration import needed, recalibrated, rule_lines
from guardrails_plugin.recipes import Rule

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.mark.parametrize("rate", [0.05, 0.01, 0.001])
def test_fewer_texts_than_needed_give_no_threshold(rate: float) -> None:
    scores = np.linspace(0, 0.5, needed(rate))
    assert recalibrated(scores, rate, 0.9).threshold is not None
    short = recalibrated(scores[1:], rate, 0.9)
    assert short.threshold is None
    assert short.needed == len(scores)


@pytest.mark.parametrize("rate", [0.05, 0.01])
def test_the_rate_holds_for_texts_that_were_not_in_the_log(rate: float) -> None:
    rng = np.random.default_rng(7)
    flagged = []
    for _ in range(400):
        log, later = rng.beta(1, 8, 500), rng.beta(1, 8, 500)
        limit = recalibrated(log, rate, None).threshold
        assert limit is not None
        flagged.append((later >= limit).mean())
    assert rate / 2 < np.mean(flagged) <= rate * 1.1


def test_scores_at_the_top_give_no_threshold() -> None:
    assert recalibrated(np.ones(200), 0.05, 0.5).threshold is None


def test_what_was_flagged_so_far() -> None:
    scores = np.array([0.1] * 95 + [0.9] * 5)
    assert recalibrated(scores, 0.01, 0.5).flagged_before == pytest.approx(0.05)
    assert recalibrated(scores, 0.01, None).flagged_before is None


_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_PLAIN = _TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_FILLED = st.recursive(_PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, min_size=1))


@given(st.dictionaries(_TEXT, _FILLED, max_size=4))
def test_the_rule_is_toml_whatever_its_settings_are(settings: dict[str, Any]) -> None:
    threshold = {"user": 0.97, "model": 0.5, "external": "balanced", "system": 0.5}
    rule = Rule.model_validate({"detector": "x", "action": "block", "threshold": threshold, "settings": settings})
    (read,) = tomllib.loads(rule_lines(rule))["rules"]
    assert read.pop("settings", {}) == settings
    assert read == {"detector": "x", "action": "block", "threshold": threshold}


def test_what_a_rule_says_is_kept_and_what_it_does_not_say_is_not_written() -> None:
    given_rule = {
        "detector": "x",
        "name": "mine",
        "actions": {"thing": "mask"},
        "threshold": {"user": 0.9},
        "trusted": ["system", "model"],
        "allow": ["b", "a"],
        "timeout": 2.5,
        "enabled": False,
        "needs": ["numpy"],
    }
    rule = Rule.model_validate(given_rule)
    (read,) = tomllib.loads(rule_lines(rule))["rules"]
    assert Rule.model_validate(read) == rule
    assert read.keys() == given_rule.keys()
