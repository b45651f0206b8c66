"""Scores a dataset with a detector and groups the results.

A detector with probabilities (`protocols.Scorer`) gives each text one; of any other a text has the score of its surest
finding, 0 without one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from guardrails_plugin.evaluation.metrics import Quality, quality
from guardrails_plugin.recipes.recipe import Recipe, Rule
from guardrails_plugin.types import Origin, Segment, Stage

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

_OWN = "evaluation"
_TOGETHER = 32
"""Texts scored between two steps of the progress bar."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows with the score of each and the origin it was judged as."""

    rows: Sequence[Row]
    origins: Sequence[Origin]
    scores: NDArray[np.float64]

    def thresholds(self, given: float | Mapping[Origin, float]) -> NDArray[np.float64]:
        """The threshold of each row."""
        if isinstance(given, Mapping):
            return np.asarray([given[origin] for origin in self.origins], np.float64)
        return np.full(len(self.origins), given, np.float64)


def score_rows(
    engine: Engine,
    detector: str,
    rows: Sequence[Row],
    origin: Origin = Origin.USER,
    *,
    advance: Callable[[int], object] = bool,
) -> Scored:
    """The score of every row.

    Args:
        engine: scores the texts.
        detector: name of a detector.
        rows: the texts; a row's own origin goes before ``origin``.
        origin: of rows without one.
        advance: is told how many rows are done since it was told last.

    Raises:
        ConfigError: there is no such detector.
        GuardUnavailable: the detector failed on a text.
    """
    score = _scoring(engine, detector)
    origins = [row.origin or origin for row in rows]
    scores = np.zeros(len(rows), np.float64)
    for own in Origin:
        numbers = [number for number, judged in enumerate(origins) if judged is own]
        for first in range(0, len(numbers), _TOGETHER):
            some = numbers[first : first + _TOGETHER]
            scores[some] = score([rows[number].text for number in some], own)
            advance(len(some))
    return Scored(rows, origins, scores)


def _scoring(engine: Engine, detector: str) -> Callable[[Sequence[str], Origin], list[float]]:
    if engine.scores(detector):
        return lambda texts, origin: engine.score(detector, texts, origin=origin)
    rule = Rule.model_validate({"detector": detector, "threshold": 0.0})
    alone = engine.extended([Recipe(name=_OWN, rules=(rule,))])

    def surest(texts: Sequence[str], origin: Origin) -> list[float]:
        results = alone.check_batch([Segment(text, origin) for text in texts], stage=Stage.PROMPT, recipe=_OWN)
        return [
            max((finding.score for finding in result.raise_for_block().findings), default=0.0) for result in results
        ]

    return surest


def groups(
    scored: Scored, thresholds: float | Mapping[Origin, float], by: str = "all", *, least: int = 1
) -> dict[str, Quality]:
    """Quality of every group of a grouping (`GROUPINGS`) that has at least ``least`` rows, sorted by name.

    Args:
        scored: rows with their scores.
        thresholds: least score that flags a text: one, or one per origin.
        by: what rows are grouped by.
        least: rows of a group that is told.
    """
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
