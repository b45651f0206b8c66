"""CalypsoAI's OpenAI-compatible door: chat completions of a provider, guarded both ways."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from guardrails_plugin import conversation
from guardrails_plugin.server.auth import GUARD
from guardrails_plugin.server.exchange import Current
from guardrails_plugin.server.llm import Completion
from guardrails_plugin.server.routers.calypso.models import ask, named_provider
from guardrails_plugin.server.routers.calypso.room import Asked, room_for
from guardrails_plugin.server.routers.calypso.scanning import Scanned, scan
from guardrails_plugin.server.routers.calypso.wire import PREFIX, Id
from guardrails_plugin.server.services import Running
from guardrails_plugin.types import Origin

__all__ = ["OPENAI", "router"]

OPENAI = "/openai"

router = APIRouter()


class Message(BaseModel):
    """One message."""

    model_config = ConfigDict(extra="allow")

    role: Annotated[str, Field(max_length=32)]
    content: str | list[dict[str, JsonValue]] | None = None


class ChatBody(BaseModel):
    """OpenAI's body; parameters that the service does not pass on are ignored."""

    model_config = ConfigDict(extra="ignore")

    messages: Annotated[list[Message], Field(min_length=1, max_length=1000)]
    model: Annotated[str, Field(max_length=200)] = ""
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    stream: bool = False


class Refusal(BaseModel):
    """An error as OpenAI's clients take it; for a block, ``cai_error`` says what was found."""

    error: dict[str, Any]


_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal} for status in (400, 401, 403, 404, 413, 422, 429, 502, 503)
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
    """Chat with a provider's model. A stream is sent when the whole answer has been scanned."""
    exchange.user.require(GUARD)
    exchange.event = "chat_completion"
    if x_cai_metadata_session_id:
        exchange.metadata["session_id"] = x_cai_metadata_session_id
    room = await asyncio.to_thread(room_for, services, exchange, None, Asked())
    chosen = await asyncio.to_thread(named_provider, services, room.project.id, room.setup, provider)
    messages = [message.model_dump() for message in body.messages]
    before = await scan(services, exchange, room, messages, "request")
    if before.outcome == "blocked":
        return _refused(before, "prompt")
    completion = await ask(
        services, exchange, chosen, before.output, max_tokens=body.max_tokens, temperature=body.temperature
    )
    after = await scan(services, exchange, room, completion.text, "response", prompt=_last_question(before.output))
    if after.outcome == "blocked":
        return _refused(after, "response")
    if body.stream:
        return StreamingResponse(_chunks(exchange.id, completion, after.output), media_type="text/event-stream")
    return JSONResponse(_completion(exchange.id, completion, after.output))


def _last_question(messages: Any) -> str:
    asked = [segment.text for segment in conversation.segments(messages, Origin.USER) if segment.origin is Origin.USER]
    return asked[-1] if asked else ""


def _refused(found: Scanned, what: str) -> JSONResponse:
    told = next((message for message in found.messages if message), "")
    error = {
        "message": told or f"Guardrails blocked the {what}.",
        "type": "invalid_request_error",
        "param": None,
        "code": "content_blocked",
        "cai_error": {"outcome": found.outcome, "scanner_results": [_snake(result) for result in found.results]},
    }
    return JSONResponse({"error": error}, 400)


def _snake(result: dict[str, Any]) -> dict[str, Any]:
    meta = result["scannerVersionMeta"]
    return {
        "scanner_id": result["scannerId"],
        "scanner_version_meta": {"id": meta["id"], "name": meta["name"], "published": meta["published"]},
        "outcome": result["outcome"],
        "scan_direction": result["scanDirection"],
        "started_date": result["startedDate"],
        "completed_date": result["completedDate"],
        "custom_config": result["customConfig"],
        "data": {"type": result["data"]["type"]},
        "message": result["message"],
    }


def _completion(request_id: str, completion: Completion, text: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{request_id}",
        "object": "chat.completion",
        "created": int(completion.received_at.timestamp()),
        "model": completion.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": completion.input_tokens,
            "completion_tokens": completion.output_tokens,
            "total_tokens": completion.tokens,
        },
    }


def _chunks(request_id: str, completion: Completion, text: str) -> Iterator[str]:
    head = {
        "id": f"chatcmpl-{request_id}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": completion.model,
    }
    words = [{"content": word} for word in text.split(" ")]
    for word in words[1:]:
        word["content"] = f" {word['content']}"
    for delta, reason in [({"role": "assistant"}, None), *((word, None) for word in words), ({}, "stop")]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        yield f"data: {json.dumps({**head, 'choices': [choice]})}\n\n"
    yield "data: [DONE]\n\n"
