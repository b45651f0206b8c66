"""Model calls behind guards: a blocked prompt never reaches a provider, an unguarded reply never reaches a client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from guardrails_plugin.planning import Overrides
from guardrails_plugin.recipes import Recipe
from guardrails_plugin.server.connections import Connection, Connections, unavailable
from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.guarding import Guarding
from guardrails_plugin.server.identity import now
from guardrails_plugin.server.outbound import provider_failed
from guardrails_plugin.server.problems import ApiError
from guardrails_plugin.server.providers import ProviderKeys
from guardrails_plugin.server.settings import Settings
from guardrails_plugin.types import Context, GuardResult, Stage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk

__all__ = ["ChatOutcome", "ChatRequest", "Completion", "LlmProxy", "StreamPart"]

_LIMITS: Mapping[str, Any] = {"timeout": 60.0, "max_retries": 1}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What to ask which model, and how to guard it.

    Attributes:
        messages: ``{"role", "content"}`` each, as OpenAI has them.
        provider: name as `init_chat_model` has it; the operator's default when empty.
        model: name; the operator's default when empty.
        prompt: recipe of the prompt: a name, one made for this call, or None for the stage's own.
        response: likewise for the reply.
        check_prompt: False asks unguarded.
        check_response: False answers unguarded.
        connection: see `Connections.options`.
    """

    messages: Sequence[Mapping[str, Any]] = field(repr=False)
    provider: str = ""
    model: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    prompt: str | Recipe | None = None
    response: str | Recipe | None = None
    prompt_overrides: Overrides | None = None
    response_overrides: Overrides | None = None
    check_prompt: bool = True
    check_response: bool = True
    connection: Connection | Literal["operator"] | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What a provider answered, before any guard saw it.

    Attributes:
        cost: US dollars by the operator's price list; None when the model is not on it.
    """

    text: str = field(repr=False)
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    cost: float | None
    sent_at: datetime
    received_at: datetime

    @property
    def tokens(self) -> int:
        """Both ways."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class ChatOutcome:
    """What came of a guarded call.

    Attributes:
        prompt: the guard's result for the messages; None when they were not checked.
        completion: None when the prompt was blocked.
        response: the guard's result for the reply; None when there was none, or it was not checked.
        text: what the client may see; None when something was blocked.
        seconds: all of it.
    """

    prompt: GuardResult | None
    completion: Completion | None
    response: GuardResult | None
    text: str | None = field(repr=False)
    seconds: float

    @property
    def blocked(self) -> bool:
        """Whether the prompt or the reply was refused."""
        return self.text is None


@dataclass(frozen=True, slots=True)
class StreamPart:
    """One step of a streamed call, in this order: one ``checked``, any number of ``token``, one ``done``."""

    kind: str
    text: str = field(default="", repr=False)
    prompt: GuardResult | None = None
    outcome: ChatOutcome | None = None


