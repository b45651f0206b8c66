"""Errors on their way to a client: one value inside, worded by each product in its own envelope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from guardrails_plugin.errors import ConfigError, ContentError, GuardBlocked, GuardError

__all__ = ["ApiError", "Problem", "forbidden", "invalid", "not_found", "problem_of", "problem_response", "unauthorized"]

_CODES = {
    400: "INVALID_REQUEST",
    401: "INVALID_TOKEN",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    409: "CONFLICT",
    413: "TOO_LARGE",
    422: "INVALID_REQUEST",
    429: "RATE_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    502: "PROVIDER_ERROR",
    503: "UNAVAILABLE",
}

_NOT_OURS: tuple[tuple[tuple[type[Exception], ...], int, str], ...] = (
    # PostgreSQL keeps no NUL; half a surrogate pair cannot be written.
    ((UnicodeEncodeError, DataError), 400, "The text holds characters that cannot be kept."),
    (
        (OperationalError, InterfaceError, PoolTimeoutError),
        503,
        "The database does not answer, or takes no changes; try again later.",
    ),
)
"""Exceptions of libraries: status and sentence."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong with one request.

    Attributes:
        status: HTTP status.
        code: ``UPPER_SNAKE``, for programs.
        detail: for people; never holds guarded text.
        trace_id: id of the request and of its audit record.
        fields: for a malformed body, one ``{"loc": [...], "msg": ..., "type": ...}`` per mistake.
    """

    status: int
    code: str
    detail: str
    trace_id: str
    fields: Sequence[Mapping[str, Any]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiError(HTTPException):
    """An error with a status, a code and a sentence. Raise it anywhere; the product's envelope is put on later."""

    def __init__(self, status: int, detail: str, *, code: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.code = code or _CODES.get(status, "ERROR")


def unauthorized(detail: str = "Missing, unknown or expired credentials.", code: str = "INVALID_TOKEN") -> ApiError:
    """401."""
    return ApiError(401, detail, code=code, headers={"WWW-Authenticate": "Bearer"})


def forbidden(detail: str = "These credentials do not allow that.") -> ApiError:
    """403."""
    return ApiError(403, detail)


def not_found(what: str = "Resource") -> ApiError:
    """404; also for what belongs to somebody else, so that nothing is learned about it."""
    return ApiError(404, f"{what} not found.")


def invalid(detail: str, code: str = "INVALID_REQUEST") -> ApiError:
    """400."""
    return ApiError(400, detail, code=code)


def problem_of(error: Exception, trace_id: str) -> Problem:
    """The problem behind any exception; what is not ours becomes a 500 that says nothing."""
    if isinstance(error, ApiError):
        return Problem(error.status_code, error.code, error.detail, trace_id, headers=error.headers or {})
    if isinstance(error, HTTPException):
        code = _CODES.get(error.status_code, "ERROR")
        return Problem(error.status_code, code, str(error.detail), trace_id, headers=error.headers or {})
    if isinstance(error, RequestValidationError):
        # Without pydantic's "input" and "ctx": they quote the body.
        fields = [{"loc": list(e["loc"]), "msg": e["msg"], "type": e["type"]} for e in error.errors()]
        return Problem(422, _CODES[422], "The request is not of the documented form.", trace_id, fields)
    if isinstance(error, (ConfigError, ContentError)):
        return Problem(400, _CODES[400], str(error), trace_id)
    if isinstance(error, GuardBlocked):
        return Problem(403, "SECURITY_VIOLATION", str(error), trace_id)
    if isinstance(error, GuardError):
        return Problem(503, _CODES[503], str(error), trace_id)
    known = ((status, detail) for kinds, status, detail in _NOT_OURS if isinstance(error, kinds))
    status, detail = next(known, (500, "Internal error."))
    return Problem(status, _CODES[status], detail, trace_id)


def problem_response(_request: Request, problem: Problem) -> Response:
    """Our own envelope: ``{"error": code, "detail": ..., "trace_id": ..., "fields": [...]}``."""
    body: dict[str, Any] = {"error": problem.code, "detail": problem.detail, "trace_id": problem.trace_id}
    if problem.fields:
        body["fields"] = list(problem.fields)
    return JSONResponse(body, problem.status, dict(problem.headers))
