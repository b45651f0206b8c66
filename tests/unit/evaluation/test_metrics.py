"""Rates, areas and thresholds on scores whose answer is known."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails_plugin.evaluation.metrics import auc, bootstrap, quality, threshold_at, wilson

SCORES = np.array([0.9, 0.8, 0.4, 0.7, 0.2, 0.1])
LABELS = np.array([True, True, True, False, False, False])
shares = st.lists(st.floats(0, 1), min_size=1, max_size=60).map(np.array)


def test_quality_at_a_threshold() -> None:
    own = quality(SCORES, LABELS, np.full(6, 0.5))
    assert (own.positives, own.negatives) == (3, 3)
    assert own.recall is not None
    assert own.false_positive_rate is not None
    assert own.auc is not None
    assert own.recall.value == pytest.approx(2 / 3)
    assert own.false_positive_rate.value == pytest.approx(1 / 3)
    assert own.precision == pytest.approx(2 / 3)
    assert own.auc.value == pytest.approx(8 / 9)


def test_a_threshold_of_its_own_for_each_text() -> None:
    own = quality(SCORES, LABELS, np.array([0.5, 0.5, 0.3, 0.8, 0.8, 0.8]))
    assert own.recall is not None
    assert own.false_positive_rate is not None
    assert (own.recall.value, own.false_positive_rate.value) == (1.0, 0.0)


def test_what_a_group_has_no_texts_for_is_unknown() -> None:
    own = quality(SCORES[3:], LABELS[3:], np.full(3, 0.9))
    assert (own.recall, own.precision, own.auc) == (None, None, None)


def test_ties_count_half() -> None:
    assert auc(np.array([0.5, 0.5]), np.array([True, False])) == 0.5


@given(shares, shares)
def test_the_area_is_the_share_of_pairs_in_order(positives: np.ndarray, negatives: np.ndarray) -> None:
    pairs = [(p > n) + 0.5 * (p == n) for p in positives for n in negatives]
    labels = np.arange(len(positives) + len(negatives)) < len(positives)
    assert auc(np.concatenate((positives, negatives)), labels) == pytest.approx(np.mean(pairs))


def test_intervals_hold_the_truth_and_narrow_with_more_texts() -> None:
    rng = np.random.default_rng(3)
    widths = []
    for size in (50, 5000):
        flags = rng.random(size) < 0.3
        share = partial(_mean, flags)
        interval = bootstrap(share, size)
        assert interval.low < 0.3 < interval.high
        assert interval == bootstrap(share, size)
        widths.append(interval.high - interval.low)
    assert widths[1] < widths[0] / 5


@pytest.mark.parametrize(
    ("hits", "size", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (1, 29, 0.0061, 0.1718)],
)
def test_ranges_of_shares_are_wilsons(hits: int, size: int, low: float, high: float) -> None:
    """The last is the example of Newcombe 1998 (method 3); none is certain, however few the texts."""
    interval = wilson(hits, size)
    assert interval is not None
    assert [interval.low, interval.high] == pytest.approx([low, high], abs=5e-5)


def test_a_share_of_nothing_is_unknown() -> None:
    assert wilson(0, 0) is None


@given(shares, st.sampled_from([0.5, 0.1, 0.01, 0.001]))
def test_a_threshold_keeps_its_rate_and_is_the_lowest_that_does(negatives: np.ndarray, rate: float) -> None:
    limit = threshold_at(negatives, rate)
    assert (negatives >= limit).mean() <= rate
    below = np.nextafter(limit, -np.inf)
    assert limit == 0.0 or (negatives >= below).mean() > rate


def _mean(flags: Any, at: Any) -> float:
    return float(flags[at].mean())
