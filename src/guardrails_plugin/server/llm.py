"""Model calls behind guards: a blocked prompt never reaches a provider, an unguarded reply never reaches a client."""

from __future__ import annotations

import asyncio
import logging
import threading
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
from guardrails_plugin.server.metering import Meter
from guardrails_plugin.server.outbound import provider_failed
from guardrails_plugin.server.problems import ApiError
from guardrails_plugin.server.providers import ProviderKeys
from guardrails_plugin.server.settings import Settings
from guardrails_plugin.types import Context, GuardResult, Stage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk, BaseMessage

__all__ = ["ChatOutcome", "ChatRequest", "Completion", "LlmProxy", "StreamPart"]

_log = logging.getLogger("guardrails_plugin.server")

_importing = threading.RLock()
"""Two threads that import modules which import each other may see them half made: one imports at a time."""

_LIMITS: Mapping[str, Any] = {"timeout": 60.0, "max_retries": 1}

_ALSO: Mapping[str, Mapping[str, Any]] = {
    # Left to itself, OpenAI's client asks only OpenAI's own address what a stream has used.
    "openai": {"stream_usage": True},
}
"""Options of single providers' clients."""

_FINISHED: Mapping[str, str] = {
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
}
"""Why a model stopped, in providers' words and in OpenAI's; anything else is "stop"."""


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
        stop: texts at which the model ends.
        parameters: more of them, as the provider's client takes them.
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
    stop: Sequence[str] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def call(self) -> dict[str, Any]:
        """What the model's methods take besides the messages."""
        return {**({"stop": list(self.stop)} if self.stop else {}), **self.parameters}


@dataclass(frozen=True, slots=True)
class Completion:
    """What a provider answered, before any guard saw it.

    Attributes:
        input_tokens: what the provider said; a guess when it said nothing (see `metering`).
        output_tokens: likewise.
        cost: US dollars by the operator's price list; None when the model is not on it.
        finish_reason: why it ended: ``stop``, ``length``, ``tool_calls`` or ``content_filter``.
    """

    text: str = field(repr=False)
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    cost: float | None
    sent_at: datetime
    received_at: datetime
    finish_reason: str = "stop"

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
        self._warm = threading.Event()

    @property
    def default(self) -> tuple[str, str]:
        """The operator's provider and model; empty when there is none."""
        provider, _, model = self._settings.provider.partition(":")
        return provider, model or ("echo" if provider == "echo" else "")

    def warm(self) -> None:
        """Begin to import what asking the operator's provider takes, on a thread; nothing where there is none.

        An import keeps the interpreter to itself most of the time: done by the first chat, it would hold up everybody.
        """
        if self._settings.provider and not self.is_warm:
            threading.Thread(target=self._prepare, name="warm-llm", daemon=True).start()

    @property
    def is_warm(self) -> bool:
        """Whether `warm` is done, or there is nothing to do."""
        return not self._settings.provider or self._warm.is_set()

    def _prepare(self) -> None:
        provider, model = self.default
        try:
            with _importing:
                _as_messages([{"role": "user", "content": ""}])
                if provider == "echo":
                    _echo(model)
                else:
                    _made(model, provider, {"api_key": "none"})
        except Exception as error:  # noqa: BLE001 - any provider's client; what needs no model works without it
            reason = error.detail if isinstance(error, ApiError) else type(error).__name__
            _log.warning("GUARDRAILS_PROVIDER cannot be asked: %s", reason)
        finally:
            self._warm.set()

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
        sent_at, released, full, finish = now(), [], [], "stop"
        meter = self._meter(exchange, (provider, name), messages)
        async for chunk in _chunks(model, messages, request.call):
            meter.add(chunk)
            full.append(chunk.text)
            finish = _finish_reason(chunk) or finish
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
        completion = _completed(meter, (provider, name), "".join(full), sent_at, finish)
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
            reply = await model.ainvoke(_as_messages(messages), **request.call)
        except ApiError:
            raise
        except Exception as error:  # noqa: BLE001 - any provider's client, any error
            raise provider_failed(error) from None
        meter = self._meter(exchange, (provider, name), messages)
        meter.add(reply)
        return _completed(meter, (provider, name), reply.text, sent_at, _finish_reason(reply) or "stop")

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

    def _meter(self, exchange: Exchange, named: tuple[str, str], messages: Sequence[Mapping[str, Any]]) -> Meter:
        return Meter(exchange, named, self._settings.prices.get("/".join(named)), messages)

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
            return provider, name, await asyncio.to_thread(_echo, name)
        access = await asyncio.to_thread(self._connections.options, exchange.user, provider, request.connection)
        # Not on the event loop: the first one of a kind imports what takes seconds.
        return provider, name, await asyncio.to_thread(_made, name, provider, {**access, **given})


def _echo(name: str) -> BaseChatModel:
    with _importing:
        # Deferred: langchain_core takes longer to import than the service to start.
        from guardrails_plugin.server.echo import EchoChatModel

    return EchoChatModel(model=name)


def _made(name: str, provider: str, options: Mapping[str, Any]) -> BaseChatModel:
    also = _ALSO.get(provider, {})
    try:
        with _importing:
            # Deferred: the langchain package takes seconds to import, and so does a provider's.
            from langchain.chat_models import init_chat_model

            model: BaseChatModel = init_chat_model(name, model_provider=provider, **_LIMITS, **also, **options)
    except ImportError:
        raise unavailable(
            f"Provider {provider[:40]!r} is not installed: add LangChain's package for it to the service "
            "(the extra guardrails-plugin[llm] holds those of openai and anthropic)."
        ) from None
    except ValueError:
        raise unavailable(f"Provider {provider[:40]!r} is not supported.") from None
    return model


def _as_messages(messages: Sequence[Mapping[str, Any]]) -> list[Any]:
    from langchain_core.messages import convert_to_messages

    try:
        return list(convert_to_messages([dict(message) for message in messages]))
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError):
        raise ApiError(400, "messages: expected role (system, user, assistant, tool) and content each.") from None


def _completed(meter: Meter, named: tuple[str, str], text: str, sent_at: datetime, finish: str) -> Completion:
    into, out = meter.tokens
    return Completion(text, *named, into, out, meter.cost, sent_at, now(), finish)


def _finish_reason(message: BaseMessage) -> str | None:
    """In OpenAI's words; None when the message does not say."""
    told: Mapping[str, Any] = message.response_metadata
    reason = told.get("finish_reason") or told.get("stop_reason") or told.get("done_reason")
    return _FINISHED.get(str(reason).lower(), "stop") if reason else None


def _told(request: ChatRequest) -> Context:
    """What the application told the model, which must not leak into the reply."""
    told = (message.get("content") for message in request.messages if message.get("role") in ("system", "developer"))
    return Context(system="\n".join(text for text in told if isinstance(text, str)))


async def _chunks(
    model: BaseChatModel, messages: Sequence[Mapping[str, Any]], call: Mapping[str, Any]
) -> AsyncIterator[AIMessageChunk]:
    """The reply as it arrives; only what the provider raises is the provider's failure."""
    try:
        async for chunk in model.astream(_as_messages(messages), **call):
            yield chunk
    except ApiError:
        raise
    except Exception as error:  # noqa: BLE001 - any provider's client, any error
        raise provider_failed(error) from None
