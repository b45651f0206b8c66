"""The embedded injection model against stackone-defender on the same texts: quality, and CPU time.

The texts are the seven sets of ``data/blind``, each of another hand. Neither contestant was trained on them. All were
written for this project, so the figures say how the two compare on them, not how either does elsewhere. The peer judges
tool results; what a user types is given to it as one too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np
import pytest

from guardrails_plugin import Engine
from guardrails_plugin.evaluation.metrics import auc, threshold_at
from guardrails_plugin.training.data import Example, read_all

BLIND = Path(__file__).parents[2] / "data" / "blind"
RATES = (0.01, 0.03, 0.09)
"""Shares of the innocent texts of a set that may be flagged."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one contestant said: scores, what it flags by default, CPU seconds."""

    scores: np.ndarray
    flagged: np.ndarray
    seconds: float

    def recalls(self, labels: np.ndarray) -> list[float]:
        """The share of attacks that is found at each of `RATES`."""
        limits = (threshold_at(self.scores[~labels], rate) for rate in RATES)
        return [float((self.scores[labels] >= limit).mean()) for limit in limits]


def bench_injection(say: Callable[[str], None]) -> None:
    """On every set a larger area under the curve, more found at each of `RATES`, and less CPU time than the peer."""
    defender = pytest.importorskip("stackone_defender", reason="stackone-defender needs Python 3.11")
    for folder in sorted(BLIND.glob("injection*")):
        rows = read_all(sorted(folder.glob("*.jsonl")))
        own, other = _own(rows), _peer(rows, defender)
        labels = np.asarray([bool(row.label) for row in rows])
        say(f"{folder.name}: {int(labels.sum())} attacks, {int((~labels).sum())} benign texts")
        for who, result in (("guardrails_plugin", own), ("stackone-defender", other)):
            say(f"  {who:<18} {_line(result, labels)}  {1000 * result.seconds / len(rows):.0f} ms of CPU a text")
        for line in _by_block(rows, own, other):
            say(line)
        assert auc(own.scores, labels) > auc(other.scores, labels)
        for rate, mine, theirs in zip(RATES, own.recalls(labels), other.recalls(labels), strict=True):
            assert mine > theirs, f"{folder.name}: where {rate} are flagged"
        assert own.seconds < other.seconds


def _own(rows: Sequence[Example]) -> Result:
    engine = Engine()
    engine.score("prompt_injection", ["Loads the model."], origin="user")
    began = process_time()
    scores = [engine.score("prompt_injection", [row.text], origin=row.origin)[0] for row in rows]
    seconds = process_time() - began
    limits = [engine.operating_point("prompt_injection", "balanced", origin=row.origin) for row in rows]
    return Result(np.asarray(scores), np.asarray(scores) >= np.asarray(limits), seconds)


def _peer(rows: Sequence[Example], defender: object) -> Result:
    defense = defender.create_prompt_defense(enable_tier2=True, block_high_risk=True)  # type: ignore[attr-defined]
    defense.warmup_tier2()
    began = process_time()
    results = [defense.defend_tool_result(row.text, "read_page") for row in rows]
    seconds = process_time() - began
    scores = [result.tier2_score or 0.0 for result in results]
    return Result(np.asarray(scores), np.asarray([not result.allowed for result in results]), seconds)


def _line(result: Result, labels: np.ndarray) -> str:
    recall, wrong = result.flagged[labels].mean(), result.flagged[~labels].mean()
    at = ", ".join(f"{recall:.2f}" for recall in result.recalls(labels))
    area = auc(result.scores, labels)
    rates = "/".join(f"{rate:.0%}" for rate in RATES)
    return f"AUC {area:.3f}; default: recall {recall:.2f} at {wrong:.3f} false; recall at {rates} false: {at};"


def _by_block(rows: Sequence[Example], own: Result, other: Result) -> list[str]:
    """Share flagged by default in each block of a blind set: good is high for attacks, low for the rest."""
    members: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        members[row.source].append(number)
    lines = []
    for block, numbers in sorted(members.items()):
        shares = f"{own.flagged[numbers].mean():.2f} of ours, {other.flagged[numbers].mean():.2f} of theirs"
        lines.append(
            f"    {block.removeprefix('blind/').removeprefix('second/'):<22} {len(numbers):>3} texts, flagged: {shares}"
        )
    return lines
