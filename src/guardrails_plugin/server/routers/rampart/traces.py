"""Rampart: traces and their spans, as the audit log has them.

A trace is the records with its id: those of `POST /traces` and `POST /spans`, and those of calls of the filter, the
analysis and the chat whose client named it (``trace_id``). So a trace cannot be changed afterwards, nor hold contents:
``input_data``, ``output_data`` and ``error_message`` are accepted, and not kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field, JsonValue

from guardrails_plugin.server.auth import GUARD
from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.problems import invalid, not_found
from guardrails_plugin.server.routers.rampart.spans import CHANGE, SPAN, TRACE, Span, Trace, changed, spans_of, trace_of
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX, Body, TraceId, whose
from guardrails_plugin.server.services import Running, Services

__all__ = ["router"]

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


@router.post("/traces", status_code=201)
def create_trace(body: NewTrace, exchange: Current) -> Trace:
    """Begin a trace."""
    exchange.user.require(GUARD)
    exchange.event, exchange.trace = TRACE, exchange.id
    exchange.metadata |= _noted(body)
    return trace_of(exchange.id, [_record_of(exchange)])


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
    return trace_of(trace_id, _records(exchange, services, [trace_id]))


@router.get("/traces/{trace_id}/spans")
def get_trace_spans(trace_id: str, exchange: Current, services: Running) -> list[Span]:
    """Its steps, in the order in which they were recorded."""
    return spans_of(_records(exchange, services, [trace_id]))


@router.post("/spans", status_code=201)
def create_span(body: NewSpan, exchange: Current, services: Running) -> Span:
    """Add a step to a trace."""
    exchange.user.require(GUARD)
    _records(exchange, services, [body.trace_id])
    exchange.event, exchange.trace = SPAN, body.trace_id
    exchange.metadata |= _noted(body)
    return spans_of([_record_of(exchange)])[0]


@router.get("/spans/{span_id}")
def get_span(span_id: str, exchange: Current, services: Running) -> Span:
    """One step."""
    return _find(exchange, services, span_id)


@router.patch("/spans/{span_id}")
def update_span(span_id: str, body: SpanChange, exchange: Current, services: Running) -> Span:
    """Say what came of a client's own step."""
    exchange.user.require(GUARD)
    before = _find(exchange, services, span_id)
    exchange.event, exchange.trace = CHANGE, before.trace_id
    exchange.metadata |= {**_noted(body), "span_id": span_id}
    return changed(before, _record_of(exchange))


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
    return [trace_of(one, by_trace[one]) for one in ids if one in by_trace]


def _find(exchange: Exchange, services: Services, span_id: str) -> Span:
    """A step with its later changes.

    Raises:
        ApiError: 404, it is none of the caller's.
    """
    with services.database.read() as connection:
        record = services.audit.find(connection, exchange.project_id, span_id, subject=whose(exchange))
    if record is None or not record.get("trace") or record["event"] in (TRACE, CHANGE):
        raise not_found("Span")
    own: list[Mapping[str, Any]] = [record]
    if record["event"] == SPAN:
        later = _records(exchange, services, [record["trace"]])
        own += [one for one in later if one["event"] == CHANGE and one["metadata"]["span_id"] == span_id]
    return spans_of(own)[0]
