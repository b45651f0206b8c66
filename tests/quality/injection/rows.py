"""The texts that the tables are made of, and the whole detector's answers about them.

Held back: every fifth pair of ``data/injection`` (`training.data.split_pairs`), which no version was trained on; they
helped to fit its calibration and thresholds. Blind: ``data/blind/injection*``.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from guardrails_plugin import Engine, Origin
from guardrails_plugin.training.data import read_all, split_pairs
from tests.quality.measure_injection import BLIND, SETS, STAGES, engine_of, probabilities

DATA = Path(__file__).parents[3] / "data"

T = TypeVar("T")
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled text."""

    text: str
    label: bool
    origin: Origin
    lang: str = "en"


def held_back() -> list[Row]:
    """Rows of ``data/injection`` that are held back, of users and from outside."""
    return _rows(sorted((DATA / "injection").glob("*.jsonl")), split=True)


def blind() -> list[Row]:
    """Rows of all blind sets."""
    return _rows([path for name in SETS for path in sorted((BLIND / name).glob("*.jsonl"))], split=False)


def _rows(paths: Sequence[Path], *, split: bool) -> list[Row]:
    examples = read_all(paths)
    if split:
        examples = split_pairs(examples).held_back
    known = {origin.value: origin for origin in STAGES}
    return [Row(e.text, e.label == 1, known[e.origin], e.lang) for e in examples if e.origin in known]


def drawn(rows: Sequence[T], most: int, seed: int = 1) -> list[T]:
    """At most so many of the rows, the same each time."""
    return random.Random(seed).sample(rows, min(most, len(rows)))


class Judge:
    """The whole detector (views, rules, classifier) at its balanced point."""

    def __init__(self, engine: Engine | None = None) -> None:
        self._engine = engine or engine_of()
        point = self._engine.operating_point
        self._limits = {origin: point("prompt_injection", "balanced", origin=origin) for origin in STAGES}

    def probabilities(self, rows: Sequence[Row]) -> Floats:
        """One a row."""
        found = np.zeros(len(rows))
        for origin in STAGES:
            own = [index for index, row in enumerate(rows) if row.origin is origin]
            found[own] = probabilities(self._engine, [rows[index].text for index in own], origin)
        return found

    def flags(self, rows: Sequence[Row]) -> Flags:
        """Whether each row reaches the balanced point of its origin."""
        return self.probabilities(rows) >= np.asarray([self._limits[row.origin] for row in rows])

    def kept(self, rows: Sequence[Row], *, flagged: bool) -> list[Row]:
        """The rows that are flagged, or those that are not."""
        return [row for row, flag in zip(rows, self.flags(rows), strict=True) if flag == flagged]
