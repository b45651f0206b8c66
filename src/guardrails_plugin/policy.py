"""What a recipe wants done about a finding. Pure: findings in, decisions and verdict out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from guardrails_plugin.allow_list import NOTHING, AllowList
from guardrails_plugin.types import Decision, Failure, Finding, Origin, Verdict

__all__ = ["DISABLED", "Ruling", "decide", "verdict"]

DISABLED = "disabled"
"""Pseudo-action: a finding of this type is nobody's business."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """One rule of a recipe, resolved: nothing in it needs looking up by name any more.

    Attributes:
        default: action for types without one of their own.
        by_type: action by entity type.
        thresholds: least score by origin.
        verdicts: verdict of every action used.
    """

    default: str
    by_type: Mapping[str, str]
    thresholds: Mapping[Origin, float]
    verdicts: Mapping[str, Verdict]
    trusted: frozenset[Origin] = field(default=frozenset())
    """Origins whose texts this rule does not judge."""
    allow: AllowList = field(default=NOTHING, repr=False)
    """Values that are nobody's business."""


def decide(findings: Iterable[Finding], ruling: Ruling, origins: Mapping[int, Origin]) -> list[Decision]:
    """One decision per finding at or above its threshold.

    Args:
        findings: of one detector.
        ruling: that detector's rule.
        origins: origin of every segment.
    """
    decisions: list[Decision] = []
    for finding in findings:
        origin = origins[finding.segment]
        action = ruling.by_type.get(finding.entity_type, ruling.default)
        if action == DISABLED or origin in ruling.trusted or finding.score < ruling.thresholds[origin]:
            continue
        decisions.append(Decision(finding, action, ruling.verdicts[action]))
    return decisions


def verdict(decisions: Iterable[Decision], failures: Iterable[Failure] = ()) -> Verdict:
    """The worst of all; a failure counts as a block when its rule fails closed, else as a report."""
    worst = max((decision.verdict for decision in decisions), default=Verdict.ALLOW)
    failed = max((Verdict.BLOCK if failure.blocks else Verdict.REPORT for failure in failures), default=Verdict.ALLOW)
    return max(worst, failed)
