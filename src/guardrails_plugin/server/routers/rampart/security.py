"""Rampart: attacks in what goes in, data on its way out in what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from time import perf_counter
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.guarding import complete
from guardrails_plugin.server.identity import iso, new_id, now
from guardrails_plugin.server.routers.rampart.detection import RECIPE, SECRETS, rules, worst
from guardrails_plugin.server.routers.rampart.incidents import Severity, open_incident, severity
from guardrails_plugin.server.routers.rampart.settings import security_settings
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX, Body, TraceId, milliseconds
from guardrails_plugin.server.services import Running, Services
from guardrails_plugin.types import Finding, GuardResult, Stage

__all__ = ["ContextType", "Threat", "analyse", "risk", "router", "threats"]

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)

ContextType = Literal["input", "output", "system_prompt"]
_INJECTION = "prompt_injection"
_RULES: dict[str, tuple[str, ...]] = {
    "input": (_INJECTION,),
    "output": ("data_exfiltration", "malicious_url", SECRETS),
    "system_prompt": (_INJECTION,),
}
_LEAKS = frozenset({"DATA_EXFILTRATION_URL"})
"""Of ``malicious_url``: the links that carry data away. Bad addresses as such are no exfiltration."""

_DESCRIPTIONS = {
    _INJECTION: "The text tries to change the instructions of the model that reads it.",
    "jailbreak": "The text tries to talk the model out of its safety rules.",
    "data_exfiltration": "The text carries sensitive data out, or says how to.",
}
_QUOTED = 200
"""Characters of a phrase that an indicator repeats."""

_UNSAFE = 0.5
"""Risk from which a content is not safe: Rampart's own line."""


class Analyze(Body):
    """A content, and which side of the model it is on."""

    content: str
    context_type: ContextType = "input"
    trace_id: TraceId | None = None


class Batch(Body):
    """Contents to analyse together."""

    requests: Annotated[list[Analyze], Field(max_length=100)]


class Threat(BaseModel):
    """One kind of threat found in a content; ``indicators`` are phrases of it that the rules matched."""

    threat_type: Literal["prompt_injection", "jailbreak", "data_exfiltration"]
    severity: Severity
    confidence: float
    description: str
    indicators: list[str]
    recommended_action: Literal["block", "flag"]


class Analysis(BaseModel):
    """What is wrong with a content. ``content_hash``: the first 16 digits of its SHA-256."""

    id: str
    content_hash: str
    threats_detected: list[Threat]
    is_safe: bool
    risk_score: float
    analyzed_at: str
    processing_time_ms: float
    trace_id: str | None


class BatchItem(BaseModel):
    """One content of a batch."""

    id: str
    is_safe: bool
    risk_score: float
    threats_detected: list[str]


class BatchResult(BaseModel):
    """All of them, in order."""

    results: list[BatchItem]
    total_processed: int
    processing_time_ms: float


@router.post("/security/analyze")
async def analyze(body: Analyze, exchange: Current, services: Running) -> Analysis:
    """Look for the threats that belong to the content's side of the model."""
    block_from = (await security_settings(exchange, services)).block_threshold
    exchange.trace = body.trace_id or ""
    found = await analyse(exchange, services, body, block_from)
    await _keep(exchange, services, found)
    return found


@router.post("/security/batch")
async def analyze_batch(body: Batch, exchange: Current, services: Running) -> BatchResult:
    """Look at many contents."""
    began = perf_counter()
    block_from = (await security_settings(exchange, services)).block_threshold
    found = [await analyse(exchange, services, request, block_from) for request in body.requests]
    for one in found:
        await _keep(exchange, services, one)
    items = [
        BatchItem(
            id=one.id,
            is_safe=one.is_safe,
            risk_score=one.risk_score,
            threats_detected=[threat.threat_type for threat in one.threats_detected],
        )
        for one in found
    ]
    return BatchResult(
        results=items, total_processed=len(items), processing_time_ms=milliseconds(perf_counter() - began)
    )


