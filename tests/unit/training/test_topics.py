"""Measuring topics: which texts are judged, and that the fitted curve orders and scales them."""

from __future__ import annotations

import numpy as np

from guardrails_plugin.detectors.few_shot import Matrix
from guardrails_plugin.training.topics import OUTSIDE, Judged, fitted, judge

EVERYDAY = (np.random.default_rng(9).normal(size=(40, 32)) / 6).astype(np.float32)


def cloud(seed: int, direction: int | None, count: int = 30) -> Matrix:
    rows = np.random.default_rng(seed).normal(size=(count, 32)).astype(np.float32)
    if direction is not None:
        rows[:, direction] += 3
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


ROWS = {"a": cloud(1, 0), "b": cloud(2, 1), "c": cloud(3, 2), OUTSIDE: cloud(4, None)}


def test_examples_are_not_judged_and_what_is_outside_is_no_topic() -> None:
    judged = judge(ROWS, EVERYDAY, 5, 1)
    assert len(judged.topics) == 3
    for deviations, labels in judged.topics:
        # 25 of the topic, 25 of each other one whether the detector knew it or not, all 30 outside.
        assert len(deviations) == len(labels) == 3 * 25 + 30
        assert sum(labels) == 25


def test_topics_that_are_apart_are_told() -> None:
    few, many = judge(ROWS, EVERYDAY, 2, 2), judge(ROWS, EVERYDAY, 15, 2)
    assert 0.6 < few.auc < many.auc <= 1
    assert many.found(0.2, 1) > many.found(0.5, 1) > many.found(0.5, 0)


def test_the_curve_rises() -> None:
    curve = fitted([judge(ROWS, EVERYDAY, 5, 2)])
    assert curve.a > 0
    assert fitted([Judged([([0.0, 1.0, 2.0, 3.0] * 20, [0, 0, 1, 1] * 20)])]).a > 0
