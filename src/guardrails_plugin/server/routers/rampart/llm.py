"""Rampart: chat with a model behind guards, whole or as a stream."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from guardrails_plugin.server.auth import GUARD, MANAGE
from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.llm import ChatOutcome, ChatRequest, StreamPart
from guardrails_plugin.server.problems import ApiError
from guardrails_plugin.server.routers.rampart.detection import RECIPE, SECRETS, TOXIC, rules, worst
from guardrails_plugin.server.routers.rampart.settings import security_settings
from guardrails_plugin.server.routers.rampart.wire import ERRORS, PREFIX, Body, TraceId, milliseconds
from guardrails_plugin.server.services import Running, Services
from guardrails_plugin.types import GuardResult

__all__ = ["router"]

router = APIRouter(prefix=PREFIX, tags=["rampart"], responses=ERRORS)

_INJECTION, _EXFILTRATION, _URLS = "prompt_injection", "data_exfiltration", "malicious_url"
_ATTACKS = frozenset({_INJECTION, _EXFILTRATION, _URLS, TOXIC})
"""Detectors whose findings are a risk; personal data is replaced, and no attack."""

_TOXIC_FROM = 0.7
"""The default pack's threshold."""


class Message(BaseModel):
    """A message as OpenAI has it; what else it holds is passed on."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None


class Chat(Body):
    """What to ask which model; the operator's default when none is named.

    Only those who manage the project may do without ``security_checks``.
    """

    messages: Annotated[list[Message], Field(min_length=1, max_length=1000)]
    model: Annotated[str, Field(max_length=128)] = ""
    provider: Annotated[str, Field(max_length=64)] = ""
    security_checks: bool = True
    max_tokens: Annotated[int, Field(ge=1, le=10**7)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    trace_id: TraceId | None = None


class InputCheck(BaseModel):
    """The guard's word on the messages; ``issues`` are kinds of what was found."""

    blocked: bool
    risk_score: float
    issues: list[str]


class OutputCheck(InputCheck):
    """... and on the reply."""

    redacted: bool


class Checks(BaseModel):
    """Null for a side that was not checked."""

    input: InputCheck | None
    output: OutputCheck | None


class Answer(BaseModel):
    """The reply; null when blocked. ``cost`` in US dollars; null when the model has no price."""

    response: str | None
    blocked: bool
    security_checks: Checks
    model: str
    provider: str
    tokens_used: int
    cost: float | None
    latency_ms: float
    trace_id: str


@router.post("/llm/chat")
async def chat(body: Chat, exchange: Current, services: Running) -> Answer:
    """Check the messages, ask the model, check the reply."""
    request = await _request(body, exchange, services)
    outcome = await services.llm.chat(exchange, request)
    _count(exchange, outcome)
    completion = outcome.completion
    provider, model = services.llm.default
    return Answer(
        response=outcome.text,
        blocked=outcome.blocked,
        security_checks=Checks(input=_input(outcome.prompt), output=_output(outcome.response)),
        model=completion.model if completion else body.model or model,
        provider=completion.provider if completion else body.provider or provider,
        tokens_used=completion.tokens if completion else 0,
        cost=completion.cost if completion else 0.0,
        latency_ms=milliseconds(outcome.seconds),
        trace_id=body.trace_id or exchange.id,
    )


@router.post(
    "/llm/chat/stream", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}}
)
async def chat_stream(body: Chat, exchange: Current, services: Running) -> StreamingResponse:
    """The same as events: ``security_check``, ``token`` ..., ``done``; ``error`` when something is refused."""
    request = await _request(body, exchange, services)
    trace_id = body.trace_id or exchange.id

    async def events() -> AsyncIterator[str]:
        try:
            async for part in services.llm.stream(exchange, request):
                if part.outcome is not None:
                    _count(exchange, part.outcome)
                for event in _events(part):
                    yield _line({**event, "trace_id": trace_id} if event["type"] != "token" else event)
        except ApiError as error:
            # The status is sent by now.
            yield _line({"type": "error", "code": error.code, "detail": error.detail, "trace_id": trace_id})

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def _events(part: StreamPart) -> list[dict[str, Any]]:
    if part.kind == "token":
        return [{"type": "token", "content": part.text}]
    if part.outcome is None:
        return [{"type": "security_check", "input_safe": part.prompt is None or not part.prompt.blocked}]
    completion = part.outcome.completion
    done = {
        "type": "done",
        "total_tokens": completion.tokens if completion else 0,
        "cost": completion.cost if completion else 0.0,
    }
    refused = {"type": "error", "code": "SECURITY_VIOLATION", "detail": "Content blocked by security policy."}
    return [refused, done] if part.outcome.blocked else [done]


def _line(event: dict[str, Any]) -> str:
    return f"data: {json.dumps(event)}\n\n"


async def _request(body: Chat, exchange: Exchange, services: Services) -> ChatRequest:
    # Who hands a key to an application must be able to rely on the checks.
    exchange.user.require(GUARD if body.security_checks else MANAGE)
    exchange.trace = body.trace_id or ""
    wanted = await security_settings(exchange, services)
    personal = {"action": "replace" if wanted.auto_redact_pii else "report"}
    shared: dict[str, Any] = {SECRETS: {"action": "replace"}, "pii": personal}
    attack = {"action": "block", "threshold": wanted.block_threshold}
    into = {**shared, _INJECTION: attack}
    # Suspicious addresses are named; malicious ones, and those that carry data away, are made harmless.
    out = {**shared, _EXFILTRATION: attack, _URLS: {"action": "defang", "suspicious": "report"}}
    if wanted.enable_toxicity_filter:
        into[TOXIC] = {"threshold": _TOXIC_FROM}
        out[TOXIC] = {"action": "block", "threshold": _TOXIC_FROM}
    return ChatRequest(
        messages=[message.model_dump(exclude_unset=True) for message in body.messages],
        provider=body.provider,
        model=body.model,
        max_tokens=body.max_tokens,
        temperature=body.temperature,
        prompt=RECIPE,
        response=RECIPE,
        prompt_overrides=rules(into, **into),
        response_overrides=rules(out, **out),
        check_prompt=body.security_checks,
        check_response=body.security_checks,
    )


def _input(result: GuardResult | None) -> InputCheck | None:
    return (
        None if result is None else InputCheck(blocked=result.blocked, risk_score=_risk(result), issues=_issues(result))
    )


def _output(result: GuardResult | None) -> OutputCheck | None:
    if result is None:
        return None
    return OutputCheck(
        blocked=result.blocked, redacted=result.transformed, risk_score=_risk(result), issues=_issues(result)
    )


def _risk(result: GuardResult) -> float:
    return round(worst(finding for finding in result.findings if finding.detector in _ATTACKS), 4)


def _issues(result: GuardResult) -> list[str]:
    return list(dict.fromkeys(finding.entity_type.lower() for finding in result.findings))


def _count(exchange: Exchange, outcome: ChatOutcome) -> None:
    if outcome.completion is not None:
        exchange.metadata |= {"tokens": outcome.completion.tokens, "cost": outcome.completion.cost}
    exchange.count("rampart.llm.requests")
    exchange.count("rampart.llm.seconds", outcome.seconds)
    exchange.count("rampart.llm.blocked", int(outcome.blocked))
