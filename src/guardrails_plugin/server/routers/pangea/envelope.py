"""Pangea's envelope: every answer, good or bad, has the same six keys and no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from guardrails_plugin.server.exchange import Exchange, current_exchange
from guardrails_plugin.server.identity import iso, now
from guardrails_plugin.server.problems import ApiError, Problem

__all__ = ["Answer", "ErrorAnswer", "FieldProblem", "answer", "error_response", "faulty"]

_Result = TypeVar("_Result")

_STATUSES = {
    400: "ValidationError",
    401: "Unauthorized",
    403: "Unauthorized",
    404: "NotFound",
    405: "NotFound",
    408: "ValidationError",
    413: "ValidationError",
    422: "ValidationError",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceNotAvailable",
}

_CODES = {
    "missing": "FieldRequired",
    "string_type": "InvalidString",
    "string_too_long": "AboveMaxLength",
    "string_too_short": "BelowMinLength",
    "string_pattern_mismatch": "DoesNotMatchPattern",
    "int_type": "InvalidInteger",
    "int_parsing": "InvalidInteger",
    "int_from_float": "InvalidInteger",
    "float_type": "InvalidNumber",
    "float_parsing": "InvalidNumber",
    "bool_type": "InvalidBool",
    "bool_parsing": "InvalidBool",
    "dict_type": "InvalidObject",
    "model_attributes_type": "InvalidObject",
    "model_type": "InvalidObject",
    "list_type": "InvalidArray",
    "too_long": "AboveMaxItems",
    "too_short": "BelowMinItems",
    "literal_error": "NotEnumMember",
    "enum": "NotEnumMember",
    "extra_forbidden": "UnexpectedProperty",
    "greater_than_equal": "NotWithinRange",
    "less_than_equal": "NotWithinRange",
}
"""Pangea's names of what pydantic finds wrong; all else is ``BadFormat``."""


class Answer(BaseModel, Generic[_Result]):
    """A result in its envelope."""

    request_id: str
    request_time: str
    response_time: str
    status: str = "Success"
    summary: str
    result: _Result


class FieldProblem(BaseModel):
    """One mistake in a request; ``source`` is a JSON pointer into its body."""

    code: str
    detail: str
    source: str


class Faults(BaseModel):
    """All mistakes in a request."""

    errors: list[FieldProblem] = []


class ErrorAnswer(BaseModel):
    """An error in its envelope."""

    request_id: str
    request_time: str
    response_time: str
    status: str
    summary: str
    result: Faults | None


def answer(exchange: Exchange, summary: str, result: dict[str, Any]) -> Answer[dict[str, Any]]:
    """A good result in its envelope."""
    return Answer(**_head(exchange), summary=summary, result=result)


def faulty(source: str, detail: str, code: str) -> ApiError:
    """400, for one field of the body.

    Args:
        source: JSON pointer to the field.
        detail: for people.
        code: one of Pangea's, such as ``MustProvideOne``.
    """
    return _FieldError(FieldProblem(code=code, detail=detail, source=source))


class _FieldError(ApiError):
    """Carries its field in the code, the one thing of an `ApiError` that reaches the envelope as it is."""

    def __init__(self, problem: FieldProblem) -> None:
        super().__init__(400, problem.detail, code=f"{problem.code} {problem.source}")


def error_response(request: Request, problem: Problem) -> Response:
    """An error as Pangea words it; the SDK goes by ``status``, not by the HTTP status."""
    exchange = current_exchange(request)
    status = _STATUSES.get(problem.status, "InternalError" if problem.status >= 500 else "ValidationError")
    errors = _errors(problem) if status == "ValidationError" else []
    body = {
        **_head(exchange),
        "status": status,
        "summary": problem.detail,
        "result": {"errors": errors} if errors else None,
    }
    return JSONResponse(body, 400 if problem.status == 422 else problem.status, dict(problem.headers))


def _errors(problem: Problem) -> Sequence[Mapping[str, str]]:
    if problem.fields:
        return [
            {"code": _CODES.get(field["type"], "BadFormat"), "detail": field["msg"], "source": _pointer(field)}
            for field in problem.fields
        ]
    code, space, source = problem.code.partition(" ")
    if not space:
        code, source = ("IsTooBig" if problem.status == 413 else "BadFormat"), ""
    return [{"code": code, "detail": problem.detail, "source": source}]


def _pointer(field: Mapping[str, Any]) -> str:
    """Where in the body, as RFC 6901 has it: "" is all of it, and where in a text that is no JSON is no place in it."""
    place = () if field["type"] == "json_invalid" else field["loc"]
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in place if step != "body")


def _head(exchange: Exchange) -> dict[str, str]:
    """Ids and times; the id goes into the header too, where the SDK looks when it tries again."""
    request_id = f"prq_{exchange.id.replace('-', '')}"
    exchange.headers["X-Request-ID"] = request_id
    ended = now()
    return {
        "request_id": request_id,
        "request_time": iso(ended - timedelta(seconds=exchange.seconds)),
        "response_time": iso(ended),
    }
