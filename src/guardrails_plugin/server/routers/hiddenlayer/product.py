"""HiddenLayer: OAuth, interactions, the prompt analyzer, and the second version's evaluations."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.identity import iso, now
from guardrails_plugin.server.problems import Problem, not_found
from guardrails_plugin.server.product import Product
from guardrails_plugin.server.routers.hiddenlayer.analysis import Side, analyze, level
from guardrails_plugin.server.routers.hiddenlayer.evaluation import Evaluated, evaluate
from guardrails_plugin.server.routers.hiddenlayer.payloads import guarded, refused
from guardrails_plugin.server.routers.hiddenlayer.prompt import analyzed
from guardrails_plugin.server.services import Running, Services
from guardrails_plugin.server.store.records import Project
from guardrails_plugin.types import Stage, Verdict

__all__ = ["build"]

_TOKEN = "/oauth2/token"  # noqa: S105 - a path
_ANALYZER = "/api/v1/submit/prompt-analyzer"
_ACTIONS = {Verdict.ALLOW: "Allow", Verdict.REPORT: "Alert", Verdict.TRANSFORM: "Redact", Verdict.BLOCK: "Block"}

_ProjectId = Annotated[str, Header(alias="HL-Project-Id", max_length=256)]
_Requester = Annotated[str, Header(max_length=1024)]


class _Extended(BaseModel):
    model_config = ConfigDict(extra="allow")


class Message(_Extended):
    """What somebody said."""

    role: str | None = None
    content: str


class Messages(_Extended):
    """One side of an interaction."""

    messages: list[Message] = []


class Metadata(_Extended):
    """Who asked which model."""

    model: str
    requester_id: str
    provider: str | None = None


class InteractionBody(BaseModel):
    """What went into a model, what came out, or both."""

    metadata: Metadata
    input: Messages | None = None
    output: Messages | None = None


class PromptBody(BaseModel):
    """A prompt, perhaps with its answer."""

    prompt: str
    model: str | None = None
    output: str | None = None


class EvaluationMetadata(_Extended):
    """Who asked which model, in which session."""

    model: str
    provider: str
    requester_id: str
    external_session_id: str | None = None


class EvaluationBody(BaseModel):
    """Messages in the canonical form, or a provider's payload."""

    interaction: dict[str, Any]
    metadata: EvaluationMetadata


class ErrorBody(BaseModel):
    """An error."""

    detail: str


router = APIRouter(
    tags=["hiddenlayer"],
    responses={status: {"model": ErrorBody} for status in (400, 401, 403, 404, 408, 413, 422, 429, 503)},
)


def build(_services: Services) -> Product:
    """The routes."""
    return Product(
        router,
        prefixes=("/oauth2", "/detection/v1", "/detection/v2", _ANALYZER),
        envelope=_error,
        public=frozenset({_TOKEN}),
    )


_FORM = {"type": "object", "properties": {"grant_type": {"const": "client_credentials"}}, "required": ["grant_type"]}


@router.post(
    _TOKEN,
    openapi_extra={"requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": _FORM}}}},
    response_model=None,
)
async def token(request: Request, exchange: Current, services: Running) -> Response:
    """A bearer token for an OAuth client (RFC 6749, section 4.4)."""
    exchange.event = "oauth_token"
    body = await request.body()
    try:
        form = dict(parse_qsl(body.decode(), max_num_fields=20))
    except ValueError:
        form = {}
    if form.get("grant_type") != "client_credentials":
        return _refusal(400, "unsupported_grant_type")
    client_id, secret = _basic(request) or (form.get("client_id", ""), form.get("client_secret", ""))
    client = await asyncio.to_thread(services.authenticator.client, client_id, secret)
    if client is None:
        return _refusal(401, "invalid_client")
    access, seconds = services.authenticator.session(client=client)
    answer = {"access_token": access, "token_type": "Bearer", "expires_in": seconds}
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


@router.post("/detection/v1/interactions")
async def interactions(
    body: InteractionBody, exchange: Current, services: Running, project_id: _ProjectId = ""
) -> dict[str, Any]:
    """Analyse what goes into a model and what comes out of it."""
    project = await _acting(services, exchange, project_id)
    given = body.metadata
    provider = given.provider or ""
    _note(exchange, "interaction", model=given.model, requester_id=given.requester_id, provider=provider)
    sides = {
        phase: await analyze(services, exchange, _content(messages), stage)
        for phase, messages, stage in (("input", body.input, Stage.PROMPT), ("output", body.output, Stage.RESPONSE))
        if messages is not None
    }
    nothing: dict[str, Any] = {"messages": []}
    worst = max((side.verdict for side in sides.values()), default=Verdict.ALLOW)
    return {
        "metadata": {
            "model": given.model,
            "provider": provider,
            "requester_id": given.requester_id,
            "processing_time_ms": round(1000 * exchange.seconds, 3),
            "project": _project(project, list(sides.values())),
            "analyzed_at": iso(now()),
            "event_id": exchange.id,
        },
        "analysis": [analysis for side in sides.values() for analysis in side.analyses()],
        "analyzed_data": {"input": nothing, **{phase: side.content for phase, side in sides.items()}},
        "modified_data": {
            "input": nothing,
            "output": nothing,
            **{phase: side.modified for phase, side in sides.items()},
        },
        "evaluation": {
            "action": _ACTIONS[worst],
            "has_detections": any(side.decisions for side in sides.values()),
            "threat_level": level(sides.values()),
        },
    }


