"""Rampart: the audit log."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from guardrails_plugin.server.dates import Moment
from guardrails_plugin.server.exchange import Current
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX, milliseconds, whose
from guardrails_plugin.server.services import Running

__all__ = ["router"]

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)


class LogItem(BaseModel):
    """One request."""

    id: str
    timestamp: str
    user_id: str
    api_key_preview: str
    endpoint: str
    http_method: str
    ip_address: str
    status_code: int
    processing_time_ms: float
    event_type: str
    metadata: dict[str, Any]


class LogPage(BaseModel):
    """A part of the log, newest first."""

    total: int
    limit: int
    offset: int
    logs: list[LogItem]


@router.get("/audit-logs")
def audit_logs(
    exchange: Current,
    services: Running,
    *,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    event_type: Annotated[str | None, Query(max_length=64)] = None,
    start_date: Moment | None = None,
    end_date: Moment | None = None,
) -> LogPage:
    """Requests of the project for those who manage it, of oneself for others; times without zone are UTC."""
    with services.database.read() as connection:
        total, records = services.audit.search(
            connection,
            exchange.project_id,
            subject=whose(exchange),
            event=event_type,
            start=start_date,
            end=end_date,
            limit=limit,
            offset=offset,
        )
    return LogPage(total=total, limit=limit, offset=offset, logs=[_item(record) for record in records])


def _item(record: dict[str, Any]) -> LogItem:
    return LogItem(
        id=record["id"],
        timestamp=record["time"].replace("+00:00", "Z"),
        user_id=record["user_id"] or record["subject"],
        api_key_preview=record["credential"],
        endpoint=record["route"],
        http_method=record["method"],
        ip_address=record["address"],
        status_code=record["status"],
        processing_time_ms=milliseconds(record["seconds"]),
        event_type=record["event"],
        metadata={**record["metadata"], "verdict": record["verdict"], "findings": record["findings"]},
    )
