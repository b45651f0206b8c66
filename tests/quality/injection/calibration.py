"""How far the detector's probabilities are from the shares of attacks that they claim.

Expected calibration error over ten bins of equal width (Naeini et al. 2015; Guo et al. 2017), of the whole detector's
probability. A calibrated probability assumes a share of attacks; this model's assumes one half. So the error is given
twice: with the texts as they are, and with attacks and innocent texts weighing one half each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tests.quality.injection.rows import Flags, Floats, Judge, Row, blind, drawn, held_back
from tests.quality.measure_injection import STAGES

BINS = 10
SIZE = 1200


@dataclass(frozen=True, slots=True)
class Bin:
    """Texts of like probability: their weight, mean probability and share of attacks."""

    weight: float
    claimed: float
    attacks: float


def reliability(scores: Floats, labels: Flags, weights: Floats) -> list[Bin]:
    """The bins that hold a text, by probability.

    >>> [round(row.attacks, 1) for row in reliability(np.r_[0.1, 0.9], np.r_[False, True], np.ones(2))]
    [0.0, 1.0]
    """
    places = np.minimum((scores * BINS).astype(int), BINS - 1)
    rows = []
    for place in range(BINS):
        own = places == place
        if total := float(weights[own].sum()):
            claimed, attacks = ((weights[own] * values[own]).sum() / total for values in (scores, labels))
            rows.append(Bin(total / float(weights.sum()), float(claimed), float(attacks)))
    return rows


def error(rows: Sequence[Bin]) -> float:
    """The expected calibration error."""
    return sum(row.weight * abs(row.claimed - row.attacks) for row in rows)


def halved(labels: Flags) -> Floats:
    """Weights by which attacks and innocent texts count one half each."""
    return np.asarray(np.where(labels, 0.5 / labels.mean(), 0.5 / (1 - labels.mean())), np.float64)


def judged(judge: Judge, rows: Sequence[Row]) -> tuple[Floats, Flags]:
    """Probabilities and labels."""
    return judge.probabilities(rows), np.asarray([row.label for row in rows])


def lines(scale: float) -> Iterator[str]:
    """The tables."""
    judge = Judge()
    for name, every in (("blind", blind()), ("held back", held_back())):
        for origin in STAGES:
            own = [row for row in every if row.origin is origin]
            scores, labels = judged(judge, drawn(own, round(SIZE * scale)))
            bins, even = (reliability(scores, labels, of) for of in (np.ones(len(labels)), halved(labels)))
            yield (
                f"{name}, {origin}: {len(labels)} texts, attacks {labels.mean():.2f}; "
                f"error {error(bins):.3f}, weighed evenly {error(even):.3f}"
            )
            cells = (f"{row.claimed:.2f}>{row.attacks:.2f} ({row.weight:.2f})" for row in bins)
            yield f"    claimed>attacks (share of texts): {', '.join(cells)}"