@router.post(_ANALYZER)
async def prompt_analyzer(
    body: PromptBody,
    exchange: Current,
    services: Running,
    project_id: _ProjectId = "",
    x_requester_id: _Requester = "",
) -> dict[str, Any]:
    """Analyse a prompt, and its answer if there is one."""
    await _acting(services, exchange, project_id)
    _note(exchange, "prompt_analyzer", model=body.model or "", requester_id=x_requester_id)
    return await analyzed(services, exchange, body.prompt, body.output, body.model)


@router.post("/detection/v2/interaction-evaluations")
async def interaction_evaluations(
    body: EvaluationBody, exchange: Current, services: Running, project_id: _ProjectId = ""
) -> dict[str, Any]:
    """Evaluate an interaction: what was found in which message, and what should go on."""
    project = await _acting(services, exchange, project_id)
    given = body.metadata
    facts = {"model": given.model, "requester_id": given.requester_id, "provider": given.provider}
    _note(exchange, "evaluation", **facts, session_id=given.external_session_id or "")
    made: Evaluated = await evaluate(services, exchange, body.interaction)
    return {
        "metadata": {
            "evaluation_id": exchange.id,
            "evaluated_at": iso(now()),
            **facts,
            "processing_time_ms": round(1000 * exchange.seconds, 3),
            "project": {
                "project_id": project.id,
                "policy_id": made.policy_id,
                "configuration_id": made.policy_id,
                "project_alias": project.friendly_id,
            },
        },
        "evaluated_interaction": made.interaction,
        "outcome": made.outcome,
    }


@router.post("/detection/v2/request-evaluations")
async def request_evaluations(
    body: dict[str, Any],
    exchange: Current,
    services: Running,
    project_id: _ProjectId = "",
    hl_requester_id: _Requester = "",
) -> dict[str, Any]:
    """A provider's request, redacted where needed; or, when it is blocked, a provider's response that says so."""
    return await _passed(services, exchange, body, (project_id, hl_requester_id), Stage.PROMPT)


@router.post("/detection/v2/response-evaluations")
async def response_evaluations(
    body: dict[str, Any],
    exchange: Current,
    services: Running,
    project_id: _ProjectId = "",
    hl_requester_id: _Requester = "",
) -> dict[str, Any]:
    """A provider's response, redacted where needed, or a refusal in its place."""
    return await _passed(services, exchange, body, (project_id, hl_requester_id), Stage.RESPONSE)


async def _passed(
    services: Services, exchange: Exchange, payload: dict[str, Any], who: tuple[str, str], stage: Stage
) -> dict[str, Any]:
    project_id, requester = who
    await _acting(services, exchange, project_id)
    _note(exchange, f"{stage.value}_evaluation", requester_id=requester)
    side = await analyze(services, exchange, guarded(payload), stage)
    return refused(payload, exchange.id) if side.verdict is Verdict.BLOCK else {**payload, **side.modified}


async def _acting(services: Services, exchange: Exchange, project_id: str) -> Project:
    """The project the request is for, by id or alias; the rest of the request is its."""
    found = await asyncio.to_thread(services.store.project, project_id or exchange.project_id)
    principal = exchange.user.within(found.id) if found else None
    if found is None or principal is None:
        raise not_found("Project")
    exchange.principal = principal
    return found


def _content(side: Messages) -> dict[str, Any]:
    """Messages first, so that findings can be told by message."""
    data = side.model_dump(exclude_unset=True)
    return {"messages": data.pop("messages", []), **data}


def _project(project: Project, sides: Sequence[Side]) -> dict[str, str]:
    rules = next((f"{side.recipe.name}:{side.recipe.version}" for side in sides), "")
    return {"project_id": project.id, "project_alias": project.friendly_id, "ruleset_id": rules}


def _note(exchange: Exchange, event: str, **facts: str) -> None:
    exchange.event = event
    exchange.metadata |= {name: fact[:1024] for name, fact in facts.items() if fact}


def _basic(request: Request) -> tuple[str, str] | None:
    """Client id and secret of the header."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return client_id, secret


def _refusal(status: int, error: str) -> Response:
    headers = {"WWW-Authenticate": "Basic"} if status == 401 else {}
    return JSONResponse({"error": error, "detail": error.replace("_", " ").capitalize() + "."}, status, headers)


def _error(_request: Request, problem: Problem) -> Response:
    body: dict[str, Any] = {"detail": problem.detail, "trace_id": problem.trace_id}
    if problem.fields:
        body["errors"] = list(problem.fields)
    return JSONResponse(body, problem.status, dict(problem.headers))
