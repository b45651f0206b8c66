"""Rampart: attacks that were found, for people to look into. What the texts said is not kept."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from guardrails_plugin.server.auth import MANAGE
from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.identity import iso
from guardrails_plugin.server.problems import invalid, not_found
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX, Body, whose
from guardrails_plugin.server.services import Running, Services
from guardrails_plugin.server.store.objects import Object

__all__ = ["Severity", "open_incident", "router", "severity"]

_KIND = "rampart.incident"
_FROM = 0.7
"""Confidence from which an attack is an incident."""

_PAGE = 500
_MOST = 5_000
"""Incidents that a search goes through, the newest."""

Severity = Literal["low", "medium", "high", "critical"]
_SEVERITIES: tuple[tuple[float, Severity], ...] = ((0.9, "critical"), (0.75, "high"), (0.5, "medium"))
_Status = Literal["open", "investigating", "resolved", "false_positive"]

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)


class Incident(BaseModel):
    """An attack.

    Attributes:
        content_preview: always null: contents are not kept.
        user_id: whose credentials sent it.
        metadata: ``request_id``, the audit record's id, and ``confidence``.
    """

    id: str
    threat_type: str
    severity: Severity
    content_preview: None = None
    trace_id: str | None
    user_id: str
    detected_at: str
    status: _Status
    metadata: dict[str, Any]


class NewStatus(Body):
    """What an incident's status is to be."""

    status: _Status


class StatusChange(BaseModel):
    """What an incident's status is now."""

    message: str
    incident_id: str
    status: _Status


@router.get("/security/incidents")
def list_incidents(
    exchange: Current,
    services: Running,
    status: _Status | None = None,
    severity: Severity | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> list[Incident]:
    """The newest: of the project for those who manage it, of one's own for others."""
    found: list[Incident] = []
    cursor, seen = None, 0
    while len(found) < limit and seen < _MOST:
        page = services.store.objects.list(
            exchange.project_id, _KIND, owner_id=whose(exchange), cursor=cursor, limit=_PAGE, newest_first=True
        )
        every = [_item(one) for one in page.items]
        found += [one for one in every if status in (None, one.status) and severity in (None, one.severity)]
        cursor, seen = page.next, seen + len(page.items)
        if cursor is None:
            break
    return found[:limit]


@router.get("/security/incidents/{incident_id}")
def get_incident(incident_id: str, exchange: Current, services: Running) -> Incident:
    """One of them."""
    return _item(_find(exchange, services, incident_id))


@router.patch("/security/incidents/{incident_id}/status")
def change_status(
    incident_id: str,
    exchange: Current,
    services: Running,
    body: NewStatus | None = None,
    query: Annotated[_Status | None, Query(alias="status")] = None,
) -> StatusChange:
    """Say how far one is looked into: in the body or, as older clients do, in the query."""
    exchange.user.require(MANAGE)
    status = body.status if body else query
    if status is None:
        raise invalid("status: expected open, investigating, resolved or false_positive.")
    changed = {**_find(exchange, services, incident_id).body, "status": status}
    if services.store.objects.update(exchange.project_id, _KIND, incident_id, changed) is None:
        raise not_found("Incident")
    exchange.event = "incident_updated"
    exchange.metadata |= {"incident_id": incident_id, "status": status}
    return StatusChange(message="Status updated", incident_id=incident_id, status=status)


async def open_incident(
    exchange: Exchange, services: Services, threat_type: str, confidence: float, trace_id: str | None
) -> None:
    """Keep an attack that is as good as certain."""
    if confidence < _FROM:
        return
    body = {
        "threat_type": threat_type,
        "severity": severity(confidence),
        "confidence": confidence,
        "trace_id": trace_id,
        "request_id": exchange.id,
        "status": "open",
    }
    user = exchange.user
    made = await asyncio.to_thread(
        services.store.objects.create, user.project_id, _KIND, body, name=threat_type, owner_id=user.subject
    )
    exchange.metadata.setdefault("incidents", []).append(made.id)


def severity(confidence: float) -> Severity:
    """How bad it is that this much is certain."""
    for least, name in _SEVERITIES:
        if confidence >= least:
            return name
    return "low"


def _find(exchange: Exchange, services: Services, incident_id: str) -> Object:
    found = services.store.objects.get(exchange.project_id, _KIND, incident_id, owner_id=whose(exchange))
    if found is None:
        raise not_found("Incident")
    return found


def _item(found: Object) -> Incident:
    body = found.body
    return Incident(
        id=found.id,
        threat_type=body["threat_type"],
        severity=body["severity"],
        trace_id=body["trace_id"],
        user_id=found.owner_id,
        detected_at=iso(found.created_at),
        status=body["status"],
        metadata={"request_id": body["request_id"], "confidence": body["confidence"]},
    )