class LlmProxy:
    """Calls models with the asking project's keys, or the operator's."""

    def __init__(self, settings: Settings, guard: Guarding, keys: ProviderKeys) -> None:
        self._settings = settings
        self._guard = guard
        self._connections = Connections(settings, keys)

    @property
    def default(self) -> tuple[str, str]:
        """The operator's provider and model; empty when there is none."""
        provider, _, model = self._settings.provider.partition(":")
        return provider, model or ("echo" if provider == "echo" else "")

    async def chat(self, exchange: Exchange, request: ChatRequest) -> ChatOutcome:
        """Check, ask, check.

        Raises:
            ApiError: 404 when the model is not available, 502 when the provider fails.
        """
        began = perf_counter()
        prompt = await self._prompt(exchange, request)
        if prompt is not None and prompt.blocked:
            return ChatOutcome(prompt, None, None, None, perf_counter() - began)
        messages = prompt.output if prompt is not None else request.messages
        completion = await self.complete(exchange, request, messages)
        response = await self._response(exchange, request, completion.text)
        text = completion.text if response is None else response.output
        return ChatOutcome(prompt, completion, response, text, perf_counter() - began)

    async def stream(self, exchange: Exchange, request: ChatRequest) -> AsyncIterator[StreamPart]:
        """`chat`, token by token; each is released when nothing that follows can change what becomes of it."""
        began = perf_counter()
        prompt = await self._prompt(exchange, request)
        yield StreamPart("checked", prompt=prompt)
        if prompt is not None and prompt.blocked:
            yield StreamPart("done", outcome=ChatOutcome(prompt, None, None, None, perf_counter() - began))
            return
        messages = prompt.output if prompt is not None else request.messages
        provider, name, model = await self._model(exchange, request)
        guard = None
        if request.check_response:
            guard = await self._guard.stream(
                exchange,
                stage=Stage.RESPONSE,
                recipe=request.response,
                overrides=request.response_overrides,
                context=_told(request),
            )
        sent_at, usage, released, full = now(), (0, 0), [], []
        async for chunk in _chunks(model, messages):
            usage = _added(usage, chunk)
            full.append(chunk.text)
            if safe := chunk.text if guard is None else await asyncio.to_thread(guard.feed, chunk.text):
                released.append(safe)
                yield StreamPart("token", safe)
            if guard is not None and guard.blocked:
                break
        if guard is not None and (last := await asyncio.to_thread(guard.finish)):
            released.append(last)
            yield StreamPart("token", last)
        response = guard.result if guard is not None else None
        if response is not None:
            exchange.note(response)
        completion = self._completed(exchange, (provider, name), "".join(full), usage, sent_at)
        refused = response is not None and response.blocked
        text = None if refused else "".join(released)
        yield StreamPart("done", outcome=ChatOutcome(prompt, completion, response, text, perf_counter() - began))

    async def complete(
        self, exchange: Exchange, request: ChatRequest, messages: Sequence[Mapping[str, Any]]
    ) -> Completion:
        """Ask the model, unguarded: for callers that guard with scanners of their own.

        Raises:
            ApiError: 404 when the model is not available, 502 when the provider fails.
        """
        provider, name, model = await self._model(exchange, request)
        sent_at = now()
        try:
            reply = await model.ainvoke(_as_messages(messages))
        except ApiError:
            raise
        except Exception as error:  # noqa: BLE001 - any provider's client, any error
            raise provider_failed(error) from None
        return self._completed(exchange, (provider, name), reply.text, _added((0, 0), reply), sent_at)

    async def close(self) -> None:
        """Give connections back."""
        await self._connections.close()

    async def _prompt(self, exchange: Exchange, request: ChatRequest) -> GuardResult | None:
        if not request.check_prompt:
            return None
        return await self._guard.check(
            exchange,
            [dict(message) for message in request.messages],
            stage=Stage.PROMPT,
            recipe=request.prompt,
            overrides=request.prompt_overrides,
        )

    async def _response(self, exchange: Exchange, request: ChatRequest, text: str) -> GuardResult | None:
        if not request.check_response:
            return None
        return await self._guard.check(
            exchange,
            text,
            stage=Stage.RESPONSE,
            recipe=request.response,
            overrides=request.response_overrides,
            context=_told(request),
        )

    def _completed(
        self, exchange: Exchange, named: tuple[str, str], text: str, usage: tuple[int, int], sent_at: datetime
    ) -> Completion:
        provider, model = named
        price = self._settings.prices.get(f"{provider}/{model}")
        cost = None if price is None else (usage[0] * price[0] + usage[1] * price[1]) / 1e6
        exchange.count("llm.calls")
        exchange.count("llm.tokens", usage[0] + usage[1])
        exchange.count("llm.cost", cost or 0.0)
        exchange.count(f"llm.models.{provider}/{model}"[:128])
        return Completion(text, provider, model, usage[0], usage[1], cost, sent_at, now())

    async def _model(self, exchange: Exchange, request: ChatRequest) -> tuple[str, str, BaseChatModel]:
        """Provider, model name and client."""
        default_provider, default_model = self.default
        provider = request.provider or default_provider
        name = request.model or (default_model if provider == default_provider else "")
        if not provider or not name:
            raise unavailable("No model was named, and the service has no default.")
        options = {"max_tokens": request.max_tokens, "temperature": request.temperature}
        given = {key: value for key, value in options.items() if value is not None}
        if provider == "echo":
            if default_provider != "echo":
                raise unavailable("The echo provider is for development only.")
            # Deferred: langchain_core takes longer to import than the service to start.
            from guardrails_plugin.server.echo import EchoChatModel

            return provider, name, EchoChatModel(model=name)
        access = await asyncio.to_thread(self._connections.options, exchange.user, provider, request.connection)
        return provider, name, _made(name, provider, {**access, **given})


def _made(name: str, provider: str, options: Mapping[str, Any]) -> BaseChatModel:
    # Deferred: the langchain package takes seconds to import.
    from langchain.chat_models import init_chat_model

    try:
        model: BaseChatModel = init_chat_model(name, model_provider=provider, **_LIMITS, **options)
    except (ImportError, ValueError):
        raise unavailable(f"Provider {provider[:40]!r} is not installed or not supported.") from None
    return model


def _as_messages(messages: Sequence[Mapping[str, Any]]) -> list[Any]:
    from langchain_core.messages import convert_to_messages

    try:
        return list(convert_to_messages([dict(message) for message in messages]))
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError):
        raise ApiError(400, "messages: expected role (system, user, assistant, tool) and content each.") from None


def _added(usage: tuple[int, int], message: Any) -> tuple[int, int]:
    more = message.usage_metadata or {}
    return usage[0] + int(more.get("input_tokens", 0)), usage[1] + int(more.get("output_tokens", 0))


def _told(request: ChatRequest) -> Context:
    """What the application told the model, which must not leak into the reply."""
    told = (message.get("content") for message in request.messages if message.get("role") in ("system", "developer"))
    return Context(system="\n".join(text for text in told if isinstance(text, str)))


async def _chunks(model: BaseChatModel, messages: Sequence[Mapping[str, Any]]) -> AsyncIterator[AIMessageChunk]:
    """The reply as it arrives; only what the provider raises is the provider's failure."""
    try:
        async for chunk in model.astream(_as_messages(messages)):
            yield chunk
    except ApiError:
        raise
    except Exception as error:  # noqa: BLE001 - any provider's client, any error
        raise provider_failed(error) from None
