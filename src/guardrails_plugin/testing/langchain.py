"""A chat model for tests: says what it is told to, with tool calls, usage and real streaming."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import run_in_executor
from pydantic import PrivateAttr

__all__ = ["ScriptedChatModel"]

_NAME = "scripted-1"
_USAGE: Any = {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}


class ScriptedChatModel(BaseChatModel):
    """Answers in turn with its replies, the last one for ever; streams them in chunks of four characters.

    Attributes:
        replies: strings, messages (with tool calls, say), or functions that make one of the messages they are sent
            (``lambda messages: messages[-1].text`` is an echo).
    """

    replies: list[Any]

    _seen: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _kwargs: list[dict[str, Any]] = PrivateAttr(default_factory=list)

    @property
    def seen(self) -> list[list[BaseMessage]]:
        """The messages of every call."""
        return self._seen

    @property
    def kwargs(self) -> list[dict[str, Any]]:
        """The options of every call."""
        return self._kwargs

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        # Tracers are told a model's repr: the replies in it would be a leak that no real model has.
        return []

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        name = kwargs.get("model", _NAME)
        return LangSmithParams(ls_provider="scripted", ls_model_name=name, ls_model_type="chat")

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        """The model with the names of the tools among its options."""
        return self.bind(tools=[getattr(tool, "name", str(tool)) for tool in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._reply(messages, {"stop": stop, **kwargs}))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in _chunks(self._reply(messages, {"stop": stop, **kwargs})):
            if run_manager is not None:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        # On a thread, for functions that make replies may wait; LangChain's own way takes one for each chunk.
        for chunk in _chunks(await run_in_executor(None, self._reply, messages, {"stop": stop, **kwargs})):
            await asyncio.sleep(0)  # others have their turn, as they do while a model is thinking
            if run_manager is not None:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    def _reply(self, messages: list[BaseMessage], kwargs: dict[str, Any]) -> AIMessage:
        self._seen.append(messages)
        self._kwargs.append(kwargs)
        reply = self.replies[min(len(self._seen), len(self.replies)) - 1]
        reply = reply(messages) if callable(reply) else reply
        made = AIMessage(reply) if isinstance(reply, str) else reply
        told = {**made.response_metadata, "model_name": _NAME, "model_provider": "scripted"}
        return made.model_copy(update={"usage_metadata": _USAGE, "response_metadata": told})


def _chunks(reply: AIMessage) -> Iterator[ChatGenerationChunk]:
    text = str(reply.content)
    for at in range(0, len(text), 4):
        yield ChatGenerationChunk(message=AIMessageChunk(content=text[at : at + 4], id=reply.id))
    if reply.tool_calls:
        whole = AIMessageChunk(content="", tool_calls=reply.tool_calls)
        for index, call in enumerate(whole.tool_call_chunks):
            part: Any = {**call, "index": index}
            yield ChatGenerationChunk(message=AIMessageChunk(content="", id=reply.id, tool_call_chunks=[part]))
    last = AIMessageChunk(content="", id=reply.id, usage_metadata=_USAGE, response_metadata=reply.response_metadata)
    yield ChatGenerationChunk(message=last)
