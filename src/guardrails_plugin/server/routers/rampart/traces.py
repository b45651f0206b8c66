"""Rampart: traces and their spans, as the audit log has them.

A trace is the records with its id: those of `POST /traces` and `POST /spans`, and those of calls of the filter, the
analysis and the chat whose client named it (``trace_id``). So a trace cannot be changed afterwards, nor hold contents:
``input_data``, ``output_data`` and ``error_message`` are accepted, and not kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, JsonValue

from guardrails_plugin.server.auth import GUARD
from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.identity import iso, made_at
from guardrails_plugin.server.problems import invalid, not_found
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX, Body, TraceId, milliseconds, whose
from guardrails_plugin.server.services import Running, Services

__all__ = ["router"]

_TRACE, _SPAN, _CHANGE = "trace_created", "span_created", "span_updated"
_MOST = 5_000
"""Records of the traces of one answer, the newest."""

_SEARCHED = 500
"""Traces that are looked through for a user's or a session's."""

_METADATA = 4_000
"""Characters of metadata."""

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)

_Name = Annotated[str, Field(min_length=1, max_length=256)]
_Id = Annotated[str, Field(max_length=128)]
_Metadata = dict[Annotated[str, Field(max_length=128)], JsonValue]
_Data = dict[str, JsonValue] | None
_SpanType = Annotated[str, Field(max_length=64, description="llm, retrieval, tool, agent, ...")]


class NewTrace(Body):
    """A trace; its fields are log fields, no place for contents."""

    name: _Name
    session_id: _Id | None = None
    user_id: _Id | None = None
    metadata: _Metadata | None = None


class NewSpan(Body):
    """A step within a trace."""

    trace_id: Annotated[TraceId, Field(min_length=1)]
    parent_span_id: _Id | None = None
    name: _Name
    span_type: _SpanType
    input_data: _Data = Field(default=None, repr=False)
    metadata: _Metadata | None = None


class SpanChange(Body):
    """What came of a step."""

    output_data: _Data = Field(default=None, repr=False)
    tokens_used: Annotated[int, Field(ge=0, le=10**12)] | None = None
    cost: Annotated[float, Field(ge=0, le=1e12)] | None = None
    latency_ms: Annotated[float, Field(ge=0, le=1e12)] | None = None
    status: Annotated[str, Field(max_length=32, description="success, error, blocked, ...")] = "completed"
    error_message: str | None = Field(default=None, repr=False)
    metadata: _Metadata | None = None


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


@router.post("/traces", status_code=201)
def create_trace(body: NewTrace, exchange: Current) -> Trace:
    """Begin a trace."""
    exchange.user.require(GUARD)
    exchange.event, exchange.trace = _TRACE, exchange.id
    exchange.metadata |= _noted(body)
    return _trace(exchange.id, [_record_of(exchange)])


@router.get("/traces")
def list_traces(
    exchange: Current,
    services: Running,
    *,
    user_id: _Id | None = None,
    session_id: _Id | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> list[Trace]:
    """The newest: of the project for those who manage it, of one's own for others.

    A user's or a session's are looked for among the newest 500.
    """
    wanted = {"user_id": user_id, "session_id": session_id}
    if not any(wanted.values()):
        return _traces(exchange, services, limit, offset)
    found = _traces(exchange, services, _SEARCHED, 0)
    own = [one for one in found if all(value in (None, getattr(one, name)) for name, value in wanted.items())]
    return own[offset : offset + limit]


@router.get("/traces/{trace_id}")
def get_trace(trace_id: str, exchange: Current, services: Running) -> Trace:
    """One trace."""
    return _trace(trace_id, _records(exchange, services, [trace_id]))


@router.get("/traces/{trace_id}/spans")
def get_trace_spans(trace_id: str, exchange: Current, services: Running) -> list[Span]:
    """Its steps, in the order in which they were recorded."""
    return _spans(_records(exchange, services, [trace_id]))


@router.post("/spans", status_code=201)
def create_span(body: NewSpan, exchange: Current, services: Running) -> Span:
    """Add a step to a trace."""
    exchange.user.require(GUARD)
    _records(exchange, services, [body.trace_id])
    exchange.event, exchange.trace = _SPAN, body.trace_id
    exchange.metadata |= _noted(body)
    return _spans([_record_of(exchange)])[0]


@router.get("/spans/{span_id}")
def get_span(span_id: str, exchange: Current, services: Running) -> Span:
    """One step."""
    return _find(exchange, services, span_id)


@router.patch("/spans/{span_id}")
def update_span(span_id: str, body: SpanChange, exchange: Current, services: Running) -> Span:
    """Say what came of a client's own step."""
    exchange.user.require(GUARD)
    before = _find(exchange, services, span_id)
    exchange.event, exchange.trace = _CHANGE, before.trace_id
    exchange.metadata |= {**_noted(body), "span_id": span_id}
    return _changed(before, _record_of(exchange))


