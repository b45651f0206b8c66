"""Rampart: statistics, from the sums that requests add to."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter
from pydantic import BaseModel

from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX, milliseconds, whose
from guardrails_plugin.server.services import Running, Services

__all__ = ["router"]

_DAY = 24
_SECURITY, _FILTER, _THREATS, _PII = (
    "rampart.security.",
    "rampart.filter.",
    "rampart.security.threats.",
    "rampart.filter.pii.",
)
_MODELS = "llm.models."

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)


class FilterDay(BaseModel):
    """The last 24 hours."""

    requests: int
    pii_detected: int


class FilterStats(BaseModel):
    """Use of the filter."""

    total_requests: int
    pii_detections: dict[str, int]
    toxicity_detections: int
    average_processing_time_ms: float
    last_24h: FilterDay


class SecurityDay(BaseModel):
    """The last 24 hours."""

    analyses: int
    threats: int
    blocked: int


class SecurityStats(BaseModel):
    """Use of the analysis."""

    total_analyses: int
    threats_detected: dict[str, int]
    blocked_requests: int
    average_risk_score: float
    last_24h: SecurityDay


class SecuritySummary(BaseModel):
    """Analyses, and chats with a blocked side."""

    total_requests: int
    blocked_requests: int
    block_rate: float
    top_threats: list[str]


class FilterSummary(BaseModel):
    """The filter; ``toxicity_blocked`` counts abuse found."""

    total_filtered: int
    pii_redacted: int
    toxicity_blocked: int


class LlmSummary(BaseModel):
    """Model calls; costs in US dollars by the operator's price list."""

    total_calls: int
    total_tokens: int
    total_cost: float
    top_models: list[str]


class Performance(BaseModel):
    """Average times."""

    avg_security_latency_ms: float
    avg_filter_latency_ms: float
    avg_llm_latency_ms: float


class Summary(BaseModel):
    """Everything at a glance."""

    security: SecuritySummary
    content_filter: FilterSummary
    llm_usage: LlmSummary
    performance: Performance


@router.get("/filter/stats")
def filter_stats(exchange: Current, services: Running) -> FilterStats:
    """Use of the filter, by those the caller may see."""
    sums, day = _sums(exchange, services, _FILTER), _sums(exchange, services, _FILTER, hours=_DAY)
    return FilterStats(
        total_requests=_whole(sums, f"{_FILTER}requests"),
        pii_detections=_by_name(sums, _PII),
        toxicity_detections=_whole(sums, f"{_FILTER}toxic"),
        average_processing_time_ms=_average(sums, f"{_FILTER}seconds", f"{_FILTER}requests"),
        last_24h=FilterDay(requests=_whole(day, f"{_FILTER}requests"), pii_detected=sum(_by_name(day, _PII).values())),
    )


@router.get("/stats")
def security_stats(exchange: Current, services: Running) -> SecurityStats:
    """Use of the analysis, by those the caller may see."""
    sums, day = _sums(exchange, services, _SECURITY), _sums(exchange, services, _SECURITY, hours=_DAY)
    analyses = sums.get(f"{_SECURITY}analyses", 0.0)
    return SecurityStats(
        total_analyses=int(analyses),
        threats_detected=_by_name(sums, _THREATS),
        blocked_requests=_whole(sums, f"{_SECURITY}blocked"),
        average_risk_score=round(sums.get(f"{_SECURITY}risk", 0.0) / analyses, 4) if analyses else 0.0,
        last_24h=SecurityDay(
            analyses=_whole(day, f"{_SECURITY}analyses"),
            threats=sum(_by_name(day, _THREATS).values()),
            blocked=_whole(day, f"{_SECURITY}blocked"),
        ),
    )


@router.get("/analytics/summary")
def analytics(exchange: Current, services: Running) -> Summary:
    """Analysis, filter, model calls and times."""
    sums = _sums(exchange, services, "rampart.")
    llm = _sums(exchange, services, "llm.")
    total = _whole(sums, f"{_SECURITY}analyses") + _whole(sums, "rampart.llm.requests")
    blocked = _whole(sums, f"{_SECURITY}blocked") + _whole(sums, "rampart.llm.blocked")
    return Summary(
        security=SecuritySummary(
            total_requests=total,
            blocked_requests=blocked,
            block_rate=round(blocked / total, 4) if total else 0.0,
            top_threats=_top(_by_name(sums, _THREATS)),
        ),
        content_filter=FilterSummary(
            total_filtered=_whole(sums, f"{_FILTER}requests"),
            pii_redacted=_whole(sums, f"{_FILTER}redacted"),
            toxicity_blocked=_whole(sums, f"{_FILTER}toxic"),
        ),
        llm_usage=LlmSummary(
            total_calls=_whole(llm, "llm.calls"),
            total_tokens=_whole(llm, "llm.tokens"),
            total_cost=round(llm.get("llm.cost", 0.0), 6),
            top_models=[name.partition("/")[2] for name in _top(_by_name(llm, _MODELS))],
        ),
        performance=Performance(
            avg_security_latency_ms=_average(sums, f"{_SECURITY}seconds", f"{_SECURITY}analyses"),
            avg_filter_latency_ms=_average(sums, f"{_FILTER}seconds", f"{_FILTER}requests"),
            avg_llm_latency_ms=_average(sums, "rampart.llm.seconds", "rampart.llm.requests"),
        ),
    )


def _sums(exchange: Exchange, services: Services, prefix: str, hours: int | None = None) -> dict[str, float]:
    return services.store.usage.totals(exchange.project_id, subject=whose(exchange), prefix=prefix, hours=hours)


def _by_name(sums: Mapping[str, float], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): int(amount) for name, amount in sums.items() if name.startswith(prefix)}


def _whole(sums: Mapping[str, float], name: str) -> int:
    return round(sums.get(name, 0.0))


def _average(sums: Mapping[str, float], seconds: str, times: str) -> float:
    return milliseconds(sums.get(seconds, 0.0) / sums[times]) if sums.get(times) else 0.0


def _top(counts: Mapping[str, int], most: int = 5) -> list[str]:
    return sorted(counts, key=lambda name: (-counts[name], name))[:most]