async def analyse(exchange: Exchange, services: Services, body: Analyze, block_from: float) -> Analysis:
    """One analysis, counted in the statistics."""
    began = perf_counter()
    stage = Stage.RESPONSE if body.context_type == "output" else Stage.PROMPT
    chosen = rules(_RULES[body.context_type])
    result = complete(
        await services.guard.check(exchange, body.content, stage=stage, recipe=RECIPE, overrides=chosen, debug=True)
    )
    found = threats(body.content, result, block_from)
    score = risk(result, found)
    seconds = perf_counter() - began
    exchange.count("rampart.security.analyses")
    exchange.count("rampart.security.risk", score)
    exchange.count("rampart.security.seconds", seconds)
    exchange.count("rampart.security.blocked", int(any(threat.recommended_action == "block" for threat in found)))
    for threat in found:
        exchange.count(f"rampart.security.threats.{threat.threat_type}")
    return Analysis(
        id=new_id(),
        content_hash=sha256(body.content.encode()).hexdigest()[:16],
        threats_detected=found,
        is_safe=score < _UNSAFE,
        risk_score=score,
        analyzed_at=iso(now()),
        processing_time_ms=milliseconds(seconds),
        trace_id=body.trace_id,
    )


async def _keep(exchange: Exchange, services: Services, found: Analysis) -> None:
    """The worst threat of a content, where it is bad enough, is an incident."""
    if found.threats_detected:
        worst_one = found.threats_detected[0]
        await open_incident(exchange, services, worst_one.threat_type, worst_one.confidence, found.trace_id)


def threats(content: str, result: GuardResult, block_from: float) -> list[Threat]:
    """The threats among the findings, worst first."""
    by_type: dict[str, list[Finding]] = {}
    for finding in result.findings:
        for kind in _kinds(finding, result.raw or ()):
            by_type.setdefault(kind, []).append(finding)
    found = [_threat(kind, content, own, result.raw or (), block_from) for kind, own in by_type.items()]
    return sorted(found, key=lambda threat: -threat.confidence)


def risk(result: GuardResult, found: Sequence[Threat]) -> float:
    """The worst confidence, on Rampart's scale: from .5 up exactly when there is a threat."""
    if found:
        return round(max(_UNSAFE, *(threat.confidence for threat in found)), 4)
    return round(min(0.49, worst(finding for finding in result.raw or () if _kinds(finding, ()))), 4)


def _kinds(finding: Finding, raw: Sequence[Finding]) -> set[str]:
    """What a finding is in Rampart's words, by the rules that matched, or else by what the classifier says of it."""
    if finding.detector == _INJECTION:
        ruled = {str(one.evidence["category"]) for one in raw if _by_rule(one)}
        seen = ruled or {str(finding.evidence.get("category"))}
        kinds = {"jailbreak"} if "jailbreak" in seen else set()
        return kinds | ({_INJECTION} if not kinds or seen - {"jailbreak"} else set())
    if finding.detector == "malicious_url" and finding.entity_type not in _LEAKS:
        return set()
    return {"data_exfiltration"}


def _threat(kind: str, content: str, own: Sequence[Finding], raw: Sequence[Finding], block_from: float) -> Threat:
    confidence = round(worst(own), 4)
    if kind != "data_exfiltration":
        phrases = [
            one for one in raw if _by_rule(one) and (one.evidence["category"] == "jailbreak") == (kind == "jailbreak")
        ]
    else:
        # A credential is named by its type; it would be a poor guard that repeated it.
        phrases = [one for one in own if one.detector != SECRETS]
    named = [finding.entity_type.lower() for finding in own if finding.detector == SECRETS]
    quoted = [content[finding.start : finding.end][:_QUOTED] for finding in phrases]
    return Threat(
        threat_type=kind,  # type: ignore[arg-type]
        severity=severity(confidence),
        confidence=confidence,
        description=_DESCRIPTIONS[kind],
        indicators=list(dict.fromkeys(quoted + named)),
        recommended_action="block" if confidence >= block_from else "flag",
    )


def _by_rule(finding: Finding) -> bool:
    return finding.evidence.get("analyzer") == "rules"
