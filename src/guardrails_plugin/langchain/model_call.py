"""One call of an agent's model: the prompt guarded, the model swapped for a guarded one, all else guarded after it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal

from langchain.agents.middleware.types import ExtendedModelResponse, ModelRequest, ModelResponse
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, BaseMessage
from pydantic import PrivateAttr

from guardrails_plugin.errors import GuardBlocked
from guardrails_plugin.langchain.chat_model import GuardedChatModel
from guardrails_plugin.langchain.check import StageCheck
from guardrails_plugin.langchain.encrypted import carry
from guardrails_plugin.langchain.exchange import Exchange, Record, refusal_message
from guardrails_plugin.langchain.reply_calls import ReplyCalls
from guardrails_plugin.langchain.runnable import Guard

__all__ = ["ModelCall", "ModelResult"]

ModelResult = ModelResponse[Any] | ExtendedModelResponse[Any] | AIMessage


class ModelCall:
    """What becomes of a model call, whichever other middleware stands between the guard and the model.

    Args:
        prompt: the prompt's check; None for none.
        response: the reply's.
        on_block: whether a refused reply raises or is answered with the refusal.
        refusal: that answer.
        calls: what the reply's tool calls pass through before anybody sees them; None for nothing.
    """

    def __init__(
        self,
        prompt: StageCheck | None,
        response: StageCheck | None,
        *,
        calls: ReplyCalls | None = None,
        on_block: Literal["raise", "refuse"],
        refusal: str,
    ) -> None:
        self._prompt = prompt
        self._response = response
        self._calls = calls
        self._on_block: Literal["raise", "refuse"] = on_block
        self._refusal = refusal
        self._record = Record()
        self._answer_tools: frozenset[str] = frozenset()
        self._token: str | None = None

    def ready(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        """The request with its messages guarded and its model behind guards.

        Raises:
            GuardBlocked: a message was refused.
        """
        exchange = Exchange(self._prompt, None)
        sent = exchange.enter(_all_messages(request))
        self._token = exchange.token
        # What was encrypted just now is known to the model's own guard by the message it stands in.
        sent = [*sent[:-1], carry(sent[-1], self._token)] if sent else sent
        self._record.sent = sent
        self._answer_tools = _answer_tools(request.response_format)
        changes: dict[str, Any] = {"messages": sent}
        if request.system_message is not None:
            changes = {"system_message": sent[0], "messages": sent[1:]}
        if self._prompt is not None or self._response is not None:
            changes["model"] = self._behind(request.model)
        return _Request(**{field.name: getattr(request, field.name) for field in fields(request)}).override(**changes)

    def released(self, answer: ModelResult) -> ModelResult:
        """The answer with everything guarded in it that the guarded model did not give.

        Raises:
            GuardBlocked: it was refused, and blocks raise.
        """
        try:
            if isinstance(answer, AIMessage):
                message: AIMessage = self._guarded(answer)
                return message
            response = answer.model_response if isinstance(answer, ExtendedModelResponse) else answer
            made = any(self._record.holds(message) for message in response.result)
            response.result = [self._guarded(message) for message in response.result]
            if self._response is not None and response.structured_response is not None and not made:
                response.structured_response = self._response(response.structured_response).value
        except GuardBlocked as blocked:
            if self._on_block == "raise":
                raise
            return ModelResponse(result=[refusal_message(self._refusal, blocked)])
        return answer

    def _guarded(self, message: Any) -> Any:
        if self._response is None or self._record.holds(message):
            return carry(message, self._token)
        if not isinstance(message, AIMessage):
            return self._response(message).value
        exchange = Exchange(None, self._response, answer_tools=self._answer_tools)
        exchange.calls = self._calls
        exchange.enter(self._record.sent)
        return carry(exchange.leave(message).model_copy(update={"id": message.id}), self._token)

    def _behind(self, model: Any) -> _Model:
        prompt = self._prompt.guard if self._prompt is not None else None
        response = self._response.guard if self._response is not None else None
        carried: Any = None
        if _asks_nothing_else(model, prompt, response):
            model, carried = model.inner, model.callbacks
        made = _Model(
            inner=model,
            prompt=prompt,
            response=response,
            on_block=self._on_block,
            refusal=self._refusal,
            answer_tools=self._answer_tools,
            callbacks=carried,
        )
        made._record = self._record  # noqa: SLF001 - its own module  # pyright: ignore[reportPrivateUsage]
        made._calls = self._calls  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        return made


class _Model(GuardedChatModel):
    """A guarded model that does not check again what was checked on the way to it, and records what it gives."""

    _record: Record = PrivateAttr(default_factory=Record)
    _calls: ReplyCalls | None = PrivateAttr(default=None)

    def _exchange(self, run_manager: Any) -> Exchange:
        exchange = super()._exchange(run_manager)
        exchange.record = self._record
        exchange.calls = self._calls
        return exchange


class _Request(ModelRequest[Any]):
    """A request whose model stays behind its guards when other middleware puts another one in its place."""

    def override(self, **overrides: Any) -> ModelRequest[Any]:
        own, given = self.model, overrides.get("model")
        if given is not None and isinstance(own, _Model) and not isinstance(given, _Model):
            overrides["model"] = own.around(given)
        return super().override(**overrides)


def _asks_nothing_else(model: Any, prompt: Guard | None, response: Guard | None) -> bool:
    """Whether it is a guarded model that would check the same once more."""
    if type(model) is not GuardedChatModel or model.pre_tool is not None or model.on_block != "raise":
        return False
    asked = ((model.prompt, prompt), (model.response, response))
    return all(own is None or own == other for own, other in asked)


def _all_messages(request: ModelRequest[Any]) -> list[BaseMessage]:
    return [*([request.system_message] if request.system_message is not None else []), *request.messages]


def _answer_tools(response_format: Any) -> frozenset[str]:
    """Names of the tools by which a model gives its structured answer."""
    if response_format is None or isinstance(response_format, ProviderStrategy):
        return frozenset()
    return frozenset(spec.name for spec in ToolStrategy(response_format.schema).schema_specs)
