"""A result as plain data: dictionaries for JSON, rows for a table, sentences for a reader."""

from __future__ import annotations

from typing import Any

from guardrails_plugin import conversation
from guardrails_plugin.types import DEFAULT_ORIGINS, Detection, Finding, GuardResult

__all__ = ["path_of", "result_dict", "result_rows", "summary"]

_DONE = {
    "report": "reported",
    "block": "blocked",
    "redact": "redacted",
    "replace": "replaced",
    "mask": "masked",
    "partial_mask": "partially masked",
    "hash": "hashed",
    "encrypt": "encrypted",
    "defang": "defanged",
}


def path_of(result: GuardResult, finding: Finding) -> str | None:
    """Where in what was checked the string of a finding stands; None when that is not at hand."""
    return _pointers(result).get(finding.segment)


def result_dict(result: GuardResult, *, values: bool = False) -> dict[str, Any]:
    """What `GuardResult.to_dict` gives."""
    return {
        "id": result.id,
        "stage": result.stage.value,
        "recipe": result.recipe,
        "verdict": result.verdict.name.lower(),
        "blocked": result.blocked,
        "output": result.output,
        "summary": result.summary,
        "reasons": list(result.reasons),
        "findings": _findings(result, values=values),
        "seconds": round(result.seconds, 6),
    }


def result_rows(result: GuardResult, *, values: bool = False) -> list[dict[str, Any]]:
    """What `GuardResult.rows` gives."""
    head = {"id": result.id, "stage": result.stage.value, "verdict": result.verdict.name.lower()}
    return [{**head, **finding} for finding in _findings(result, values=values)]


def _findings(result: GuardResult, *, values: bool) -> list[dict[str, Any]]:
    paths = _pointers(result)
    texts = _texts(result) if values else None
    return [
        {
            "detector": decision.finding.detector,
            "type": decision.finding.entity_type,
            "score": round(decision.finding.score, 4),
            "path": paths.get(decision.finding.segment),
            "segment": decision.finding.segment,
            "start": decision.finding.start,
            "end": decision.finding.end,
            "action": decision.action,
            **({} if texts is None else {"value": _value(texts, decision.finding)}),
        }
        for decision in result.decisions
    ]


def _pointers(result: GuardResult) -> dict[int, str]:
    if result.original is None or not result.decisions:
        return {}
    return dict(enumerate(conversation.pointers(result.original, DEFAULT_ORIGINS[result.stage])))


def _texts(result: GuardResult) -> list[str]:
    if result.original is None:
        return []
    found = conversation.segments(result.original, DEFAULT_ORIGINS[result.stage])
    return [segment.text for segment in found]


def _value(texts: list[str], finding: Finding) -> str | None:
    return texts[finding.segment][finding.start : finding.end] if texts else None


def summary(result: GuardResult) -> str:
    """What `GuardResult.summary` says."""
    said = " ".join(_sentence(detection) for detection in result.detections)
    return said if result.shadow is None else f"Shadow mode, nothing was changed. {said}"


def _sentence(detection: Detection) -> str:
    name = detection.detector.replace("_", " ").capitalize()
    if detection.failure is not None:
        return f"{name} failed ({detection.failure})."
    if not detection.executed:
        return f"{name} was not executed."
    if not detection.detected:
        return f"{name} was not detected."
    done = (_DONE.get(action, f"handled by {action}") for action in detection.actions)
    return f"{name} was detected and {', '.join(done)}."
