"""Measuring scanners by examples: what each way of scoring says, and that the fitted curve rises."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from guardrails_plugin.detectors.similarity import Matrix, likeness
from guardrails_plugin.training.similarity import WAYS, Judged, Rows, Score, Trial, fitted, report, trials

SCANNERS = Path(__file__).parents[3] / "data" / "similarity" / "scanners.jsonl"


def cloud(seed: int, direction: int | None, count: int) -> Matrix:
    rows = np.random.default_rng(seed).normal(size=(count, 32)).astype(np.float32)
    if direction is not None:
        rows[:, direction] += 4
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def names(kind: str, count: int) -> list[str]:
    return [f"{kind} {number}" for number in range(count)]


TRIAL = Trial("fit", names("example", 6), names("counter", 3), names("positive", 10), names("near", 10))
ORDINARY = names("ordinary", 50)
KNOWN = dict(
    zip(
        [*TRIAL.texts, *ORDINARY],
        np.concatenate([cloud(1, 0, 6), cloud(2, 1, 3), cloud(3, 0, 10), cloud(4, 1, 10), cloud(5, None, 50)]),
        strict=True,
    )
)


class Table:
    """An embedder that knows the texts above."""

    similar_at = 0.5

    def embed(self, texts: Sequence[str], /) -> Matrix:
        return np.stack([KNOWN[text] for text in texts])


ROWS = Rows([*TRIAL.texts, *ORDINARY], Table())


@pytest.mark.parametrize("score", WAYS.values(), ids=WAYS)
def test_every_way_tells_what_is_apart(score: Score) -> None:
    judged = ROWS.judged(TRIAL, ORDINARY, score)
    assert (len(judged.positives), len(judged.near_misses), len(judged.ordinary)) == (10, 10, 50)
    assert judged.positives.mean() > max(judged.near_misses.mean(), judged.ordinary.mean())


def test_the_report_is_right_about_perfect_scores() -> None:
    perfect = Judged(np.full(10, 3.0), np.full(10, 0.0), np.full(200, 1.0))
    assert report([perfect], 2.0) == "AUC 1.000 1.000; at .01: 1.00 and 0.00, at p .5: 1.00, 0.00 and 0.0000"


def test_the_curve_rises() -> None:
    assert fitted([ROWS.judged(TRIAL, ORDINARY, likeness)]).a > 0


def test_the_scanners_are_complete_and_no_text_stands_in_both_halves() -> None:
    known = trials(SCANNERS)
    assert all(len(trial.texts) == len(set(trial.texts)) == 29 for trial in known)
    halves = [{text for trial in known if trial.half == half for text in trial.texts} for half in ("fit", "held")]
    assert all(halves)
    assert not halves[0] & halves[1]
