"""Rampart: what spans and traces are made of: audit records of one trace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from guardrails_plugin.server.identity import iso, made_at
from guardrails_plugin.server.routers.rampart.wire import PREFIX, milliseconds

__all__ = ["CHANGE", "SPAN", "TRACE", "Span", "Trace", "changed", "spans_of", "trace_of"]

TRACE, SPAN, CHANGE = "trace_created", "span_created", "span_updated"
"""Events of the records that clients make; those of other events are requests that named the trace."""


class Span(BaseModel):
    """A step: a client's own, or a request that named the trace (``guardrail``, ``llm``)."""

    id: str
    trace_id: str
    parent_span_id: str | None = None
    name: str
    span_type: str
    input_data: None = None
    output_data: None = None
    tokens_used: int | None = None
    cost: float | None = None
    latency_ms: float | None = None
    status: str
    error_message: None = None
    created_at: str
    updated_at: str
    metadata: dict[str, Any] | None = None


class Trace(BaseModel):
    """Requests and steps that belong together.

    Attributes:
        status: ``error`` or ``blocked`` when a step's is, else ``success``; ``active`` while there is none.
    """

    id: str
    session_id: str | None
    user_id: str | None
    name: str
    created_at: str
    updated_at: str
    status: str
    total_tokens: int
    total_cost: float
    total_latency_ms: float
    metadata: dict[str, Any] | None


def trace_of(trace_id: str, records: Sequence[Mapping[str, Any]]) -> Trace:
    """The trace that these records are, in the order in which they were made; one at least."""
    spans = spans_of(records)
    begun = next((record for record in records if record["event"] == TRACE), None)
    told: Mapping[str, Any] = begun["metadata"] if begun else {}
    statuses = {span.status for span in spans}
    worst: Iterable[str] = (status for status in ("error", "blocked") if status in statuses)
    return Trace(
        id=trace_id,
        session_id=told.get("session_id"),
        user_id=told.get("user_id") or records[0]["user_id"] or records[0]["subject"],
        name=told.get("name") or trace_id,
        created_at=_moment(records[0]),
        updated_at=_moment(records[-1]),
        status=next(iter(worst), "success" if spans else "active"),
        total_tokens=sum(span.tokens_used or 0 for span in spans),
        total_cost=round(sum(span.cost or 0.0 for span in spans), 6),
        total_latency_ms=round(sum(span.latency_ms or 0.0 for span in spans), 3),
        metadata=told.get("metadata"),
    )


def spans_of(records: Sequence[Mapping[str, Any]]) -> list[Span]:
    """Their spans, each with its later changes."""
    spans: dict[str, Span] = {}
    for record in records:
        if record["event"] == CHANGE:
            before = spans.get(record["metadata"]["span_id"])
            if before is not None:
                spans[before.id] = changed(before, record)
        elif record["event"] != TRACE:
            spans[record["id"]] = _span(record)
    return list(spans.values())


def _span(record: Mapping[str, Any]) -> Span:
    moment, told = _moment(record), record["metadata"]
    shared: dict[str, Any] = {
        "id": record["id"],
        "trace_id": record["trace"],
        "created_at": moment,
        "updated_at": moment,
    }
    if record["event"] == SPAN:
        return Span(
            **shared,
            parent_span_id=told.get("parent_span_id"),
            name=told["name"],
            span_type=told["span_type"],
            status="active",
            metadata=told.get("metadata"),
        )
    return Span(
        **shared,
        name=record["route"].removeprefix(PREFIX),
        span_type="llm" if "/llm/" in record["route"] else "guardrail",
        tokens_used=told.get("tokens"),
        cost=told.get("cost"),
        latency_ms=milliseconds(record["seconds"]),
        status=_status(record),
        metadata={"verdict": record["verdict"], "findings": record["findings"]},
    )


def _status(record: Mapping[str, Any]) -> Literal["error", "blocked", "success"]:
    if record["status"] >= 400:
        return "error"
    return "blocked" if record["verdict"] == "block" else "success"


def changed(before: Span, record: Mapping[str, Any]) -> Span:
    """A span with what a later record says of it."""
    told = record["metadata"]
    changes = {name: told[name] for name in ("tokens_used", "cost", "latency_ms", "status") if name in told}
    metadata = {**(before.metadata or {}), **told["metadata"]} if told.get("metadata") else before.metadata
    return before.model_copy(update={**changes, "metadata": metadata, "updated_at": _moment(record)})


def _moment(record: Mapping[str, Any]) -> str:
    """When the request began; its id says so, in its answer as in its record."""
    return iso(made_at(record["id"]))
