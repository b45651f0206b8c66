"""How good scores are: rates at a threshold, area under the curve, and how sure one may be of them.

Ranges are 95 %: of shares Wilson's score interval (Wilson 1927, "Probable inference, the law of succession, and
statistical inference"), which does not call 0 of 50 certain; of areas a percentile bootstrap (Efron 1979) over texts
with a fixed seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "Quality", "auc", "bootstrap", "quality", "threshold_at", "wilson"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

RESAMPLES = 500
_QUANTILE = 1.959964
"""Of the normal distribution, for 95 %."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A share or an area, and the range that holds the true one in about 95 of 100 datasets."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Quality of one group of texts at one threshold; None where a group has no texts of that label.

    Attributes:
        recall: share of the positives that are flagged.
        false_positive_rate: share of the negatives that are flagged.
        precision: share of the flagged that are positive; it depends on how many of either a dataset has.
        auc: probability that a positive scores above a negative.
    """

    positives: int
    negatives: int
    recall: Interval | None
    false_positive_rate: Interval | None
    precision: float | None
    auc: Interval | None


def quality(scores: Floats, labels: Flags, thresholds: Floats) -> Quality:
    """Quality of a group.

    Args:
        scores: probability of each text.
        labels: which texts are positive.
        thresholds: of each text (it may depend on its origin).
    """
    flagged = scores >= thresholds
    hits = int((flagged & labels).sum())
    return Quality(
        positives=int(labels.sum()),
        negatives=int((~labels).sum()),
        recall=wilson(hits, int(labels.sum())),
        false_positive_rate=wilson(int(flagged.sum()) - hits, int((~labels).sum())),
        precision=hits / int(flagged.sum()) if flagged.any() else None,
        auc=bootstrap(lambda at: auc(scores[at], labels[at]), len(scores))
        if labels.any() and not labels.all()
        else None,
    )


def wilson(hits: int, size: int) -> Interval | None:
    """The share of hits; None of nothing.

    >>> wilson(0, 50)
    Interval(value=0.0, low=0.0, high=0.0713...)
    """
    if not size:
        return None
    share, spread = hits / size, _QUANTILE**2 / size
    middle = (share + spread / 2) / (1 + spread)
    reach = _QUANTILE / (1 + spread) * math.sqrt(share * (1 - share) / size + spread / (4 * size))
    return Interval(share, max(0.0, middle - reach) if hits else 0.0, min(1.0, middle + reach) if hits < size else 1.0)


def bootstrap(statistic: Callable[[NDArray[np.int64]], float], size: int, *, resamples: int = RESAMPLES) -> Interval:
    """A statistic of the rows with these numbers, on all rows and on resampled ones; NaN values are left out."""
    rng = np.random.default_rng(0)
    values = np.asarray([statistic(rng.integers(0, size, size)) for _ in range(resamples)])
    values = values[~np.isnan(values)]
    value = statistic(np.arange(size))
    low, high = np.quantile(values, (0.025, 0.975)) if len(values) else (value, value)
    return Interval(value, float(low), float(high))


def auc(scores: Floats, labels: Flags) -> float:
    """Probability that a positive scores above a negative, ties counted half (Mann-Whitney); NaN without both.

    >>> auc(np.array([0.1, 0.4, 0.8]), np.array([False, False, True]))
    1.0
    """
    positives, negatives = scores[labels], np.sort(scores[~labels])
    if not len(positives) or not len(negatives):
        return float("nan")
    below = np.searchsorted(negatives, positives, side="left")
    upto = np.searchsorted(negatives, positives, side="right")
    return float((below + upto).mean() / 2 / len(negatives))


def threshold_at(negatives: Floats, false_positive_rate: float) -> float:
    """The lowest threshold that flags at most this share of these scores.

    >>> bool(threshold_at(np.array([0.1, 0.2, 0.3, 0.4]), 0.25) > 0.3)
    True
    """
    ranked = np.sort(negatives)
    if not len(ranked):
        raise ValueError("no negatives to choose a threshold by")
    allowed = int(false_positive_rate * len(ranked) + 1e-9)
    return 0.0 if allowed >= len(ranked) else float(np.nextafter(ranked[len(ranked) - 1 - allowed], np.inf))
