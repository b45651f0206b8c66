"""A classifier from a handful of examples: ridge regression towards +1 and -1, and how far above chance a score is.

Examples of both sides weigh the same however many there are. Solved in its kernel form (a few hundred examples, a few
thousand dimensions), which also gives what each example would score had it been left out, in closed form (Allen's
PRESS, 1974). The left-out scores of the counter-examples say what a text that does not belong scores: a score counts
in their standard deviations above their mean, so that it means about the same for 5 examples and for 50.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FewShot", "fit"]

Matrix = NDArray[np.float32]

_RIDGE = 0.003
"""Best of .003, .01 and .03 at ten examples of CLINC domains (``training/topics.py`` has the data)."""


@dataclass(frozen=True, slots=True)
class FewShot:
    """A fitted class.

    Attributes:
        weights: ``float32[dimensions]``.
        mean: left-out score of the counter-examples, on average.
        spread: its standard deviation.
    """

    weights: Matrix
    mean: float
    spread: float

    def deviation(self, row: Matrix) -> float:
        """How many standard deviations a text scores above texts that do not belong.

        Args:
            row: ``float32[dimensions]``, made like the rows of `fit`.
        """
        return (float(row @ self.weights) - self.mean) / self.spread


def fit(positives: Matrix, negatives: Matrix) -> FewShot:
    """The class of the positives against the negatives.

    Args:
        positives: ``float32[n, dimensions]``, rows of about unit length, one or more.
        negatives: likewise; two or more that differ.
    """
    rows = np.concatenate([positives, negatives])
    sides = np.repeat((1.0, -1.0), (len(positives), len(negatives)))
    root = np.sqrt(np.repeat((0.5 / len(positives), 0.5 / len(negatives)), (len(positives), len(negatives))))
    kernel = root[:, None] * (rows @ rows.T).astype(np.float64) * root
    inverse = np.linalg.inv(kernel + _RIDGE * np.eye(len(rows)))
    duals = inverse @ (root * sides)
    left_out = (sides - duals / (np.diag(inverse) * root))[len(positives) :]
    weights = (rows.T @ (root * duals).astype(np.float32)).astype(np.float32)
    return FewShot(weights, float(left_out.mean()), max(float(left_out.std()), 1e-6))