def _noted(body: Body) -> dict[str, Any]:
    """What is kept of a body: no contents."""
    metadata = getattr(body, "metadata", None)
    if metadata and len(str(metadata)) > _METADATA:
        raise invalid(f"metadata: {len(str(metadata))} characters, expected at most {_METADATA}.")
    contents = {"trace_id", "input_data", "output_data", "error_message"}
    return body.model_dump(mode="json", exclude_none=True, exclude=contents)


def _record_of(exchange: Exchange) -> Mapping[str, Any]:
    """The record that this request will leave, as far as spans are made of it."""
    return {
        "id": exchange.id,
        "event": exchange.event,
        "trace": exchange.trace,
        "user_id": exchange.user.user_id,
        "subject": exchange.user.subject,
        "metadata": exchange.metadata,
    }


def _records(exchange: Exchange, services: Services, traces: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """The records of these traces, in order.

    Raises:
        ApiError: 404, there are none.
    """
    with services.database.read() as connection:
        found = services.audit.traced(connection, exchange.project_id, traces, subject=whose(exchange), limit=_MOST)
    if not found:
        raise not_found("Trace")
    return found


def _traces(exchange: Exchange, services: Services, limit: int, offset: int) -> list[Trace]:
    with services.database.read() as connection:
        ids = services.audit.traces(
            connection, exchange.project_id, subject=whose(exchange), limit=limit, offset=offset
        )
    if not ids:
        return []
    by_trace: dict[str, list[Mapping[str, Any]]] = {}
    for record in _records(exchange, services, ids):
        by_trace.setdefault(record["trace"], []).append(record)
    return [_trace(one, by_trace[one]) for one in ids if one in by_trace]


def _find(exchange: Exchange, services: Services, span_id: str) -> Span:
    """A step with its later changes.

    Raises:
        ApiError: 404, it is none of the caller's.
    """
    with services.database.read() as connection:
        record = services.audit.find(connection, exchange.project_id, span_id, subject=whose(exchange))
    if record is None or not record.get("trace") or record["event"] in (_TRACE, _CHANGE):
        raise not_found("Span")
    own: list[Mapping[str, Any]] = [record]
    if record["event"] == _SPAN:
        later = _records(exchange, services, [record["trace"]])
        own += [one for one in later if one["event"] == _CHANGE and one["metadata"]["span_id"] == span_id]
    return _spans(own)[0]


def _trace(trace_id: str, records: Sequence[Mapping[str, Any]]) -> Trace:
    spans = _spans(records)
    begun = next((record for record in records if record["event"] == _TRACE), None)
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


def _spans(records: Sequence[Mapping[str, Any]]) -> list[Span]:
    spans: dict[str, Span] = {}
    for record in records:
        if record["event"] == _CHANGE:
            before = spans.get(record["metadata"]["span_id"])
            if before is not None:
                spans[before.id] = _changed(before, record)
        elif record["event"] != _TRACE:
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
    if record["event"] == _SPAN:
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


def _changed(before: Span, record: Mapping[str, Any]) -> Span:
    told = record["metadata"]
    changes = {name: told[name] for name in ("tokens_used", "cost", "latency_ms", "status") if name in told}
    metadata = {**(before.metadata or {}), **told["metadata"]} if told.get("metadata") else before.metadata
    return before.model_copy(update={**changes, "metadata": metadata, "updated_at": _moment(record)})


def _moment(record: Mapping[str, Any]) -> str:
    """When the request began; its id says so, in its answer as in its record."""
    return iso(made_at(record["id"]))
