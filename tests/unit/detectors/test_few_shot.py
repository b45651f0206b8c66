"""The few-shot classifier: what it separates, and that left-out scores are those of a fit without the example."""

from __future__ import annotations

import numpy as np
import pytest

from guardrails_plugin.detectors.few_shot import FewShot, Matrix, fit


def unit(rows: Matrix) -> Matrix:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def cloud(seed: int, count: int, direction: int, strength: float = 4.0) -> Matrix:
    rows = np.random.default_rng(seed).normal(size=(count, 64)).astype(np.float32)
    rows[:, direction] += strength
    return unit(rows)


def test_unseen_rows_of_the_class_stand_out() -> None:
    trained = fit(cloud(1, 8, 0), cloud(2, 100, 1))
    inside = [trained.deviation(row) for row in cloud(3, 20, 0)]
    outside = [trained.deviation(row) for row in cloud(4, 20, 1)]
    assert min(inside) > max(outside)
    assert abs(float(np.mean(outside))) < 0.5
    assert 0.5 < float(np.std(outside)) < 2.0


def test_the_mean_and_spread_are_those_of_fits_without_the_example() -> None:
    positives, negatives = cloud(1, 4, 0), cloud(2, 12, 1)
    trained = fit(positives, negatives)
    left_out = [score_without(positives, negatives, index) for index in range(len(negatives))]
    assert trained.mean == pytest.approx(np.mean(left_out), abs=1e-4)
    assert trained.spread == pytest.approx(np.std(left_out), abs=1e-4)


def score_without(positives: Matrix, negatives: Matrix, index: int) -> float:
    """Ridge in its primal form, the weights of the others unchanged."""
    rows = np.concatenate([positives, negatives]).astype(np.float64)
    sides = np.repeat((1.0, -1.0), (len(positives), len(negatives)))
    shares = np.repeat((0.5 / len(positives), 0.5 / len(negatives)), (len(positives), len(negatives)))
    shares[len(positives) + index] = 0.0
    normal = (rows * shares[:, None]).T @ rows + 0.003 * np.eye(rows.shape[1])
    weights = np.linalg.solve(normal, (rows * shares[:, None]).T @ sides)
    return float(negatives[index].astype(np.float64) @ weights)


def test_one_example_is_enough_and_repeated_ones_do_no_harm() -> None:
    one, twice = fit(cloud(1, 1, 0), cloud(2, 30, 1)), fit(np.repeat(cloud(1, 1, 0), 2, axis=0), cloud(2, 30, 1))
    row = cloud(5, 1, 0)[0]
    assert one.deviation(row) == pytest.approx(twice.deviation(row), rel=0.05)


def test_the_same_counter_example_everywhere_divides_by_nothing() -> None:
    trained = fit(cloud(1, 2, 0), np.repeat(cloud(2, 1, 1), 5, axis=0))
    assert isinstance(trained, FewShot)
    assert np.isfinite(trained.deviation(cloud(3, 1, 0)[0]))
