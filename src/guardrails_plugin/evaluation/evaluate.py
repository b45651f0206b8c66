"""Scores a dataset with a detector and groups the results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from guardrails_plugin.evaluation.metrics import Quality, quality
from guardrails_plugin.types import Origin

if TYPE_CHECKING:
    from guardrails_plugin.engine import Engine
    from guardrails_plugin.evaluation.datasets import Row

__all__ = ["GROUPINGS", "Scored", "groups", "score_rows"]

GROUPINGS: dict[str, Callable[[Row, Origin], str]] = {
    "all": lambda _, __: "all",
    "origin": lambda _, origin: origin.value,
    "category": lambda row, _: row.category,
    "language": lambda row, _: row.lang,
}
"""What results are broken down by."""

_TOGETHER = 32
"""Texts scored between two steps of the progress bar."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows with the score of each and the origin it was judged as."""

    rows: Sequence[Row]
    origins: Sequence[Origin]
    scores: NDArray[np.float64]

    def thresholds(self, by_origin: dict[Origin, float]) -> NDArray[np.float64]:
        """The threshold of each row."""
        return np.asarray([by_origin[origin] for origin in self.origins], np.float64)


def score_rows(
    engine: Engine, detector: str, rows: Sequence[Row], origin: Origin, *, advance: Callable[[int], None]
) -> Scored:
    """The score of every row.

    Args:
        engine: scores the texts.
        detector: name of a detector with scores.
        rows: the texts; a row's own origin goes before ``origin``.
        origin: of rows without one.
        advance: is told how many rows are done since it was told last.
    """
    origins = [row.origin or origin for row in rows]
    scores = np.zeros(len(rows), np.float64)
    for own in Origin:
        numbers = [number for number, judged in enumerate(origins) if judged is own]
        for first in range(0, len(numbers), _TOGETHER):
            some = numbers[first : first + _TOGETHER]
            scores[some] = engine.score(detector, [rows[number].text for number in some], origin=own)
            advance(len(some))
    return Scored(rows, origins, scores)


def groups(scored: Scored, thresholds: dict[Origin, float], by: str, *, least: int = 1) -> dict[str, Quality]:
    """Quality of every group of a grouping that has at least ``least`` rows, sorted by name."""
    members: dict[str, list[int]] = defaultdict(list)
    for number, (row, origin) in enumerate(zip(scored.rows, scored.origins, strict=True)):
        if name := GROUPINGS[by](row, origin):
            members[name].append(number)
    limits = scored.thresholds(thresholds)
    labels = np.asarray([row.label == 1 for row in scored.rows])
    return {
        name: quality(scored.scores[numbers], labels[numbers], limits[numbers])
        for name, numbers in sorted(members.items())
        if len(numbers) >= least
    }
