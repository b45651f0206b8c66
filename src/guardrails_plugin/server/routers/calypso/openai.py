"""CalypsoAI's OpenAI-compatible door: chat completions of a provider, guarded both ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel

from guardrails_plugin import conversation
from guardrails_plugin.recipes import Recipe
from guardrails_plugin.server.auth import GUARD
from guardrails_plugin.server.exchange import Current, Exchange
from guardrails_plugin.server.llm import ChatOutcome, ChatRequest, StreamPart
from guardrails_plugin.server.problems import ApiError, not_found
from guardrails_plugin.server.routers.calypso.access import enter
from guardrails_plugin.server.routers.calypso.models import Provider, ask, named_provider, request_to
from guardrails_plugin.server.routers.calypso.openai_answer import Chunks, model_card, refusal, whole
from guardrails_plugin.server.routers.calypso.openai_body import ChatBody
from guardrails_plugin.server.routers.calypso.room import Asked, Room, room_for
from guardrails_plugin.server.routers.calypso.scanning import Scanned, scan, scanned_stream, stream_recipe
from guardrails_plugin.server.routers.calypso.settings import setup_of
from guardrails_plugin.server.routers.calypso.wire import PREFIX, Id
from guardrails_plugin.server.services import Running, Services
from guardrails_plugin.types import Origin

__all__ = ["OPENAI", "router"]

OPENAI = "/openai"

router = APIRouter()


class Refusal(BaseModel):
    """An error as OpenAI's clients take it; for a block, ``cai_error`` says what was found."""

    error: dict[str, Any]


class ModelList(BaseModel):
    """Models as OpenAI lists them."""

    object: Literal["list"] = "list"
    data: list[dict[str, Any]]


_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal} for status in (400, 401, 403, 404, 408, 413, 422, 429, 502, 503)
}


@router.post(f"{OPENAI}/{{provider}}/chat/completions", responses=_REFUSALS, response_model=None)
@router.post(f"{PREFIX}{OPENAI}/{{provider}}/chat/completions", responses=_REFUSALS, response_model=None)
async def chat_completions(
    provider: Id,
    body: ChatBody,
    exchange: Current,
    services: Running,
    x_cai_metadata_session_id: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Chat with a provider's model.

    A stream is guarded while it is sent; where a scanner in plain words has to judge it, it is sent when the whole
    answer has been judged.
    """
    exchange.user.require(GUARD)
    exchange.event = "chat_completion"
    if x_cai_metadata_session_id:
        exchange.metadata["session_id"] = x_cai_metadata_session_id
    room = await asyncio.to_thread(room_for, services, exchange, None, Asked())
    chosen = await asyncio.to_thread(named_provider, services, room.project.id, room.setup, provider)
    options = body.options(chosen.type)
    before = await scan(services, exchange, room, [message.model_dump() for message in body.messages], "request")
    if before.outcome == "blocked":
        return JSONResponse(refusal(before, "prompt"), 400)
    usage = body.stream_options is not None and body.stream_options.include_usage
    chunks = Chunks(exchange.id, chosen.model, usage=usage)
    recipe = stream_recipe(room) if body.stream else None
    if recipe is not None:
        request = _guarded(chosen, before.output, recipe, options)
        return await _streamed(services, exchange, room, request, chunks)
    completion = await ask(services, exchange, chosen, before.output, **options)
    after = await scan(services, exchange, room, completion.text, "response", prompt=_last_question(before.output))
    if after.outcome == "blocked":
        return JSONResponse(refusal(after, "response"), 400)
    if body.stream:
        events = [chunks.begin(), chunks.text(after.output), chunks.end(completion)]
        return StreamingResponse(iter(events), media_type="text/event-stream")
    return JSONResponse(whole(exchange.id, completion, after.output))


@router.get(f"{OPENAI}/{{provider}}/models", responses=_REFUSALS)
@router.get(f"{PREFIX}{OPENAI}/{{provider}}/models", responses=_REFUSALS)
def list_models(provider: Id, exchange: Current, services: Running) -> ModelList:
    """The one model behind a provider; what a chat names instead is not asked."""
    return ModelList(data=[model_card(_provider(services, exchange, provider))])


@router.get(f"{OPENAI}/{{provider}}/models/{{model}}", responses=_REFUSALS)
@router.get(f"{PREFIX}{OPENAI}/{{provider}}/models/{{model}}", responses=_REFUSALS)
def get_model(provider: Id, model: Id, exchange: Current, services: Running) -> dict[str, Any]:
    """That model, by its name."""
    found = _provider(services, exchange, provider)
    if model != found.model:
        raise not_found("Model")
    return model_card(found)


def _provider(services: Services, exchange: Exchange, name: str) -> Provider:
    project = enter(services, exchange)
    return named_provider(services, project.id, setup_of(project), name)


def _guarded(
    provider: Provider, messages: Sequence[Mapping[str, Any]], recipe: Recipe, options: Mapping[str, Any]
) -> ChatRequest:
    return request_to(
        provider, messages, response=recipe, check_prompt=False, check_response=bool(recipe.rules), **options
    )


async def _streamed(
    services: Services, exchange: Exchange, room: Room, request: ChatRequest, chunks: Chunks
) -> Response:
    """The answer as it comes; what fails or is refused before its first words has a status of its own."""
    parts = services.llm.stream(exchange, request)
    first = await _first(parts)
    if first.outcome is not None and first.outcome.blocked:
        return JSONResponse(refusal(_told(exchange, room, first.outcome), "response"), 400)
    events = _events(exchange, room, first, parts, chunks)
    return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _first(parts: AsyncIterator[StreamPart]) -> StreamPart:
    """The first part of the model's own."""
    part = await anext(parts)
    return await anext(parts) if part.kind == "checked" else part


async def _events(
    exchange: Exchange, room: Room, first: StreamPart, rest: AsyncIterator[StreamPart], chunks: Chunks
) -> AsyncIterator[str]:
    yield chunks.begin()
    try:
        yield _event(exchange, room, first, chunks)
        async for part in rest:
            yield _event(exchange, room, part, chunks)
    except ApiError as error:
        yield chunks.failed(error)


def _event(exchange: Exchange, room: Room, part: StreamPart, chunks: Chunks) -> str:
    outcome = part.outcome
    if outcome is None:
        return chunks.text(part.text)
    told = _told(exchange, room, outcome)
    if outcome.blocked or outcome.completion is None:
        return chunks.refused(told)
    return chunks.end(outcome.completion)


def _told(exchange: Exchange, room: Room, outcome: ChatOutcome) -> Scanned:
    if outcome.response is None:
        return Scanned("cleared", (), outcome.text)
    text = outcome.completion.text if outcome.completion else ""
    return scanned_stream(exchange, room, outcome.response, text)


def _last_question(messages: Any) -> str:
    asked = [segment.text for segment in conversation.segments(messages, Origin.USER) if segment.origin is Origin.USER]
    return asked[-1] if asked else ""
