"""Pangea's services: AI Guard, Prompt Guard, Redact, and the reputation of domains, URLs and addresses.

Every route stands below its service's name and, for clients with one base URL for all, without it.
"""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from guardrails_plugin import conversation
from guardrails_plugin.detectors.denial_of_service import estimate_tokens
from guardrails_plugin.server.auth import GUARD
from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.problems import not_found
from guardrails_plugin.server.product import Product
from guardrails_plugin.server.routers.pangea import fpe, intel, redaction
from guardrails_plugin.server.routers.pangea.envelope import Answer, ErrorAnswer, answer, error_response, faulty
from guardrails_plugin.server.routers.pangea.messages import given
from guardrails_plugin.server.routers.pangea.overrides import overridden
from guardrails_plugin.server.routers.pangea.prompt_guard import judged
from guardrails_plugin.server.routers.pangea.recipes import DEFAULT, Chosen, choose
from guardrails_plugin.server.routers.pangea.result import AGENT_NAMES, Wire, detectors, summary
from guardrails_plugin.server.routers.pangea.schemas import (
    AIGuardBody,
    ChatGuardBody,
    FlatGuardBody,
    IntelBody,
    PromptGuardBody,
    RedactBody,
    StructuredBody,
    TextGuardBody,
    UnredactBody,
)
from guardrails_plugin.server.services import Running, Services
from guardrails_plugin.types import GuardResult, Origin, Stage

__all__ = ["build"]

_Body = TypeVar("_Body", bound=BaseModel)

_SERVICES = ("ai-guard", "aiguard", "prompt-guard", "redact", "domain-intel", "url-intel", "ip-intel")
_EVENTS = {
    None: ("pangea_prompt_guard", Stage.PROMPT),
    "input": ("pangea_prompt_guard", Stage.PROMPT),
    "output": ("pangea_llm_response_guard", Stage.RESPONSE),
    "tool_input": ("pangea_agent_pre_tool_guard", Stage.PRE_TOOL),
    "tool_output": ("pangea_agent_post_tool_guard", Stage.POST_TOOL),
    "tool_listing": ("pangea_agent_post_tool_guard", Stage.POST_TOOL),
}
_LOGGED = (
    "app_id actor_id llm_provider model model_version request_token_count response_token_count source_ip "
    "source_location tenant_id event_type collector_instance_id"
).split()

router = APIRouter(
    tags=["pangea"],
    responses={status: {"model": ErrorAnswer} for status in (400, 401, 403, 404, 408, 413, 429, 500, 503)},
)


def build(_services: Services) -> Product:
    """The routes."""
    prefixes = (*(f"/{service}" for service in _SERVICES), "/v1", "/v2", "/request")
    return Product(router, prefixes=prefixes, envelope=error_response)


@router.post("/ai-guard/v1/text/guard")
@router.post("/v1/text/guard")
async def guard_text(body: TextGuardBody, exchange: Current, services: Running) -> Answer[dict[str, Any]]:
    """Check a text or messages with a recipe."""
    content = given(body.text, body.messages)
    logged = body.log_fields.model_dump(exclude_none=True) if body.log_fields else {}
    _note(exchange, "ai_guard", body.config_id, log_fields=logged)
    chosen = await _chosen(services, exchange, body.recipe or DEFAULT, Stage.PROMPT, body.overrides)
    result = await _check(services, exchange, content.content, chosen, debug=body.debug)
    wire = Wire(result, chosen.recipe)
    return answer(
        exchange, summary(wire), {**_outcome(services, exchange, wire, chosen, body), **content.back(result.output)}
    )


@router.post("/ai-guard/v1/guard")
async def guard(body: AIGuardBody, exchange: Current, services: Running) -> Answer[dict[str, Any]]:
    """Check what goes into a model, or what came out of it."""
    said, result = await _guarded(services, exchange, body, body.input, "input")
    return answer(exchange, said, result)


@router.post("/aiguard/v1/guard_chat_completions")
@router.post("/v1/guard_chat_completions")
async def guard_chat(body: ChatGuardBody, exchange: Current, services: Running) -> Answer[dict[str, Any]]:
    """The same, as AIDR calls it."""
    said, result = await _guarded(services, exchange, body, body.guard_input, "guard_input")
    result["guard_output"] = result.pop("output")
    result["policy"] = result.pop("recipe")
    return answer(exchange, said, result)


@router.post("/prompt-guard/v1/guard")
async def prompt_guard(body: PromptGuardBody, exchange: Current, services: Running) -> Answer[dict[str, Any]]:
    """Judge messages: is this an attack on the model?"""
    _note(exchange, "prompt_guard", body.config_id)
    said, result = await judged(services, exchange, body)
    return answer(exchange, said, result)


@router.post("/v1/guard")
async def flat_guard(body: FlatGuardBody, exchange: Current, services: Running) -> Answer[dict[str, Any]]:
    """``input`` is checked by AI Guard, ``messages`` by Prompt Guard."""
    data = body.model_extra or {}
    if "input" in data:
        return await guard(_validated(AIGuardBody, data), exchange, services)
    if "messages" in data:
        return await prompt_guard(_validated(PromptGuardBody, data), exchange, services)
    raise faulty("/input", "Give input for AI Guard, or messages for Prompt Guard.", "MustProvideOne")


