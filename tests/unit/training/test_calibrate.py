"""Probabilities and thresholds mean what they say."""

from __future__ import annotations

import numpy as np
import pytest

from guardrails_plugin.training import calibrate


def test_platt_finds_the_slope_and_offset_that_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 20_000)
    labels = (rng.random(20_000) < calibrate.sigmoid(1.7 * logits - 0.4)).astype(int)
    fitted = calibrate.fit(logits.tolist(), labels.tolist(), prior=float(labels.mean()))
    assert fitted.a == pytest.approx(1.7, abs=0.1)
    assert fitted.b == pytest.approx(-0.4, abs=0.1)


def test_perfectly_separated_labels_stay_finite() -> None:
    fitted = calibrate.fit([-5.0] * 50 + [5.0] * 50, [0] * 50 + [1] * 50)
    low, high = fitted.probability([-5.0, 5.0])
    assert 0 < low < 0.1
    assert 0.9 < high < 1


def test_calibration_never_turns_the_order_round() -> None:
    fitted = calibrate.fit([3.0, 2.0, -2.0, -3.0], [0, 0, 1, 1])
    assert fitted.a > 0


def test_one_label_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="both labels"):
        calibrate.fit([1.0, 2.0], [1, 1])


@pytest.mark.parametrize("rate", [0.05, 0.01, 0.001])
def test_a_threshold_keeps_its_false_positive_rate(rate: float) -> None:
    scores = np.random.default_rng(1).random(5000)
    limit = calibrate.threshold(scores.tolist(), rate)
    flagged = float((scores >= limit).mean())
    assert flagged <= rate
    assert flagged > rate * 0.8


def test_ties_do_not_break_the_rate() -> None:
    assert calibrate.threshold([0.5] * 99 + [0.9], 0.02) > 0.5


def test_a_macro_threshold_weighs_groups_not_texts() -> None:
    groups = {"large": [0.1] * 1000, "small": [0.2, 0.3, 0.4, 0.9]}
    limit = calibrate.macro_threshold(groups, 0.13)
    rates = [np.mean(np.asarray(scores) >= limit) for scores in groups.values()]
    assert np.mean(rates) <= 0.13
    assert 0.4 < limit <= 0.9


def test_operating_points_are_ordered() -> None:
    points = calibrate.operating_points({"a": np.random.default_rng(2).random(3000).tolist()})
    assert points["strict"] < points["balanced"] < points["permissive"]


def test_no_scores_no_threshold() -> None:
    with pytest.raises(ValueError, match="no benign"):
        calibrate.threshold([], 0.01)
    with pytest.raises(ValueError, match="no benign"):
        calibrate.macro_threshold({"a": []}, 0.01)
