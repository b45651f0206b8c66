"""What Rampart's routes share: paths, bodies, the error body, units."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from guardrails_plugin.server.auth import MANAGE
from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.identity import iso, now
from guardrails_plugin.server.problems import Problem

__all__ = ["ERRORS", "PREFIX", "Body", "Failed", "Gone", "TraceId", "envelope", "milliseconds", "whose"]

PREFIX = "/api/v1"

TraceId = Annotated[str, Field(max_length=128, pattern=r"^[^\x00]*$")]
"""Which requests belong together, in the client's words: on the record, so no place for contents."""


class Body(BaseModel):
    """A request's body; unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid")


class Gone(BaseModel):
    """A key that was removed."""

    message: str
    key_id: str


class Failed(BaseModel):
    """An error, on every route.

    Attributes:
        error: the kind, in words.
        code: the kind, for programs.
        fields: for a malformed body, what is wrong where.
    """

    error: str
    detail: str
    code: str
    timestamp: str
    trace_id: str
    fields: list[dict[str, Any]] = []


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": Failed} for status in (400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503)
}


def envelope(_request: Request, problem: Problem) -> Response:
    """The error body. A malformed body is a 400 here: Rampart documents no 422."""
    status = 400 if problem.status == 422 else problem.status
    failed = Failed(
        error=HTTPStatus(status).phrase,
        detail=problem.detail,
        code=problem.code,
        timestamp=iso(now()),
        trace_id=problem.trace_id,
        fields=[dict(field) for field in problem.fields],
    )
    shown = failed.model_dump(exclude=set() if problem.fields else {"fields"})
    return JSONResponse(shown, status, dict(problem.headers))


def whose(exchange: Exchange) -> str | None:
    """Whose records and sums the caller may see: the project's (None) for those who manage it, else their own."""
    user = exchange.user
    return None if user.is_admin or MANAGE in user.scopes else user.subject


def milliseconds(seconds: float) -> float:
    """Rounded to a microsecond."""
    return round(seconds * 1000, 3)