@router.post("/redact/v1/redact")
@router.post("/v1/redact")
async def redact(body: RedactBody, exchange: Current, services: Running) -> Answer[dict[str, Any]]:
    """Redact a text."""
    _note(exchange, "redact", body.config_id)
    said, result = await redaction.redacted(services, exchange, body)
    return answer(exchange, said, result)


@router.post("/redact/v1/redact_structured")
@router.post("/v1/redact_structured")
async def redact_structured(body: StructuredBody, exchange: Current, services: Running) -> Answer[dict[str, Any]]:
    """Redact an object."""
    _note(exchange, "redact", body.config_id)
    said, result = await redaction.structured(services, exchange, body)
    return answer(exchange, said, result)


@router.post("/redact/v1/unredact")
@router.post("/aiguard/v1/unredact")
@router.post("/v1/unredact")
async def unredact(body: UnredactBody, exchange: Current, services: Running) -> Answer[dict[str, Any]]:
    """Turn encrypted values back; they are found by what they are, alone or wherever they stand."""
    exchange.user.require(GUARD)
    _note(exchange, "unredact", body.config_id)
    token = fpe.opened(body.fpe_context, services.settings.keyring, exchange.project_id)
    data = await services.guard.unredact(exchange, body.redacted_data, token)
    return answer(exchange, "Success. Unredacted the data.", {"data": data})


@router.post("/domain-intel/v1/reputation")
@router.post("/url-intel/v1/reputation")
@router.post("/ip-intel/v1/reputation")
@router.post("/domain-intel/v2/reputation")
@router.post("/url-intel/v2/reputation")
@router.post("/ip-intel/v2/reputation")
@router.post("/v1/reputation")
@router.post("/v2/reputation")
async def reputation(body: IntelBody, exchange: Current, services: Running) -> Answer[dict[str, Any]]:
    """What is known of domains, URLs or addresses: from the operator's lists, and from how they are made."""
    _note(exchange, "reputation", body.config_id)
    said, result = await intel.reputation(services, exchange, body)
    return answer(exchange, said, result)


@router.get("/{service}/request/{request_id}", include_in_schema=False)
@router.get("/request/{request_id}")
async def polled(request_id: str, exchange: Current, service: str = "") -> None:
    """Where clients ask for late answers (202). This service answers at once, so there are none."""
    del request_id, exchange, service
    raise not_found("Request")


async def _guarded(
    services: Services, exchange: Exchange, body: AIGuardBody | ChatGuardBody, content: dict[str, Any], where: str
) -> tuple[str, dict[str, Any]]:
    if not isinstance(content.get("messages"), list):
        raise faulty(f"/{where}/messages", "Expected an array of messages.", "FieldRequired")
    logged = {name: getattr(body, name) for name in _LOGGED if getattr(body, name) is not None}
    _note(exchange, "ai_guard", body.config_id, **logged, extra_info=body.extra_info or {})
    default, stage = _EVENTS[body.event_type]
    chosen = await _chosen(services, exchange, body.recipe or default, stage, body.overrides)
    result = await _check(services, exchange, content, chosen, debug=body.debug)
    wire = Wire(result, chosen.recipe, AGENT_NAMES)
    found = _outcome(services, exchange, wire, chosen, body)
    found["output"] = content if result.output is None else result.output
    if body.count_tokens:
        came_out = body.event_type in ("output", "tool_output")
        size = sum(estimate_tokens(segment.text) for segment in conversation.segments(content, Origin.USER))
        found |= {"input_token_count": float(0 if came_out else size), "output_token_count": float(came_out * size)}
    return summary(wire), found


async def _chosen(
    services: Services, exchange: Exchange, name: str, stage: Stage, overrides: dict[str, Any] | None
) -> Chosen:
    chosen = await choose(services.guard, exchange, name, stage)
    return overridden(chosen, overrides) if overrides else chosen


async def _check(services: Services, exchange: Exchange, content: Any, chosen: Chosen, *, debug: bool) -> GuardResult:
    return await services.guard.check(
        exchange,
        content,
        stage=chosen.stage,
        recipe=chosen.reference,
        overrides=chosen.overrides or None,
        debug=debug,
    )


def _outcome(
    services: Services,
    exchange: Exchange,
    wire: Wire,
    chosen: Chosen,
    body: TextGuardBody | AIGuardBody | ChatGuardBody,
) -> dict[str, Any]:
    """What both kinds of AI Guard answer alike."""
    result = wire.result
    context = fpe.wrapped(result, services.settings.keyring, exchange.project_id, body.config_id)
    return {
        "recipe": chosen.name,
        "blocked": result.blocked,
        "transformed": result.transformed,
        "detectors": detectors(wire, debug=body.debug),
        **({} if context is None else {"fpe_context": context}),
    }


def _note(exchange: Exchange, event: str, config_id: str | None, **facts: Any) -> None:
    """What the activity log gets to know: what the client said about the request, nothing of its content."""
    exchange.event = event
    exchange.metadata |= {name: fact for name, fact in {"config_id": config_id, **facts}.items() if fact}


def _validated(kind: type[_Body], data: dict[str, Any]) -> _Body:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None
