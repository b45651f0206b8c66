"""CalypsoAI's API (F5 AI Guardrails): ``/backend/v1``, and the OpenAI-compatible ``/openai``."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from guardrails_plugin.server.problems import Problem
from guardrails_plugin.server.product import Product
from guardrails_plugin.server.routers.calypso import (
    account,
    openai,
    projects,
    providers,
    scanners,
    scans,
)
from guardrails_plugin.server.routers.calypso.openai import OPENAI
from guardrails_plugin.server.routers.calypso.wire import PREFIX, Failed
from guardrails_plugin.server.services import Services

__all__ = ["build"]

_PARTS = (scans, scanners, projects, providers, account, openai)
_STATUSES = (400, 401, 403, 404, 408, 409, 413, 422, 429, 502, 503)

router = APIRouter(tags=["calypso"], responses={status: {"model": Failed} for status in _STATUSES})
for _part in _PARTS:
    router.include_router(_part.router)


def build(_services: Services) -> Product:
    """The routes."""
    return Product(router, prefixes=(PREFIX, OPENAI), envelope=_error)


def _error(request: Request, problem: Problem) -> Response:
    """FastAPI's own form, which CalypsoAI has; OpenAI's form for OpenAI's clients."""
    if request.url.path.removeprefix(PREFIX).startswith(f"{OPENAI}/"):
        error = {"message": problem.detail, "type": _kind(problem.status), "param": None, "code": problem.code.lower()}
        return JSONResponse({"error": error}, problem.status, dict(problem.headers))
    detail = list(problem.fields) or problem.detail
    return JSONResponse({"detail": detail}, problem.status, dict(problem.headers))


def _kind(status: int) -> str:
    return "invalid_request_error" if status < 500 else "server_error"
