"""Rampart: what came of a call of the filter, looked up afterwards: a part of the audit record, without contents."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.problems import not_found
from guardrails_plugin.server.routers.rampart.filtered import Filtered, Found
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX, whose
from guardrails_plugin.server.services import Running

__all__ = ["keep", "router"]

_NOTED = "filter"
_MOST = 200
"""Entities that are kept of one content; statistics count them all."""

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)


class KeptEntity(BaseModel):
    """Where personal data was; ``value`` is always null."""

    type: str
    value: None = None
    start: int
    end: int
    confidence: float
    label: str | None


class FilterResult(Found):
    """The filter's answer without the content, whole or redacted, which is not kept: null.

    Attributes:
        pii_count: entities found, of which the first are listed.
    """

    original_content: None = None
    filtered_content: None = None
    pii_detected: list[KeptEntity]
    pii_count: int


@router.get("/filter/results/{result_id}")
def get_result(result_id: str, exchange: Current, services: Running) -> FilterResult:
    """What one call found: of the project for those who manage it, of one's own for others."""
    with services.database.read() as connection:
        record = services.audit.find(connection, exchange.project_id, result_id, subject=whose(exchange))
    noted = (record or {}).get("metadata", {}).get(_NOTED)
    if noted is None:
        raise not_found("Filter result")
    return FilterResult(id=result_id, **noted)


def keep(exchange: Exchange, found: Filtered) -> None:
    """Put an answer on the request's record."""
    content = {"id", "original_content", "filtered_content", "pii_detected"}
    exchange.metadata[_NOTED] = {
        **found.model_dump(mode="json", exclude=content),
        "pii_detected": [entity.model_dump(exclude={"value"}) for entity in found.pii_detected[:_MOST]],
        "pii_count": len(found.pii_detected),
    }
