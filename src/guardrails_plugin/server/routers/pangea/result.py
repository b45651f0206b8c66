"""What the engine decided, as Pangea's detectors and summary."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from guardrails_plugin import conversation
from guardrails_plugin.recipes import Recipe
from guardrails_plugin.server.guarding import KEEP_LAST
from guardrails_plugin.server.routers.pangea.recipes import WIRE_NAMES
from guardrails_plugin.types import Decision, Detection, Finding, GuardResult, Origin, Verdict

__all__ = ["AGENT_NAMES", "Wire", "compact", "detectors", "done", "intelligence", "summary"]

AGENT_NAMES = {
    "code_detection": "code",
    "language_detection": "language",
    "pii_entity": "confidential_and_pii_entity",
    "secrets_detection": "secret_and_key_entity",
    "prompt_injection": "malicious_prompt",
    "hardening": "prompt_hardening",
}
"""What ``/v1/guard`` calls the detectors of ``/v1/text/guard``."""

_TITLES = {
    "pii_entity": "Confidential and PII",
    "secrets_detection": "Secret and Key Entity",
    "profanity_and_toxicity": "Profanity and Toxicity",
    "selfharm": "Self Harm",
}

_DONE = {
    "report": "reported",
    "block": "blocked",
    "redact": "redacted",
    "partial_mask": "redacted",
    KEEP_LAST: "redacted",
    "replace": "redacted:replaced",
    "mask": "redacted:masked",
    "hash": "redacted:hashed",
    "encrypt": "redacted:encrypted",
    "defang": "defanged",
}

_KINDS = {"MALICIOUS_DOMAIN": "DOMAIN", "MALICIOUS_IP": "IP_ADDRESS"}
_ENTITIES = frozenset({"pii_entity", "secrets_detection", "custom_entity", "competitors"})


def done(action: str) -> str:
    """An action as the past participle that the wire has."""
    return _DONE.get(action, "redacted")


class Wire:
    """A result with what its findings point at.

    Args:
        result: of a check.
        recipe: which was run.
        names: other names for detectors.
    """

    def __init__(self, result: GuardResult, recipe: Recipe, names: Mapping[str, str] | None = None) -> None:
        self.result = result
        self._detectors = {rule.name: rule.detector for rule in recipe.rules}
        self._names = names or {}
        self._texts = [segment.text for segment in conversation.segments(result.original, Origin.USER)]

    def plain(self, rule: str) -> str:
        """The name of a rule's detector in ``/v1/text/guard``."""
        detector = self._detectors.get(rule, rule)
        return WIRE_NAMES.get(detector, detector)

    def name(self, rule: str) -> str:
        """The name of a rule's detector in this answer."""
        plain = self.plain(rule)
        return self._names.get(plain, plain)

    def value(self, finding: Finding) -> str:
        """The found characters."""
        return self._texts[finding.segment][finding.start : finding.end]

    def redacted(self, decision: Decision) -> str | None:
        """What stands in their place."""
        finding = decision.finding
        covering = (
            made.text
            for made in self.result.replacements
            if made.decision.finding.segment == finding.segment
            and made.source.start <= finding.start
            and finding.end <= made.source.end
        )
        return next(covering, None) if decision.verdict is Verdict.TRANSFORM else None

    def decisions(self, plain: str) -> list[Decision]:
        """Of all rules whose detector has that name."""
        return [d for d in self.result.decisions if WIRE_NAMES.get(d.finding.detector, d.finding.detector) == plain]


def detectors(wire: Wire, *, debug: bool) -> dict[str, Any]:
    """The detectors that ran, in order; without data when they found nothing."""
    found: dict[str, Any] = {}
    for detection in wire.result.detections:
        if not detection.executed:
            continue
        plain, name = wire.plain(detection.detector), wire.name(detection.detector)
        detected = detection.detected or found.get(name, {}).get("detected", False)
        found[name] = {"detected": detected, "data": _data(wire, plain, debug=debug) if detected else None}
    return found


