"""A threshold for a user's own traffic, from a log that is known to be benign.

Method: the split-conformal quantile (Vovk, Gammerman and Shafer 2005): of n benign scores the k-th lowest with
k = ceil((n + 1)(1 - rate)). Then a benign text like those of the log is flagged with probability at most ``rate``,
whatever the scores mean and however they are distributed. Below ``1 / rate - 1`` texts no finite threshold promises
that much: 0.1 % takes 999 benign texts, 1 % takes 99.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["POINTS", "Recalibration", "needed", "recalibrated", "recipe_lines"]

POINTS = {"strict": 0.05, "balanced": 0.01, "permissive": 0.001}
"""False-positive rate of each operating point."""


@dataclass(frozen=True, slots=True)
class Recalibration:
    """A threshold and what it promises.

    Attributes:
        rate: the false-positive rate asked for.
        threshold: None when the log is too short for that rate, or too many of its texts score 1.
        rows: benign texts it comes from.
        needed: benign texts that this rate takes at least.
        flagged_before: share of the log that the old threshold flags.
    """

    rate: float
    threshold: float | None
    rows: int
    needed: int
    flagged_before: float


def needed(rate: float) -> int:
    """Benign texts without which no threshold promises this rate.

    >>> needed(0.001), needed(0.01), needed(0.05)
    (999, 99, 19)
    """
    return math.ceil(1 / rate - 1 - 1e-9)


def recalibrated(scores: NDArray[np.float64], rate: float, old: NDArray[np.float64]) -> Recalibration:
    """The conformal threshold for a rate.

    Args:
        scores: of benign texts.
        rate: share of benign texts that may be flagged, between 0 and 1.
        old: threshold that each of them was judged by so far.
    """
    rank = math.ceil((len(scores) + 1) * (1 - rate) - 1e-9)
    highest = float(np.sort(scores)[rank - 1]) if rank <= len(scores) else 1.0
    threshold = _just_above(highest) if highest < 1.0 else None
    before = float((scores >= old).mean()) if len(scores) else 0.0
    return Recalibration(rate, threshold, len(scores), needed(rate), before)


def _just_above(score: float) -> float:
    """Six digits that read well in a recipe, when they leave room below 1."""
    rounded = (math.floor(score * 1e6) + 1) / 1e6
    return rounded if rounded < 1.0 else float(np.nextafter(score, np.inf))


def recipe_lines(detector: str, thresholds: Mapping[str, float | str], allow: Sequence[str]) -> str:
    """The rule of a recipe with these thresholds by origin, in TOML; to be pasted in place of the old one.

    Args:
        detector: name of the detector.
        thresholds: a number or an operating point, by origin; a recipe takes 0.5 for origins that are not named.
        allow: texts that are never judged.
    """
    values = ", ".join(f"{origin} = {json.dumps(threshold)}" for origin, threshold in sorted(thresholds.items()))
    lines = ["[[rules]]", f'detector = "{detector}"', 'action = "block"', f"threshold = {{ {values} }}"]
    if allow:
        lines.append(f"settings = {{ allow = [{', '.join(map(_quoted, allow))}] }}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string: one of JSON, but without delete, and characters beyond the BMP are written plainly."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
