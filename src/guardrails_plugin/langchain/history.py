"""A chat history that takes in guarded messages only."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, FunctionMessage, HumanMessage, ToolMessage

from guardrails_plugin.by_stage import Overrides, Recipes
from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import ConfigError, GuardBlocked, unknown_name
from guardrails_plugin.langchain.check import Option, StageCheck, StagePolicies
from guardrails_plugin.langchain.metadata import refusal_metadata
from guardrails_plugin.langchain.values import origin_of
from guardrails_plugin.types import GuardResult, Origin, Stage

__all__ = ["GuardChatMessageHistory"]

_CHOICES = ("refuse", "drop", "raise")


class GuardChatMessageHistory(BaseChatMessageHistory):
    """A chat history behind guards: users' messages at prompt, tools' at post_tool, models' at response.

    Around the history that ``RunnableWithMessageHistory`` is given, it keeps what the chain was handed and what it
    answered from being stored raw: a guard inside of the chain sees neither. System messages are the developer's and
    stay as they are. What was stored before comes out as it is.

    Args:
        inner: the history.
        prompt: guard for users' messages; True for the stage's recipe, False for none.
        post_tool: likewise for tools'.
        response: likewise for models', with the arguments of their tool calls.
        engine: of the guards that are not given.
        recipes: names of recipes, by stage; a stage's own by default.
        overrides: changes to them, by stage, then by rule name.
        on_block: ``refuse`` stores `refusal` in a blocked message's place; ``drop`` stores the others, and `dropped`
            says what was left out; ``raise`` GuardBlocked and store none of them: ``RunnableWithMessageHistory`` logs
            that as a warning and goes on.
        refusal: what is stored in place of a blocked message.

    Raises:
        ConfigError: no history, a guard for another stage, or an unknown ``on_block``.
    """

    def __init__(
        self,
        inner: BaseChatMessageHistory,
        *,
        prompt: Option = True,
        post_tool: Option = True,
        response: Option = True,
        engine: Engine | None = None,
        recipes: Recipes | None = None,
        overrides: Overrides | None = None,
        on_block: Literal["refuse", "drop", "raise"] = "refuse",
        refusal: str = "This was blocked by policy.",
    ) -> None:
        if not isinstance(inner, BaseChatMessageHistory):
            raise ConfigError(f"inner: expected a BaseChatMessageHistory, got {type(inner).__name__}")
        if on_block not in _CHOICES:
            raise unknown_name("on_block", on_block, _CHOICES)
        self.inner = inner
        policies = StagePolicies(engine, recipes, overrides)
        self._checks = {
            Origin.USER: policies.at(prompt, Stage.PROMPT),
            Origin.EXTERNAL: policies.at(post_tool, Stage.POST_TOOL),
            Origin.MODEL: policies.at(response, Stage.RESPONSE),
        }
        self._on_block = on_block
        self._refusal = refusal
        self._dropped: list[GuardResult] = []

    @property
    def dropped(self) -> tuple[GuardResult, ...]:
        """Results of the messages that were left out so far."""
        return tuple(self._dropped)

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """What the history holds."""
        return self.inner.messages

    async def aget_messages(self) -> list[BaseMessage]:
        """`messages`, async."""
        return await self.inner.aget_messages()

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Add the guarded messages.

        Raises:
            GuardBlocked: one was refused, and ``on_block`` says raise.
        """
        if admitted := self._admitted(messages):
            self.inner.add_messages(admitted)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """`add_messages`, async."""
        if admitted := await asyncio.to_thread(self._admitted, messages):
            await self.inner.aadd_messages(admitted)

    def clear(self) -> None:
        """Forget everything."""
        self.inner.clear()

    async def aclear(self) -> None:
        """`clear`, async."""
        await self.inner.aclear()

    def _admitted(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        admitted: list[BaseMessage] = []
        dropped: list[GuardResult] = []
        for message in messages:
            try:
                admitted.append(self._guarded(message))
            except GuardBlocked as blocked:
                if self._on_block == "raise":
                    raise
                if self._on_block == "refuse":
                    admitted.append(_refused(message, self._refusal, blocked))
                elif blocked.result is not None:
                    dropped.append(blocked.result)
        self._dropped += dropped
        return admitted

    def _guarded(self, message: BaseMessage) -> BaseMessage:
        check = self._checks.get(origin_of(message, Origin.USER))
        if check is None:
            return message
        guarded: BaseMessage = check(message).value
        return _calls_guarded(guarded, check) if isinstance(guarded, AIMessage) else guarded


def _calls_guarded(message: AIMessage, check: StageCheck) -> AIMessage:
    """The message with the arguments of its tool calls guarded: the response stage leaves them to the tools' guard."""
    if not (message.tool_calls or message.invalid_tool_calls):
        return message
    before = [call["args"] for call in (*message.tool_calls, *message.invalid_tool_calls)]
    after = check(before, origin=Origin.MODEL).value
    if after == before:
        return message
    count = len(message.tool_calls)
    # The calls as the provider wrote them, and chunks of them, say the same again.
    extras = {key: value for key, value in message.additional_kwargs.items() if key not in _RAW_CALLS}
    kept = {name: getattr(message, name) for name in ("id", "name", "content", "usage_metadata", "response_metadata")}
    return AIMessage(
        **kept,
        additional_kwargs=extras,
        tool_calls=[{**call, "args": args} for call, args in zip(message.tool_calls, after, strict=False)],
        invalid_tool_calls=[
            {**call, "args": args} for call, args in zip(message.invalid_tool_calls, after[count:], strict=True)
        ],
    )


_RAW_CALLS = frozenset({"tool_calls", "function_call"})


def _refused(message: BaseMessage, refusal: str, blocked: GuardBlocked) -> BaseMessage:
    """A message of the same kind that says no more than the refusal, and which result it stands for."""
    own: dict[str, Any] = {"content": refusal, "id": message.id}
    own["response_metadata"] = refusal_metadata(message.response_metadata, blocked.stage, blocked.result_id)
    if isinstance(message, ToolMessage):
        return ToolMessage(**own, tool_call_id=message.tool_call_id, name=message.name, status="error")
    if isinstance(message, FunctionMessage):
        return FunctionMessage(**own, name=message.name)
    if isinstance(message, ChatMessage):
        return ChatMessage(**own, role=message.role)
    return AIMessage(**own) if isinstance(message, AIMessage) else HumanMessage(**own)
