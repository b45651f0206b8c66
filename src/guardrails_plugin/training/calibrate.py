"""Logits to probabilities, and the operating points: plain arithmetic on numpy arrays.

Platt scaling ``p = sigmoid(a * logit + b)`` per origin (Platt 1999, with his smoothed targets), fitted by
Newton's method. Thresholds are quantiles of the scores of benign text that was not trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from guardrails_plugin.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FALSE_POSITIVE_RATES: dict[str, float] = {"strict": 0.05, "balanced": 0.01, "permissive": 0.001}
"""Share of benign texts that may be flagged at each named operating point (issue 6 of this project)."""

LEAST_SLOPE = 0.05
NEWTON_STEPS = 50
TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True)
class Platt:
    """Slope and offset of a calibrated logit."""

    a: float = 1.0
    b: float = 0.0

    def probability(self, logits: NDArray[np.float32] | Floats | Sequence[float]) -> Floats:
        """Probability of an attack for every logit."""
        return sigmoid(self.a * np.asarray(logits, np.float64) + self.b)


def sigmoid(values: Floats) -> Floats:
    """Logistic function without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)), np.float64)


def fit(logits: Sequence[float], labels: Sequence[int], *, prior: float = 0.5) -> Platt:
    """Platt scaling of `logits` towards `labels`.

    Args:
        logits: raw scores.
        labels: 1 for an attack.
        prior: share of attacks that the probabilities assume, whatever their share in `labels`.

    >>> fit([-3, -2, -1, 1, 2, 3] * 20, [0, 0, 1, 0, 1, 1] * 20).a > 0
    True
    """
    x = np.asarray(logits, np.float64)
    y = np.asarray(labels, np.float64)
    positives, negatives = float(y.sum()), float(len(y) - y.sum())
    if not positives or not negatives:
        raise ConfigError(f"calibration needs both labels, got {positives:.0f} attacks and {negatives:.0f} benign")
    target = np.where(y == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    weight = np.where(y == 1, prior / positives, (1 - prior) / negatives) * len(y)
    return _newton(x, target, weight)


def _newton(x: Floats, target: Floats, weight: Floats) -> Platt:
    """Least log loss by Newton steps, halved while they make it worse."""
    at = np.array([1.0, 0.0])
    design = np.stack([x, np.ones_like(x)], axis=1)
    loss = _log_loss(design @ at, target, weight)
    for _ in range(NEWTON_STEPS):
        p = sigmoid(design @ at)
        gradient = design.T @ (weight * (p - target))
        curvature = (design * (weight * p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while size > TOLERANCE and _log_loss(design @ (at - size * step), target, weight) > loss:
            size /= 2
        at = at - size * step
        better = _log_loss(design @ at, target, weight)
        if loss - better < TOLERANCE:
            break
        loss = better
    return Platt(float(max(at[0], LEAST_SLOPE)), float(at[1]))


def _log_loss(z: Floats, target: Floats, weight: Floats) -> float:
    return float(np.sum(weight * (np.logaddexp(0.0, z) - target * z)))


def threshold(benign: Sequence[float], false_positive_rate: float) -> float:
    """The lowest score that flags at most this share of `benign` scores.

    With fewer scores than one over the rate, the highest of them bounds it.

    >>> threshold([0.1, 0.2, 0.3, 0.4], 0.25) > 0.3
    True
    """
    ranked = np.sort(np.asarray(benign, np.float64))
    if not len(ranked):
        raise ConfigError("no benign scores to set a threshold by")
    allowed = int(false_positive_rate * len(ranked))
    return float(np.nextafter(ranked[len(ranked) - 1 - allowed], np.inf))


def macro_threshold(groups: Mapping[str, Sequence[float]], false_positive_rate: float) -> float:
    """The lowest score at which the false-positive rates of the groups average at most this rate.

    One noisy or large source then does not set the operating point for all kinds of benign text.
    """
    arrays = [np.sort(np.asarray(scores, np.float64)) for scores in groups.values() if len(scores)]
    if not arrays:
        raise ConfigError("no benign scores to set a threshold by")
    for candidate in np.unique(np.concatenate(arrays)):
        flagged = [1 - np.searchsorted(scores, candidate, side="right") / len(scores) for scores in arrays]
        if float(np.mean(flagged)) <= false_positive_rate:
            return float(np.nextafter(candidate, np.inf))
    raise AssertionError("unreachable: above the highest score nothing is flagged")


def operating_points(groups: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Threshold of every named operating point, from benign scores by group."""
    return {name: macro_threshold(groups, rate) for name, rate in FALSE_POSITIVE_RATES.items()}
