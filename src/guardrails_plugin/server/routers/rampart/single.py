"""Rampart: one filter by itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.problems import invalid
from guardrails_plugin.server.routers.rampart.filter_body import FilterBody, FilterName, filter_defaults
from guardrails_plugin.server.routers.rampart.filtered import Entity, Filtered, Toxicity
from guardrails_plugin.server.routers.rampart.filtering import run_filter
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX, Body
from guardrails_plugin.server.services import Running, Services

__all__ = ["router"]

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)

_Asked = Annotated[str | None, Query(alias="content", description="prefer the body: proxies log addresses")]


class Content(Body):
    """A content."""

    content: str


class Redacted(BaseModel):
    """A content before and after."""

    original: str
    redacted: str
    entities_found: int


@router.post("/pii/detect")
async def detect_pii(
    exchange: Current, services: Running, body: Content | None = None, query: _Asked = None
) -> list[Entity]:
    """Personal data in a content."""
    return (await _filtered(exchange, services, _content(body, query), "pii", redact=False)).pii_detected


@router.post("/pii/redact")
async def redact_pii(
    exchange: Current, services: Running, body: Content | None = None, query: _Asked = None
) -> Redacted:
    """A content without its personal data."""
    content = _content(body, query)
    found = await _filtered(exchange, services, content, "pii", redact=True)
    changed = content if found.filtered_content is None else found.filtered_content
    return Redacted(original=content, redacted=changed, entities_found=len(found.pii_detected))


@router.post("/toxicity/analyze")
async def analyze_toxicity(
    exchange: Current, services: Running, body: Content | None = None, query: _Asked = None
) -> Toxicity:
    """Abuse in a content; the threshold is the project's default."""
    found = await _filtered(exchange, services, _content(body, query), "toxicity", redact=False)
    assert found.toxicity_scores is not None  # noqa: S101 - asked for
    return found.toxicity_scores


async def _filtered(
    exchange: Exchange, services: Services, content: str, name: FilterName, *, redact: bool
) -> Filtered:
    body = FilterBody(content=content, filters=[name], redact=redact)
    return await run_filter(exchange, services, body, defaults=await filter_defaults(exchange, services))


def _content(body: Content | None, query: str | None) -> str:
    """From the body or, as older clients send it, from the query."""
    if body is not None:
        return body.content
    if query is None:
        raise invalid("content: expected in a JSON body, or as a parameter of the query.")
    return query