def summary(wire: Wire) -> str:
    """One sentence per detector, in order."""
    by_title: dict[str, list[Detection]] = {}
    for detection in wire.result.detections:
        plain = wire.plain(detection.detector)
        title = _TITLES.get(plain, plain.replace("_", " ").title())
        by_title.setdefault(title, []).append(detection)
    return " ".join(f"{title} {_outcome(detections)}." for title, detections in by_title.items())


def _outcome(detections: Sequence[Detection]) -> str:
    if failed := [detection.failure for detection in detections if detection.failure is not None]:
        return f"failed ({failed[0]})"
    if not any(detection.executed for detection in detections):
        return "was not executed"
    if not any(detection.detected for detection in detections):
        return "was not detected"
    actions = {done(action).partition(":")[0] for detection in detections for action in detection.actions}
    return f"was detected and {', '.join(sorted(actions))}"


def _data(wire: Wire, plain: str, *, debug: bool) -> dict[str, Any]:
    decisions = wire.decisions(plain)
    worst = max(decisions, key=lambda decision: (decision.verdict, decision.finding.score))
    action = {"action": done(worst.action)}
    if plain in _ENTITIES:
        return {"entities": [_entity(wire, decision) for decision in decisions]}
    if plain == "malicious_entity":
        return {"entities": [_indicator(wire, decision, debug=debug) for decision in decisions]}
    if plain == "prompt_injection":
        return {**action, "analyzer_responses": _analyzers(decisions)}
    if plain == "code_detection":
        return {**action, "language": _evidence(decisions, "language")}
    if plain == "language_detection":
        return {**action, "language": _evidence(decisions, "language")}
    scores = _scores(decisions)
    if plain == "topic":
        topics = [{"topic": name.removeprefix("topic_"), "confidence": score} for name, score in scores.items()]
        return {**action, "topics": topics}
    found = [{"category": name, "confidence": score} for name, score in scores.items()]
    return {**action, "classifications": found}


def _entity(wire: Wire, decision: Decision) -> dict[str, Any]:
    redacted = wire.redacted(decision)
    return {
        "type": decision.finding.entity_type,
        "value": wire.value(decision.finding),
        "action": done(decision.action),
        "start_pos": decision.finding.start,
        **({} if redacted is None else {"redacted_value": redacted}),
    }


def _indicator(wire: Wire, decision: Decision, *, debug: bool) -> dict[str, Any]:
    finding = decision.finding
    entity = {**_entity(wire, decision), "type": _KINDS.get(finding.entity_type, "URL")}
    return {**entity, "raw": intelligence([finding])} if debug else entity


def intelligence(findings: Iterable[Finding]) -> dict[str, Any]:
    """Categories, a score of 0 to 100, and a verdict about an indicator, from the worst that was found about it."""
    worst = max(findings, key=lambda finding: finding.score, default=None)
    if worst is None:
        return {"category": [], "score": 0, "verdict": "unknown"}
    reasons = [reason.strip() for reason in str(worst.evidence.get("reason", "")).split(",") if reason.strip()]
    suspicious = worst.entity_type == "SUSPICIOUS_URL" or worst.score < 0.5
    score = round(100 * worst.score)
    return {
        "category": reasons or [worst.entity_type.lower()],
        # Clients act at 80; what is only suspicious stays under it.
        "score": min(score, 79) if suspicious else score,
        "verdict": "suspicious" if suspicious else "malicious",
    }


def _analyzers(decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    best: dict[str, float] = {}
    for finding in (decision.finding for decision in decisions):
        name = str(finding.evidence.get("analyzer", finding.detector))
        best[name] = max(best.get(name, 0.0), round(finding.score, 2))
    return [{"analyzer": name, "confidence": confidence} for name, confidence in best.items()]


def _evidence(decisions: Sequence[Decision], key: str) -> str:
    found = (str(decision.finding.evidence[key]) for decision in decisions if key in decision.finding.evidence)
    return next(found, "unknown")


def _scores(decisions: Sequence[Decision]) -> dict[str, float]:
    scores: dict[str, float] = {}
    for finding in (decision.finding for decision in decisions):
        name = finding.entity_type.lower()
        scores[name] = max(scores.get(name, 0.0), round(finding.score, 2))
    return scores


def compact(value: object) -> str:
    """JSON in one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
