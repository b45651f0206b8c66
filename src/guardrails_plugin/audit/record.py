"""What is written down about a check: ids, types, places and decisions, never text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from guardrails_plugin.types import Context, GuardResult

__all__ = ["METADATA", "audit_record"]

METADATA = frozenset({"user_id", "session_id", "thread_id", "run_id", "app", "model", "source", "request_id", "tags"})
"""Metadata that is written down; other keys might hold content."""


def audit_record(result: GuardResult, context: Context, fingerprint: str) -> Mapping[str, Any]:
    """A JSON-serialisable record of one result.

    Returns:
        ``id, time (UTC, ISO 8601), stage, recipe, policy (fingerprint), verdict, shadow (what an enforced recipe
        would have said; in shadow mode only), seconds, tenant, metadata,
        findings [{detector, type, score, segment, start, end, action}], failures``.
    """
    return {
        "id": result.id,
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "stage": result.stage.value,
        "recipe": result.recipe,
        "policy": fingerprint,
        "verdict": result.verdict.name.lower(),
        **({} if result.shadow is None else {"shadow": result.shadow.name.lower()}),
        "seconds": round(result.seconds, 6),
        "tenant": context.tenant,
        "metadata": {key: str(value)[:128] for key, value in context.metadata.items() if key in METADATA},
        "findings": [
            {
                "detector": decision.finding.detector,
                "type": decision.finding.entity_type,
                "score": round(decision.finding.score, 4),
                "segment": decision.finding.segment,
                "start": decision.finding.start,
                "end": decision.finding.end,
                "action": decision.action,
            }
            for decision in result.decisions
        ],
        "failures": [{"detector": failure.detector, "failure": failure.failure} for failure in result.failures],
    }
